/* Finds NaN and infinity, which are neither written to a checkpoint nor read from one. */
#ifndef DTRAIN_IO_FINITE_H
#define DTRAIN_IO_FINITE_H

#include "dtrain/backend/backend.h"

/* Index of the first value that is NaN or infinite; count if there is none. */
size_t dt_finite_count(const float *x, size_t count);

/* The same for `count` elements of that type: float32, or quantised. */
size_t dt_finite_elements(const void *bytes, dt_element element, size_t count);

#endif
