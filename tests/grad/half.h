/* bfloat16 for the tests: rounding, implemented independently of the program's, and tensors of such
 * numbers on the device. */
#ifndef DTRAIN_TEST_GRAD_HALF_H
#define DTRAIN_TEST_GRAD_HALF_H

#include <stdint.h>

#include "dtrain/backend/backend.h"
#include "fixture.h"

uint32_t float_bits(float x);
float float_from_bits(uint32_t bits);

/* The nearest bfloat16, ties to even; of a subnormal number: 0. */
uint16_t half_of(float x);
double half_value(uint16_t x);

/* half_value of half_of. */
double half_nearest(double x);

/* Numbers on the device. */
typedef struct {
    dt_buffer *buffer;
    dt_tensor at;
    size_t count;
} half_tensor;

/* values: (count), rounded; NULL: zeros. */
half_tensor half_create(dt_backend *backend, const double *values, size_t count);

/* (count), allocated. */
double *half_read(dt_backend *backend, const half_tensor *t);

/* Random numbers that need no rounding, (count), allocated. */
double *half_values(size_t count, double scale, fixture_random *random);

#endif
