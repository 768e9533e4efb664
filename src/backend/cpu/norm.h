/* Mean and deviation of a row, for the layer norms in float32 and bfloat16. */
#ifndef DTRAIN_CPU_NORM_H
#define DTRAIN_CPU_NORM_H

#include <math.h>

#include "vector.h"

static const float VARIANCE_FLOOR = 1e-5f; /* as in GPT-2 */

/* Mean and 1/deviation of a row, in two passes: the second over differences, to avoid cancellation.
 */
CPU_INLINE void row_moments(float *mean, float *rstd, const float *x, size_t C) {
    const size_t whole = C / LANES * LANES;
    vec sum = vec_all(0);
    for (size_t c = 0; c < whole; c += LANES) sum += vec_load(x + c);
    float total = vec_sum(sum);
    for (size_t c = whole; c < C; c++) total += x[c];
    const float mu = total / (float)C;
    vec square = vec_all(0);
    for (size_t c = 0; c < whole; c += LANES) {
        const vec d = vec_load(x + c) - mu;
        square += d * d;
    }
    float variance = vec_sum(square);
    for (size_t c = whole; c < C; c++) variance += (x[c] - mu) * (x[c] - mu);
    *mean = mu;
    *rstd = 1.0f / sqrtf(variance / (float)C + VARIANCE_FLOOR);
}

#endif
