/* Linear layers whose operands are bfloat16. Weights are rounded when they are packed, the gradient
 * of the output when it is read, and results that other layers read when they are stored. */
#include "bfloat16.h"
#include "cpu.h"
#include "gelu.h"

/* Scratch of one call. */
typedef struct {
    float *sums;      /* (rows at once, wide) */
    bfloat16 *rows;   /* (rows kept, out) rounded, each padded to whole words */
    uint32_t *paired; /* (tokens / 2, pair_row) words of two tokens */
    size_t pair_row;
} workspace;

/* `kept` rows of gradients, 0: none. What is there stays if as much is reserved again. */
static dt_status reserve(workspace *w, cpu_backend *cpu, size_t rows, size_t wide, size_t kept,
                         size_t N, size_t out) {
    /* One cache line is added to each row: its length is often a power of two, and then all
     * elements of a column would compete for the same few cache lines. */
    w->pair_row = dt_round_up(out, DT_ALIGNED_FLOATS) + DT_ALIGNED_FLOATS;
    const size_t sums = dt_round_up(rows * wide, DT_ALIGNED_FLOATS);
    const size_t rounded = kept ? dt_round_up((kept + 1) * ((out + 1) / 2), DT_ALIGNED_FLOATS) : 0;
    const size_t pairs = kept ? (N + 1) / 2 * w->pair_row : 0;
    DT_TRY(cpu_reserve(&cpu->scratch, sums + rounded + pairs, "scratch of a linear layer"));
    w->sums = cpu->scratch.at;
    w->rows = (bfloat16 *)(void *)(w->sums + sums);
    w->paired = (uint32_t *)(void *)(w->sums + sums + rounded);
    return DT_OK;
}

/* y = v rounded. */
static void round_rows(bfloat16 *y, const float *v, size_t count) {
    const size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) bfloat16_store(y + i, vec_load(v + i));
    if (whole < count)
        bfloat16_store_part(y + whole, vec_load_part(v + whole, count - whole), count - whole);
}

/* GELU and its slope as in gelu(), only as exact as bfloat16 needs. */
CPU_INLINE vec short_gelu(vec *slope, vec x) {
    const float log2_e = 1.44269504f;
    const vec square = x * x;
    const vec u = x * (-log2_e * GELU_LINEAR - log2_e * GELU_CUBIC * square);
    const vec s = 1.0f / (1.0f + bfloat16_exp2(u));
    const vec y = x * s;
    *slope = s + (y - y * s) * (GELU_LINEAR + 3.0f * GELU_CUBIC * square);
    return y;
}

/* y = gelu(z), and its slope unless NULL, both rounded. */
static void gelu_rows(bfloat16 *y, bfloat16 *slope, const float *z, size_t count) {
    const size_t whole = count / LANES * LANES;
    vec s;
    for (size_t i = 0; i < whole; i += LANES) {
        bfloat16_store(y + i, short_gelu(&s, vec_load(z + i)));
        if (slope) bfloat16_store(slope + i, s);
    }
    if (whole < count) {
        const size_t part = count - whole;
        bfloat16_store_part(y + whole, short_gelu(&s, vec_load_part(z + whole, part)), part);
        if (slope) bfloat16_store_part(slope + whole, s, part);
    }
}

/* The columns from `first` on of weights, rounded. */
static dt_status open_weights(cpu_right *right, cpu_backend *cpu, dt_tensor weight, bool transposed,
                              size_t K, size_t N, size_t first, size_t columns) {
    cpu_packing *packing = &cpu->packing;
    const float *part = cpu_f32(weight);
    if (cpu_is_quantised(weight)) {
        DT_TRY(cpu->kernels->unpack_columns(&part, cpu, weight, transposed, K, N, first, columns));
    } else {
        DT_TRY(cpu_packing_of(&packing, cpu, weight, transposed, true));
    }
    DT_TRY(cpu_bf16_right_open(right, packing, part, false, transposed, K, columns));
    right->row = N;
    return DT_OK;
}

/* The rows of x as words: in place if `in` is even, otherwise a padded copy. */
static dt_status left_of(cpu_left_words *left, cpu_backend *cpu, const bfloat16 *x, size_t N,
                         size_t in) {
    const size_t row = (in + 1) / 2;
    *left = (cpu_left_words){(const uint32_t *)(const void *)x, row, 1};
    if (in % 2 == 0) return DT_OK;
    DT_TRY(cpu_reserve(&cpu->padded, N * row, "rows padded to whole words"));
    bfloat16 *to = (bfloat16 *)(void *)cpu->padded.at;
    for (size_t i = 0; i < N; i++, to += 2 * row) {
        memcpy(to, x + i * in, in * sizeof *to);
        to[in] = 0;
    }
    left->p = (const uint32_t *)(const void *)cpu->padded.at;
    return DT_OK;
}

/* Some columns of a product, rounded, after the activation. */
static void close_columns(bfloat16 *y, bfloat16 *slope, const float *sums, size_t rows,
                          size_t columns, size_t out, dt_activation activation) {
    const size_t times = columns == out ? 1 : rows, count = columns == out ? rows * out : columns;
    for (size_t i = 0; i < times; i++) {
        const size_t at = i * out;
        if (activation == DT_GELU) {
            gelu_rows(y + at, slope ? slope + at : NULL, sums + at, count);
        } else {
            round_rows(y + at, sums + at, count);
        }
    }
}

dt_status cpu_bf16_linear_forward(cpu_backend *cpu, dt_tensor y, dt_tensor slope, dt_tensor x,
                                  dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                                  size_t in, size_t out, dt_activation activation) {
    CPU_HALVES("linear_forward", x, slope);
    CPU_FLOATS("linear_forward", bias, residual);
    CPU_WEIGHTS("linear_forward", weight);
    if (activation == DT_GELU) CPU_HALVES("linear_forward", y);
    const bool direct = y.element == DT_ELEMENT_FLOAT32 && activation == DT_IDENTITY;
    const float *added = cpu_f32(residual), *with = cpu_f32(bias);
    cpu_right right;
    cpu_left_words left;
    workspace w;
    DT_TRY(left_of(&left, cpu, cpu_bf16(x), N, in));
    const size_t at_once = cpu_columns_at_once(weight, in, out);
    for (size_t j = 0, columns; j < out; j += columns) {
        columns = dt_min_size(at_once, out - j);
        DT_TRY(open_weights(&right, cpu, weight, true, in, out, j, columns));
        DT_TRY(reserve(&w, cpu, right.rows, out, 0, N, out));
        cpu_left_words part = left;
        for (size_t i = 0, rows; i < N; i += rows, part.p += rows * part.row) {
            rows = dt_min_size(right.rows, N - i);
            const size_t at = i * out + j;
            float *sums = direct ? cpu_f32(y) + at : w.sums;
            const cpu_addend addend = {added ? added + at : NULL, with ? with + j : NULL};
            cpu_bf16_multiply(sums, addend, part, &right, rows);
            if (!direct)
                close_columns(cpu_bf16(y) + at, slope.buffer ? cpu_bf16(slope) + at : NULL, sums,
                              rows, columns, out, activation);
        }
    }
    return DT_OK;
}

/* A row of gradients, float32 or bfloat16. */
typedef struct {
    const float *f32;
    const bfloat16 *bf16;
    bool rounded; /* it is in bf16 */
} gradient_row;

static gradient_row gradient_at(dt_tensor d_y, size_t at) {
    return d_y.element == DT_ELEMENT_BFLOAT16
               ? (gradient_row){.rounded = true, .bf16 = cpu_bf16(d_y) + at}
               : (gradient_row){.f32 = cpu_f32(d_y) + at};
}

/* The gradients from column j on, as the backward pass multiplies them: times the slope if it is
 * given, and rounded. Before rounding they are added to d_bias unless it is NULL. */
CPU_INLINE ivec take_vector(gradient_row from, const bfloat16 *slope, float *d_bias, size_t j,
                            const size_t count) {
    vec d;
    if (!from.rounded) {
        d = count == LANES ? vec_load(from.f32 + j) : vec_load_part(from.f32 + j, count);
    } else {
        d = count == LANES ? bfloat16_load(from.bf16 + j)
                           : bfloat16_load_part(from.bf16 + j, count);
    }
    if (slope)
        d = d * (count == LANES ? bfloat16_load(slope + j) : bfloat16_load_part(slope + j, count));
    if (d_bias && count == LANES) vec_store(d_bias + j, vec_load(d_bias + j) + d);
    if (d_bias && count < LANES)
        vec_store_part(d_bias + j, vec_load_part(d_bias + j, count) + d, count);
    return bfloat16_round(d);
}

/* The rounded gradients of two tokens, stored as rows and as words of two tokens. */
CPU_INLINE void take_pair(bfloat16 *to, size_t row, uint32_t *paired, float *d_bias,
                          const gradient_row from[2], const bfloat16 *const slope[2], bool both,
                          size_t j, const size_t count) {
    const ivec a = take_vector(from[0], slope[0], d_bias, j, count),
               b = both ? take_vector(from[1], slope[1], d_bias, j, count) : ivec_all(0),
               pair = a | (b << 16);
    if (count == LANES) {
        bfloat16_store_bits(to + j, a);
        if (both) bfloat16_store_bits(to + row + j, b);
        ivec_store(paired + j, pair);
    } else {
        bfloat16_store_bits_part(to + j, a, count);
        if (both) bfloat16_store_bits_part(to + row + j, b, count);
        memcpy(paired + j, &pair, count * sizeof *paired);
    }
}

/* Of some tokens, to `rows`. */
static void take_gradients(const workspace *w, bfloat16 *rows, size_t first, float *d_bias,
                           dt_tensor d_y, dt_tensor slope, size_t tokens, size_t out) {
    const size_t row = (out + 1) / 2 * 2, whole = out / LANES * LANES;
    const bfloat16 *slopes = cpu_bf16(slope);
    for (size_t i = 0; i < tokens; i += 2) {
        const size_t at = (first + i) * out;
        const bool both = i + 1 < tokens;
        const gradient_row from[2] = {gradient_at(d_y, at), gradient_at(d_y, at + out)};
        const bfloat16 *const of[2] = {slopes ? slopes + at : NULL,
                                       slopes ? slopes + at + out : NULL};
        bfloat16 *to = rows + i * row;
        uint32_t *paired = w->paired + (first + i) / 2 * w->pair_row;
        for (size_t j = 0; j < whole; j += LANES)
            take_pair(to, row, paired, d_bias, from, of, both, j, LANES);
        if (whole < out) take_pair(to, row, paired, d_bias, from, of, both, whole, out - whole);
        if (row > out) to[out] = to[row + out] = 0;
    }
}

dt_status cpu_bf16_linear_backward(cpu_backend *cpu, dt_tensor d_x, dt_tensor d_weight,
                                   dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                                   dt_tensor weight, size_t N, size_t in, size_t out,
                                   dt_activation activation) {
    CPU_HALVES("linear_backward", x, slope);
    CPU_FLOATS("linear_backward", d_weight, d_bias);
    CPU_WEIGHTS("linear_backward", weight);
    DT_REQUIRE(d_y.buffer, DT_ERR_INTERNAL, "linear_backward without gradients");
    const bool direct = d_x.element == DT_ELEMENT_FLOAT32;
    const size_t at_once = cpu_columns_at_once(weight, out, in), row = (out + 1) / 2 * 2;
    const dt_tensor slopes = activation == DT_GELU ? slope : DT_NO_TENSOR;
    cpu_packing *packing;
    cpu_right right;
    workspace w = {0};
    if (!d_x.buffer) {
        DT_TRY(reserve(&w, cpu, 0, 0, N, N, out));
        take_gradients(&w, w.rows, 0, cpu_f32(d_bias), d_y, slopes, N, out);
    }
    for (size_t j = 0, columns; d_x.buffer && j < in; j += columns) {
        columns = dt_min_size(at_once, in - j);
        DT_TRY(open_weights(&right, cpu, weight, false, out, in, j, columns));
        const size_t most = dt_min_size(right.rows, N);
        const bool kept = at_once < in; /* for the columns that follow */
        DT_TRY(reserve(&w, cpu, most, in, kept ? N : most, N, out));
        for (size_t i = 0, rows; i < N; i += rows) {
            rows = dt_min_size(most, N - i);
            bfloat16 *d = w.rows + (kept ? i * row : 0);
            float *sums = direct ? cpu_f32(d_x) + i * in + j : w.sums;
            if (j == 0) take_gradients(&w, d, i, cpu_f32(d_bias), d_y, slopes, rows, out);
            cpu_bf16_multiply(sums, (cpu_addend){0},
                              (cpu_left_words){(const uint32_t *)(const void *)d, row / 2, 1},
                              &right, rows);
            if (!direct)
                close_columns(cpu_bf16(d_x) + i * in + j, NULL, sums, rows, columns, in,
                              DT_IDENTITY);
        }
    }
    if (!d_weight.buffer) return DT_OK;
    DT_TRY(cpu_packing_of(&packing, cpu, x, false, true));
    DT_TRY(cpu_bf16_right_open(&right, packing, cpu_bf16(x), true, false, N, in));
    float *sum = cpu_f32(d_weight);
    cpu_bf16_multiply(sum, (cpu_addend){.rows = sum}, (cpu_left_words){w.paired, 1, w.pair_row},
                      &right, out);
    return DT_OK;
}
