/* The model's products by oneDNN: a yardstick where it is installed. */
#ifndef BENCH_ONEDNN_H
#define BENCH_ONEDNN_H

#include "products.h"

/* Add products of bfloat16 operands by oneDNN as another way, one thread, both sides in the layout
 * that it wants: `name` of a product's implementation, or "" where this was built without oneDNN,
 * which adds nothing. DT_ERR_UNAVAILABLE: it refuses. */
dt_status products_add_onednn(products *p, char *name, size_t size);

#endif
