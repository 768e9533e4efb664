/* Finds NaN and infinity, which are neither written to a checkpoint nor read from one. */
#ifndef DTRAIN_IO_FINITE_H
#define DTRAIN_IO_FINITE_H

#include <stddef.h>

/* Index of the first value that is NaN or infinite; count if there is none. */
size_t dt_finite_count(const float *x, size_t count);

#endif
