/* Layer norm. Source: Ba et al. 2016, arXiv:1607.06450. */
#include "norm.h"
#include "cpu.h"

static void forward(float *restrict y, float *mean, float *rstd, const float *restrict x,
                    const float *restrict scale, const float *restrict bias, size_t N, size_t C) {
    for (size_t i = 0; i < N; i++) {
        row_moments(&mean[i], &rstd[i], x + i * C, C);
        const float mu = mean[i], r = rstd[i];
        for (size_t c = 0; c < C; c++) y[i * C + c] = (x[i * C + c] - mu) * r * scale[c] + bias[c];
    }
}

dt_status cpu_norm_forward(dt_backend *backend, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                           dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C) {
    cpu_backend *cpu = (cpu_backend *)backend;
    CPU_FLOATS("norm_forward", mean, rstd, x, scale, bias);
    if (y.element == DT_ELEMENT_BFLOAT16)
        return cpu->bf16->norm_forward(cpu, y, mean, rstd, x, scale, bias, N, C);
    CPU_FLOATS("norm_forward", y);
    forward(cpu_f32(y), cpu_f32(mean), cpu_f32(rstd), cpu_f32(x), cpu_f32(scale), cpu_f32(bias), N,
            C);
    return DT_OK;
}

/* With xhat = (x - mean) rstd and g = d_y scale: d_x += rstd (g - mean(g) - xhat mean(g xhat)). */
static void backward(float *restrict d_x, float *restrict d_scale, float *restrict d_bias,
                     const float *restrict d_y, const float *restrict x, const float *mean,
                     const float *rstd, const float *restrict scale, size_t N, size_t C) {
    const size_t whole = C / LANES * LANES;
    for (size_t i = 0; i < N; i++) {
        const float *dy = d_y + i * C, *xi = x + i * C;
        float *dx = d_x + i * C;
        const float mu = mean[i], r = rstd[i];
        vec sum_g = vec_all(0), sum_gx = vec_all(0);
        for (size_t c = 0; c < whole; c += LANES) {
            const vec xhat = (vec_load(xi + c) - mu) * r, up = vec_load(dy + c);
            const vec g = up * vec_load(scale + c);
            sum_g += g;
            sum_gx += g * xhat;
            vec_store(d_scale + c, vec_load(d_scale + c) + up * xhat);
            vec_store(d_bias + c, vec_load(d_bias + c) + up);
        }
        float mean_g = vec_sum(sum_g), mean_gx = vec_sum(sum_gx);
        for (size_t c = whole; c < C; c++) {
            const float xhat = (xi[c] - mu) * r, g = dy[c] * scale[c];
            mean_g += g;
            mean_gx += g * xhat;
            d_scale[c] += dy[c] * xhat;
            d_bias[c] += dy[c];
        }
        mean_g /= (float)C;
        mean_gx /= (float)C;
        for (size_t c = 0; c < C; c++) {
            const float xhat = (xi[c] - mu) * r;
            dx[c] += r * (dy[c] * scale[c] - mean_g - xhat * mean_gx);
        }
    }
}

dt_status cpu_norm_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_scale, dt_tensor d_bias,
                            dt_tensor d_y, dt_tensor x, dt_tensor mean, dt_tensor rstd,
                            dt_tensor scale, size_t N, size_t C) {
    CPU_FLOATS("norm_backward", d_x, d_scale, d_bias, d_y, x, mean, rstd, scale);
    cpu_backend *cpu = (cpu_backend *)backend;
    /* Gradients that are not wanted go to scratch, so that one loop handles all cases. */
    DT_TRY(cpu_reserve(&cpu->scratch, 2 * C, "norm scratch"));
    float *to_scale = d_scale.buffer ? cpu_f32(d_scale) : cpu->scratch.at;
    float *to_bias = d_bias.buffer ? cpu_f32(d_bias) : cpu->scratch.at + C;
    backward(cpu_f32(d_x), to_scale, to_bias, cpu_f32(d_y), cpu_f32(x), cpu_f32(mean),
             cpu_f32(rstd), cpu_f32(scale), N, C);
    return DT_OK;
}
