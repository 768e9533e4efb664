/* GELU and its slope, a vector at a time. */
#ifndef DTRAIN_CPU_GELU_H
#define DTRAIN_CPU_GELU_H

#include "vector.h"

/* 2 (sqrt(2/pi)) (x + 0.044715 x^3): GELU is x / (1 + exp(-this)). Source: Hendrycks and Gimpel,
 * arXiv:1606.08415. */
static const float GELU_LINEAR = 1.5957691216f, GELU_CUBIC = 0.0713548163f;

/* The value and the slope, both from one exponential. */
CPU_INLINE vec gelu(vec *slope, vec x) {
    const vec u = x * (GELU_LINEAR + GELU_CUBIC * x * x);
    const vec s = 1.0f / (1.0f + vec_exp(-u));
    *slope = s + x * s * (1.0f - s) * (GELU_LINEAR + 3.0f * GELU_CUBIC * x * x);
    return x * s;
}

#endif
