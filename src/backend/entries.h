/* The backends that registry.c lists. */
#ifndef DTRAIN_ENTRIES_H
#define DTRAIN_ENTRIES_H

#include "dtrain/backend/registry.h"

/* Products by our own kernel on AVX2 and AVX-512, and by CBLAS with one thread. Opening compares
 * both with a plain double loop, for every kind of product that the model uses. DT_ERR_UNAVAILABLE
 * names library, kernel and product if a result is wrong. */
extern const dt_backend_entry entry_cpu;

/* The same, with all products by CBLAS. */
extern const dt_backend_entry entry_blas;

/* Our own kernels, and CLBlast, which is tested first. The first device and those like it are
 * assigned by local rank. Opening compiles kernels, which may take 20 seconds if the driver has not
 * cached them. DT_ERR_UNAVAILABLE: no device, built without OpenCL, kernels that do not build (with
 * the compiler's log), or wrong products. */
extern const dt_backend_entry entry_opencl;

#endif
