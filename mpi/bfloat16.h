/* Floats in half their length: bfloat16, the upper 16 bits of a float32. */
#ifndef DT_MPI_BFLOAT16_H
#define DT_MPI_BFLOAT16_H

#include <stddef.h>
#include <stdint.h>

/* Round to the nearest, ties to even; NaN stays NaN. y, x: (n) */
void dt_bfloat16_pack(uint16_t *y, const float *x, size_t n);

/* Exact. y, x: (n) */
void dt_bfloat16_unpack(float *y, const uint16_t *x, size_t n);

#endif
