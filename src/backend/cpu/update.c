/* Updates a slice of the parameters: AdamW, the average of the weights, sums of squares. */
#include <math.h>

#include "cpu.h"

static void adamw(float *restrict w, float *restrict m, float *restrict v, const float *restrict g,
                  size_t count, const dt_adamw *k) {
    const float keep = 1.0f - k->lr * k->decay;
    for (size_t i = 0; i < count; i++) {
        const float gi = g[i] * k->gradient_scale;
        m[i] = k->beta1 * m[i] + (1.0f - k->beta1) * gi;
        v[i] = k->beta2 * v[i] + (1.0f - k->beta2) * gi * gi;
        w[i] = w[i] * keep -
               k->lr * (m[i] * k->correction1) / (sqrtf(v[i] * k->correction2) + k->epsilon);
    }
}

dt_status cpu_adamw(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor v,
                    dt_tensor gradient, size_t count, const dt_adamw *constants) {
    (void)backend;
    CPU_FLOATS("adamw", weight, m, v, gradient);
    adamw(cpu_f32(weight), cpu_f32(m), cpu_f32(v), cpu_f32(gradient), count, constants);
    return DT_OK;
}

static void average_of(float *restrict average, const float *restrict w, size_t count, float gain) {
    for (size_t i = 0; i < count; i++) average[i] += gain * (w[i] - average[i]);
}

dt_status cpu_average(dt_backend *backend, dt_tensor average, dt_tensor weight, size_t count,
                      float gain) {
    (void)backend;
    CPU_FLOATS("average", average, weight);
    average_of(cpu_f32(average), cpu_f32(weight), count, gain);
    return DT_OK;
}

/* Eight running sums in double, added pairwise at the end. */
static double square_sum(const float *x, size_t count) {
    double lane[8] = {0};
    const size_t whole = count / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        for (size_t k = 0; k < 8; k++) lane[k] += (double)x[i + k] * (double)x[i + k];
    }
    for (size_t i = whole; i < count; i++) lane[0] += (double)x[i] * (double)x[i];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
           ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

dt_status cpu_square_sum(dt_backend *backend, double *sum, dt_tensor x, size_t count) {
    (void)backend;
    CPU_FLOATS("square_sum", x);
    *sum = square_sum(cpu_f32(x), count);
    return DT_OK;
}
