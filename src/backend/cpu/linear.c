/* Linear layers: matrix products with bias and residual. If our own kernel multiplies, the
 * activation follows while the rows are in the cache. */
#include <limits.h>

#include "cpu.h"
#include "gelu.h"
#include "vector.h"

static dt_status check_sizes(size_t N, size_t in, size_t out) {
    DT_REQUIRE(N <= INT_MAX && in <= INT_MAX && out <= INT_MAX, DT_ERR_ARG,
               "a product of (%zu,%zu) by (%zu,%zu) exceeds what BLAS can count; lower "
               "--micro-batch or --width",
               N, in, in, out);
    return DT_OK;
}

/* Chooses our own kernel if the backend has it and it is the faster one. */
static dt_status open_right(cpu_right *right, cpu_backend *cpu, dt_tensor b, bool transposed,
                            size_t K, size_t N, bool suits) {
    cpu_packing *packing = NULL;
    if (cpu->own && suits) DT_TRY(cpu_packing_of(&packing, cpu, b, transposed, false));
    return cpu_right_open(right, packing, cpu_f32(b), transposed, K, N);
}

/* y = gelu(y). */
static void gelu_rows(float *y, size_t count) {
    const size_t whole = count / LANES * LANES;
    vec slope;
    for (size_t i = 0; i < whole; i += LANES) vec_store(y + i, gelu(&slope, vec_load(y + i)));
    if (whole < count) {
        const size_t part = count - whole;
        vec_store_part(y + whole, gelu(&slope, vec_load_part(y + whole, part)), part);
    }
}

/* y = gelu(z); z becomes the slope, the only value that the backward pass needs. */
static void gelu_slope_rows(float *y, float *z, size_t count) {
    const size_t whole = count / LANES * LANES;
    vec slope;
    for (size_t i = 0; i < whole; i += LANES) {
        vec_store(y + i, gelu(&slope, vec_load(z + i)));
        vec_store(z + i, slope);
    }
    if (whole < count) {
        const size_t part = count - whole;
        vec_store_part(y + whole, gelu(&slope, vec_load_part(z + whole, part)), part);
        vec_store_part(z + whole, slope, part);
    }
}

dt_status cpu_linear_forward(dt_backend *backend, dt_tensor y, dt_tensor slope, dt_tensor x,
                             dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                             size_t in, size_t out, dt_activation activation) {
    const bool wants_slope = activation == DT_GELU && slope.buffer;
    float *product = cpu_f32(wants_slope ? slope : y);
    const float *added = cpu_f32(residual);
    cpu_right right;
    DT_TRY(check_sizes(N, in, out));
    if (x.element == DT_ELEMENT_BFLOAT16) {
        cpu_backend *cpu = (cpu_backend *)backend;
        return cpu->bf16->linear_forward(cpu, y, slope, x, weight, bias, residual, N, in, out,
                                         activation);
    }
    CPU_FLOATS("linear_forward", y, slope, x, weight, bias, residual);
    DT_TRY(open_right(&right, (cpu_backend *)backend, weight, true, in, out,
                      cpu_kernel_suits(in, out, false)));
    for (size_t i = 0, rows; i < N; i += rows) {
        rows = dt_min_size(right.rows, N - i);
        float *part = product + i * out;
        const cpu_addend addend = {added ? added + i * out : NULL, cpu_f32(bias)};
        cpu_multiply(part, addend, (cpu_left){cpu_f32(x) + i * in, in, 1}, &right, rows);
        if (wants_slope) {
            gelu_slope_rows(cpu_f32(y) + i * out, part, rows * out);
        } else if (activation == DT_GELU) {
            gelu_rows(part, rows * out);
        }
    }
    return DT_OK;
}

/* d_z = d_y * slope in place, and its column sums, in one pass. */
static void gelu_backward_rows(float *d_y, float *d_bias, const float *slope, size_t N,
                               size_t out) {
    const size_t whole = out / LANES * LANES;
    for (size_t i = 0; i < N; i++) {
        float *dy = d_y + i * out;
        const float *si = slope + i * out;
        for (size_t j = 0; j < whole; j += LANES) {
            const vec d = vec_load(dy + j) * vec_load(si + j);
            vec_store(dy + j, d);
            if (d_bias) vec_store(d_bias + j, vec_load(d_bias + j) + d);
        }
        if (whole < out) {
            const size_t part = out - whole;
            const vec d = vec_load_part(dy + whole, part) * vec_load_part(si + whole, part);
            vec_store_part(dy + whole, d, part);
            if (d_bias)
                vec_store_part(d_bias + whole, vec_load_part(d_bias + whole, part) + d, part);
        }
    }
}

static void add_columns(float *restrict d_bias, const float *restrict d_y, size_t N, size_t out) {
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < out; j++) d_bias[j] += d_y[i * out + j];
    }
}

dt_status cpu_linear_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_weight,
                              dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                              dt_tensor weight, size_t N, size_t in, size_t out,
                              dt_activation activation) {
    cpu_backend *cpu = (cpu_backend *)backend;
    cpu_right right;
    DT_TRY(check_sizes(N, in, out));
    if (x.element == DT_ELEMENT_BFLOAT16) {
        return cpu->bf16->linear_backward(cpu, d_x, d_weight, d_bias, d_y, slope, x, weight, N, in,
                                          out, activation);
    }
    CPU_FLOATS("linear_backward", d_x, d_weight, d_bias, d_y, slope, x, weight);
    if (d_x.buffer)
        DT_TRY(open_right(&right, cpu, weight, false, out, in, cpu_kernel_suits(in, out, false)));
    for (size_t i = 0, rows; i < N; i += rows) {
        rows = dt_min_size(d_x.buffer ? right.rows : N, N - i);
        float *d_part = cpu_f32(d_y) + i * out;
        if (activation == DT_GELU) {
            gelu_backward_rows(d_part, cpu_f32(d_bias), cpu_f32(slope) + i * out, rows, out);
        } else if (d_bias.buffer) {
            add_columns(cpu_f32(d_bias), d_part, rows, out);
        }
        if (!d_x.buffer) continue;
        cpu_multiply(cpu_f32(d_x) + i * in, (cpu_addend){0}, (cpu_left){d_part, out, 1}, &right,
                     rows);
    }
    if (!d_weight.buffer) return DT_OK;
    DT_TRY(open_right(&right, cpu, x, false, N, in, cpu_kernel_suits(in, out, true)));
    float *sum = cpu_f32(d_weight);
    cpu_multiply(sum, (cpu_addend){.rows = sum}, (cpu_left){cpu_f32(d_y), 1, out}, &right, out);
    return DT_OK;
}
