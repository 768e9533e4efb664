/* Names of splits. */
#include "dtrain/data/split.h"

const char *dt_split_name(dt_split split) {
    static const char *const name[] = {"train", "validation", "test", "all"};
    return name[split];
}
