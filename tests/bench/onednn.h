/* The model's products by oneDNN, for comparison if it is installed. */
#ifndef BENCH_ONEDNN_H
#define BENCH_ONEDNN_H

#include "products.h"

/* Add products of bfloat16 operands by oneDNN as another way: one thread, both sides in oneDNN's
 * layout. `name` receives the implementation; without oneDNN it is "", and nothing is added.
 * DT_ERR_UNAVAILABLE: oneDNN refuses. */
dt_status products_add_onednn(products *p, char *name, size_t size);

#endif
