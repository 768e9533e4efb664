/* The backends, as registry.c lists them. */
#ifndef DTRAIN_ENTRIES_H
#define DTRAIN_ENTRIES_H

#include "dtrain/backend/registry.h"

/* Products by a kernel of our own where the processor has AVX2 or AVX-512, and by CBLAS with one
 * thread. Tests both first: products of every kind the model uses, beside a plain double loop.
 * DT_ERR_UNAVAILABLE names library, kernel and product if one computes wrongly. */
extern const dt_backend_entry entry_cpu;

/* The same, with all products by CBLAS. */
extern const dt_backend_entry entry_blas;

/* Kernels of our own, and CLBlast, which is tested first. The first device and those like it are
 * dealt out by local rank. Kernels are compiled, which may take 20 seconds where the driver has not
 * yet kept them. DT_ERR_UNAVAILABLE: no device, built without OpenCL, kernels that do not build
 * (with the compiler's log), or wrong products. */
extern const dt_backend_entry entry_opencl;

#endif
