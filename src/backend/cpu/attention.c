/* Causal attention inside each packed problem: small products by hand, since BLAS' own overhead
   exceeds them. All of them are one kernel, four rows by 32 columns in registers; scores never
   leave the cache. */
#include <math.h>

#include "cpu.h"

enum { ROWS = 4, COLUMNS = 2 * LANES };

/* A small matrix that is read element by element: element (i, k) is at p[i * row + k * step]. */
typedef struct {
    const float *p;
    size_t row, step;
} operand;

/* out (4, 32) = sum over k in [begin, end) of a (4 rows from i, k) b (k, 32 columns); b and out are
 * row-major. */
CPU_INLINE void tile(float *out, size_t out_row, operand a, size_t i, const float *b, size_t b_row,
                     size_t begin, size_t end) {
    vec sum[ROWS][2];
    for (int r = 0; r < ROWS; r++) sum[r][0] = sum[r][1] = vec_all(0);
    const float *left = a.p + i * a.row;
    for (size_t k = begin; k < end; k++) {
        const vec b0 = vec_load(b + k * b_row), b1 = vec_load(b + k * b_row + LANES);
        for (int r = 0; r < ROWS; r++) {
            const float x = left[(size_t)r * a.row + k * a.step];
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
    }
    for (int r = 0; r < ROWS; r++) {
        vec_store(out + (size_t)r * out_row, sum[r][0]);
        vec_store(out + (size_t)r * out_row + LANES, sum[r][1]);
    }
}

/* Which products can be skipped because the score matrix is lower triangular. */
typedef enum {
    LOWER_RESULT, /* only columns <= row are wanted */
    LOWER_LEFT,   /* a is lower triangular: k <= row */
    UPPER_LEFT,   /* a is the transpose of a lower triangular one: k >= row */
} triangle;

/* out (rows, columns) = a (rows, depth) b (depth, columns); rows is a multiple of 4, columns of 32,
 * all padded with zeros. */
CPU_INLINE void multiply(float *out, operand a, const float *b, size_t rows, size_t depth,
                         size_t columns, triangle kind) {
    for (size_t i = 0; i < rows; i += ROWS) {
        const size_t last = i + ROWS;
        const size_t begin = kind == UPPER_LEFT ? i : 0;
        const size_t end = kind == LOWER_LEFT ? dt_min_size(last, depth) : depth;
        const size_t wanted = kind == LOWER_RESULT ? dt_min_size(last, columns) : columns;
        for (size_t j = 0; j < wanted; j += COLUMNS) {
            tile(out + i * columns + j, columns, a, i, b + j, columns, begin, end);
        }
    }
}

/* Scratch of one problem and head: n tokens padded to `rows` (of 4) and `keys` (of 32), head width
 * D padded to `width` (of 32). */
typedef struct {
    size_t n, D, rows, keys, width;
    float *q, *k, *v;   /* (rows, width) */
    float *kt, *vt;     /* (width, keys) transposed, for scores and their gradients */
    float *p, *ds;      /* (rows, keys): probabilities, gradient of the scores */
    float *out, *d_out; /* (rows, width) */
} workspace;

static dt_status reserve(cpu_backend *cpu, workspace *w, size_t n, size_t D) {
    *w = (workspace){.n = n,
                     .D = D,
                     .rows = dt_round_up(n, ROWS),
                     .keys = dt_round_up(n, COLUMNS),
                     .width = dt_round_up(D, COLUMNS)};
    const size_t tall = w->rows * w->width, wide = w->width * w->keys, square = w->rows * w->keys;
    const size_t wanted = 5 * tall + 2 * wide + 2 * square;
    DT_TRY(cpu_reserve(cpu, wanted, "attention scratch"));
    float *at = cpu->scratch;
    float **const part[] = {&w->q, &w->k, &w->v, &w->out, &w->d_out, &w->kt, &w->vt, &w->p, &w->ds};
    const size_t size[] = {tall, tall, tall, tall, tall, wide, wide, square, square};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        *part[i] = at;
        at += size[i];
    }
    return DT_OK;
}

/* to (rows, width) = from (n rows of D, `row` apart) * factor, padded with zeros. */
CPU_INLINE void copy_in(float *to, const workspace *w, const float *from, size_t row,
                        float factor) {
    for (size_t i = 0; i < w->rows; i++) {
        float *t = to + i * w->width;
        if (i >= w->n) {
            memset(t, 0, w->width * sizeof *t);
            continue;
        }
        for (size_t d = 0; d < w->D; d++) t[d] = from[i * row + d] * factor;
        for (size_t d = w->D; d < w->width; d++) t[d] = 0;
    }
}

/* to (width, keys) = the transpose of from (n rows of D, `row` apart), padded with zeros. */
CPU_INLINE void transpose_in(float *to, const workspace *w, const float *from, size_t row) {
    for (size_t d = 0; d < w->D; d++) {
        float *t = to + d * w->keys;
        for (size_t j = 0; j < w->n; j++) t[j] = from[j * row + d];
        for (size_t j = w->n; j < w->keys; j++) t[j] = 0;
    }
}

CPU_INLINE void copy_out(float *to, size_t row, const workspace *w, const float *from,
                         float factor) {
    for (size_t i = 0; i < w->n; i++) {
        for (size_t d = 0; d < w->D; d++) to[i * row + d] = from[i * w->width + d] * factor;
    }
}

/* Zeroes what lies right of the diagonal, up to the padding. */
CPU_INLINE void clear_future(float *row, size_t i, size_t keys) {
    for (size_t j = i + 1; j < keys; j++) row[j] = 0;
}

/* Softmax of the first i + 1 scores of a row, in place; gives log(sum(exp)). */
CPU_INLINE float softmax_row(float *row, size_t i, size_t keys) {
    float most = row[0];
    for (size_t j = 1; j <= i; j++) most = row[j] > most ? row[j] : most;
    const size_t end = dt_round_up(i + 1, LANES);
    for (size_t j = i + 1; j < end; j++) row[j] = -1e30f;
    vec sum = vec_all(0);
    for (size_t j = 0; j < end; j += LANES) {
        const vec e = vec_exp(vec_load(row + j) - most);
        vec_store(row + j, e);
        sum += e;
    }
    /* A masked lane holds exp(-87), about 1e-38: nothing in a sum that is at least 1. */
    const float total = vec_sum(sum), scale = 1.0f / total;
    for (size_t j = 0; j < end; j += LANES) vec_store(row + j, vec_load(row + j) * scale);
    clear_future(row, i, keys);
    return most + logf(total);
}

DT_HOT static void head_forward(float *y, float *lse, const workspace *w, const float *qkv,
                                size_t C, size_t H) {
    copy_in(w->q, w, qkv, 3 * C, 1.0f / sqrtf((float)w->D));
    transpose_in(w->kt, w, qkv + C, 3 * C);
    copy_in(w->v, w, qkv + 2 * C, 3 * C, 1.0f);
    multiply(w->p, (operand){w->q, w->width, 1}, w->kt, w->rows, w->D, w->keys, LOWER_RESULT);
    for (size_t i = 0; i < w->n; i++) lse[i * H] = softmax_row(w->p + i * w->keys, i, w->keys);
    for (size_t i = w->n; i < w->rows; i++) memset(w->p + i * w->keys, 0, w->keys * sizeof *w->p);
    multiply(w->out, (operand){w->p, w->keys, 1}, w->v, w->rows, w->n, w->width, LOWER_LEFT);
    copy_out(y, C, w, w->out, 1.0f);
}

dt_status cpu_attention_forward(dt_backend *backend, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                const dt_packed *batch, size_t C, size_t H) {
    const size_t D = C / H;
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve((cpu_backend *)backend, &w, (size_t)batch->host_offset[b + 1] - first, D));
        for (size_t h = 0; h < H; h++) {
            head_forward(cpu_f32(y) + first * C + h * D, cpu_f32(lse) + first * H + h, &w,
                         cpu_f32(qkv) + first * 3 * C + h * D, C, H);
        }
    }
    return DT_OK;
}

/* Probabilities again from the scores and their kept log-sum. */
CPU_INLINE void probabilities(const workspace *w, const float *lse, size_t H) {
    for (size_t i = 0; i < w->rows; i++) {
        float *row = w->p + i * w->keys;
        if (i >= w->n) {
            memset(row, 0, w->keys * sizeof *row);
            continue;
        }
        const size_t end = dt_round_up(i + 1, LANES);
        for (size_t j = 0; j < end; j += LANES)
            vec_store(row + j, vec_exp(vec_load(row + j) - lse[i * H]));
        clear_future(row, i, w->keys);
    }
}

/* ds = p (dp - sum(p dp)), in place of dp. sum(p dp) is d_y . y. */
CPU_INLINE void score_gradients(const workspace *w, const float *y, const float *d_y, size_t C) {
    for (size_t i = 0; i < w->rows; i++) {
        float *row = w->ds + i * w->keys;
        if (i >= w->n) {
            memset(row, 0, w->keys * sizeof *row);
            continue;
        }
        float dot = 0;
        for (size_t d = 0; d < w->D; d++) dot += y[i * C + d] * d_y[i * C + d];
        const float *p = w->p + i * w->keys;
        const size_t end = dt_round_up(i + 1, LANES);
        for (size_t j = 0; j < end; j += LANES)
            vec_store(row + j, vec_load(p + j) * (vec_load(row + j) - dot));
        clear_future(row, i, w->keys);
    }
}

DT_HOT static void head_backward(float *d_qkv, const workspace *w, const float *d_y, const float *y,
                                 const float *lse, const float *qkv, size_t C, size_t H) {
    const float scale = 1.0f / sqrtf((float)w->D);
    copy_in(w->q, w, qkv, 3 * C, scale);
    copy_in(w->k, w, qkv + C, 3 * C, 1.0f);
    transpose_in(w->kt, w, qkv + C, 3 * C);
    transpose_in(w->vt, w, qkv + 2 * C, 3 * C);
    copy_in(w->d_out, w, d_y, C, 1.0f);
    multiply(w->p, (operand){w->q, w->width, 1}, w->kt, w->rows, w->D, w->keys, LOWER_RESULT);
    probabilities(w, lse, H);
    multiply(w->ds, (operand){w->d_out, w->width, 1}, w->vt, w->rows, w->D, w->keys, LOWER_RESULT);
    score_gradients(w, y, d_y, C);
    multiply(w->out, (operand){w->ds, w->keys, 1}, w->k, w->rows, w->n, w->width, LOWER_LEFT);
    copy_out(d_qkv, 3 * C, w, w->out, scale);
    multiply(w->out, (operand){w->ds, 1, w->keys}, w->q, w->rows, w->n, w->width, UPPER_LEFT);
    copy_out(d_qkv + C, 3 * C, w, w->out, 1.0f);
    multiply(w->out, (operand){w->p, 1, w->keys}, w->d_out, w->rows, w->n, w->width, UPPER_LEFT);
    copy_out(d_qkv + 2 * C, 3 * C, w, w->out, 1.0f);
}

dt_status cpu_attention_backward(dt_backend *backend, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                 dt_tensor lse, dt_tensor qkv, const dt_packed *batch, size_t C,
                                 size_t H) {
    const size_t D = C / H;
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve((cpu_backend *)backend, &w, (size_t)batch->host_offset[b + 1] - first, D));
        for (size_t h = 0; h < H; h++) {
            const size_t one = first * C + h * D, three = first * 3 * C + h * D;
            head_backward(cpu_f32(d_qkv) + three, &w, cpu_f32(d_y) + one, cpu_f32(y) + one,
                          cpu_f32(lse) + first * H + h, cpu_f32(qkv) + three, C, H);
        }
    }
    return DT_OK;
}

/* One query over the cached keys and values of its sequence. */
DT_HOT static void head_decode(float *y, float *score, const float *q, const float *keys,
                               const float *values, size_t n, size_t D, size_t C) {
    const float scale = 1.0f / sqrtf((float)D);
    float most = -INFINITY;
    for (size_t j = 0; j < n; j++) {
        float dot = 0;
        for (size_t d = 0; d < D; d++) dot += q[d] * keys[j * C + d];
        score[j] = dot * scale;
        most = score[j] > most ? score[j] : most;
    }
    float total = 0;
    for (size_t j = 0; j < n; j++) total += score[j] = expf(score[j] - most);
    memset(y, 0, D * sizeof *y);
    for (size_t j = 0; j < n; j++) {
        const float p = score[j] / total;
        for (size_t d = 0; d < D; d++) y[d] += p * values[j * C + d];
    }
}

dt_status cpu_attention_decode(dt_backend *backend, dt_tensor y, dt_tensor k_cache,
                               dt_tensor v_cache, dt_tensor qkv, dt_tensor length, size_t B,
                               size_t T, size_t C, size_t H) {
    const size_t D = C / H;
    workspace w;
    DT_TRY(reserve((cpu_backend *)backend, &w, T, D));
    for (size_t b = 0; b < B; b++) {
        const size_t at = (size_t)cpu_i32(length)[b];
        DT_REQUIRE(at < T, DT_ERR_INTERNAL,
                   "sequence %zu is %zu tokens long, its cache has room for %zu", b, at, T);
        float *keys = cpu_f32(k_cache) + b * T * C, *values = cpu_f32(v_cache) + b * T * C;
        const float *row = cpu_f32(qkv) + b * 3 * C;
        memcpy(keys + at * C, row + C, C * sizeof *keys);
        memcpy(values + at * C, row + 2 * C, C * sizeof *values);
        for (size_t h = 0; h < H; h++) {
            head_decode(cpu_f32(y) + b * C + h * D, w.p, row + h * D, keys + h * D, values + h * D,
                        at + 1, D, C);
        }
    }
    return DT_OK;
}
