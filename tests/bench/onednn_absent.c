/* Where oneDNN is not installed. */
#include "onednn.h"

dt_status products_add_onednn(products *p, char *name, size_t size) {
    (void)p;
    if (size) *name = '\0';
    return DT_OK;
}
