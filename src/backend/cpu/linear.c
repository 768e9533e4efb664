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

/* The columns from `first` on of weights, as they are or unpacked. */
static dt_status open_weights(cpu_right *right, cpu_backend *cpu, dt_tensor weight, bool transposed,
                              size_t K, size_t N, size_t first, size_t columns) {
    const float *part;
    if (!cpu_is_quantised(weight))
        return open_right(right, cpu, weight, transposed, K, N, cpu_kernel_suits(K, N, false));
    DT_TRY(cpu_unpack_columns(&part, cpu, weight, transposed, K, N, first, columns));
    DT_TRY(cpu_right_open(right, cpu->own ? &cpu->packing : NULL, part, transposed, K, columns));
    right->row = N;
    return DT_OK;
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

/* y = gelu(product), which becomes the slope if it is wanted; otherwise it is y. */
static void activate(float *y, float *product, size_t count) {
    if (product == y) {
        gelu_rows(y, count);
    } else {
        gelu_slope_rows(y, product, count);
    }
}

dt_status cpu_linear_forward(dt_backend *backend, dt_tensor y, dt_tensor slope, dt_tensor x,
                             dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                             size_t in, size_t out, dt_activation activation) {
    cpu_backend *cpu = (cpu_backend *)backend;
    float *product = cpu_f32(activation == DT_GELU && slope.buffer ? slope : y);
    const float *added = cpu_f32(residual), *with = cpu_f32(bias);
    cpu_right right;
    DT_TRY(check_sizes(N, in, out));
    if (x.element == DT_ELEMENT_BFLOAT16)
        return cpu->bf16->linear_forward(cpu, y, slope, x, weight, bias, residual, N, in, out,
                                         activation);
    CPU_FLOATS("linear_forward", y, slope, x, bias, residual);
    CPU_WEIGHTS("linear_forward", weight);
    const size_t at_once = cpu_columns_at_once(weight, in, out);
    for (size_t j = 0, columns; j < out; j += columns) {
        columns = dt_min_size(at_once, out - j);
        DT_TRY(open_weights(&right, cpu, weight, true, in, out, j, columns));
        for (size_t i = 0, rows; i < N; i += rows) {
            rows = dt_min_size(right.rows, N - i);
            const size_t at = i * out + j;
            const cpu_addend addend = {added ? added + at : NULL, with ? with + j : NULL};
            cpu_multiply(product + at, addend, (cpu_left){cpu_f32(x) + i * in, in, 1}, &right,
                         rows);
            if (activation == DT_GELU && columns == out)
                activate(cpu_f32(y) + at, product + at, rows * out);
        }
    }
    if (activation == DT_GELU && at_once < out) activate(cpu_f32(y), product, N * out);
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

/* The gradient of what went into the activation, in place, and d_bias. */
static void open_activation(float *d_y, float *d_bias, const float *slope, size_t N, size_t out,
                            dt_activation activation) {
    if (activation == DT_GELU) {
        gelu_backward_rows(d_y, d_bias, slope, N, out);
    } else if (d_bias) {
        add_columns(d_bias, d_y, N, out);
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
    CPU_FLOATS("linear_backward", d_x, d_weight, d_bias, d_y, slope, x);
    DT_REQUIRE(slope.buffer || activation != DT_GELU, DT_ERR_ARG,
               "linear_backward needs the slope of GELU");
    CPU_WEIGHTS("linear_backward", weight);
    if (!d_x.buffer)
        open_activation(cpu_f32(d_y), cpu_f32(d_bias), cpu_f32(slope), N, out, activation);
    const size_t at_once = cpu_columns_at_once(weight, out, in);
    for (size_t j = 0, columns; d_x.buffer && j < in; j += columns) {
        columns = dt_min_size(at_once, in - j);
        DT_TRY(open_weights(&right, cpu, weight, false, out, in, j, columns));
        for (size_t i = 0, rows; i < N; i += rows) {
            rows = dt_min_size(right.rows, N - i);
            float *d_part = cpu_f32(d_y) + i * out;
            if (j == 0) {
                const float *slopes = slope.buffer ? cpu_f32(slope) + i * out : NULL;
                open_activation(d_part, cpu_f32(d_bias), slopes, rows, out, activation);
            }
            cpu_multiply(cpu_f32(d_x) + i * in + j, (cpu_addend){0}, (cpu_left){d_part, out, 1},
                         &right, rows);
        }
    }
    if (!d_weight.buffer) return DT_OK;
    DT_TRY(open_right(&right, cpu, x, false, N, in, cpu_kernel_suits(in, out, true)));
    float *sum = cpu_f32(d_weight);
    cpu_multiply(sum, (cpu_addend){.rows = sum}, (cpu_left){cpu_f32(d_y), 1, out}, &right, out);
    return DT_OK;
}
