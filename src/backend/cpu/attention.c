/* Causal attention inside each packed problem. Its small products are written by hand, since
 * calling BLAS would cost more than they do. One kernel computes them all: a few rows by one vector
 * of columns in registers. Scores are computed for a block of queries at a time: they never leave
 * the cache, and their memory grows with the number of tokens, not with its square. */
#include <math.h>

#include "cpu.h"
#include "vector.h"
#include "window.h"

/* Rows of a tile: at most LANES, so that the zeros after a row of scores reach as far as the tile.
 */
#if CPU_LANES < 8
enum { ROWS = LANES };
#else
enum { ROWS = 8 };
#endif

/* Queries of a block; a multiple of ROWS and LANES. */
enum { BLOCK = 256 };

/* A small matrix that is read element by element: element (i, k) is at p[i * row + k * step]. */
typedef struct {
    const float *p;
    size_t row, step;
} operand;

/* out (ROWS, LANES) = sum over k in [begin, end) of a (ROWS rows from i, k) b (k, LANES columns),
 * added to what is in out if `more`; b and out are row-major. */
CPU_INLINE void tile(float *out, size_t out_row, operand a, size_t i, const float *b, size_t b_row,
                     size_t begin, size_t end, bool more) {
    vec sum[ROWS];
    for (int r = 0; r < ROWS; r++) sum[r] = more ? vec_load(out + (size_t)r * out_row) : vec_all(0);
    const float *left = a.p + i * a.row;
    for (size_t k = begin; k < end; k++) {
        const vec right = vec_load(b + k * b_row);
        for (int r = 0; r < ROWS; r++) sum[r] += left[(size_t)r * a.row + k * a.step] * right;
    }
    for (int r = 0; r < ROWS; r++) vec_store(out + (size_t)r * out_row, sum[r]);
}

/* Queries first … first + count - 1, padded to `rows` (of ROWS). */
typedef struct {
    size_t first, count, rows;
} block;

/* Which products can be skipped because the score matrix is lower triangular. */
typedef enum {
    LOWER_RESULT, /* only columns <= row are wanted */
    LOWER_LEFT,   /* a is lower triangular: k <= row */
} triangle;

/* out (rows, columns) = a (rows, depth) b (depth, columns), whose rows are b_row apart; the rows
 * are those of a block, columns is a multiple of LANES, all padded with zeros. */
CPU_INLINE void multiply(float *out, const block *q, operand a, const float *b, size_t b_row,
                         size_t depth, size_t columns, triangle kind) {
    for (size_t i = 0; i < q->rows; i += ROWS) {
        const size_t last = q->first + i + ROWS;
        const size_t end = kind == LOWER_LEFT ? dt_min_size(last, depth) : depth;
        const size_t wanted = kind == LOWER_RESULT ? dt_min_size(last, columns) : columns;
        for (size_t j = 0; j < wanted; j += LANES) {
            tile(out + i * columns + j, columns, a, i, b + j, b_row, 0, end, false);
        }
    }
}

/* out (keys, columns) += the transpose of scores (queries of a block, keys) b (queries, columns). A
 * key is seen by its own query and later ones, in their order: the first block that sees it begins
 * its sum. */
CPU_INLINE void add_queries(float *out, const block *q, const float *scores, size_t keys,
                            const float *b, size_t columns) {
    const operand a = {scores, 1, keys};
    for (size_t i = 0; i < q->first + q->rows; i += ROWS) {
        const size_t begin = i > q->first ? i - q->first : 0;
        for (size_t j = 0; j < columns; j += LANES) {
            tile(out + i * columns + j, columns, a, i, b + q->first * columns + j, columns, begin,
                 q->count, i < q->first);
        }
    }
}

/* Scratch of one problem and head: n tokens padded to `rows` (of ROWS) and `keys` (of LANES), head
 * width D padded to `width` (of LANES). */
typedef struct {
    size_t n, D, rows, keys, width;
    int32_t window;
    int32_t *spot;            /* (keys) padded with 0; of a window */
    float *q, *k, *v;         /* (rows, width) */
    float *kt, *vt;           /* (width, keys) transposed, for scores and their gradients */
    float *d_out, *d_k, *d_v; /* (rows, width) */
    float *p, *ds;            /* (BLOCK, keys): probabilities, gradient of the scores */
    float *out;               /* (BLOCK, width) */
} workspace;

/* For problem b. */
static dt_status reserve(cpu_backend *cpu, workspace *w, const dt_packed *batch, size_t b, size_t C,
                         const dt_heads *heads) {
    const size_t first = (size_t)batch->host_offset[b],
                 n = (size_t)batch->host_offset[b + 1] - first, D = C / heads->count;
    *w = (workspace){.n = n,
                     .D = D,
                     .rows = dt_round_up(n, ROWS),
                     .keys = dt_round_up(n, LANES),
                     .width = dt_round_up(D, LANES),
                     .window = heads->window};
    const size_t tall = w->rows * w->width, wide = w->width * w->keys;
    const size_t queries = dt_min_size(w->rows, BLOCK), scores = queries * w->keys;
    const size_t wanted = 6 * tall + 2 * wide + 2 * scores + queries * w->width + w->keys;
    DT_TRY(cpu_reserve(&cpu->scratch, wanted, "attention scratch"));
    float *at = cpu->scratch.at;
    float **const part[] = {&w->q,  &w->k,  &w->v, &w->d_out, &w->d_k, &w->d_v,
                            &w->kt, &w->vt, &w->p, &w->ds,    &w->out};
    const size_t size[] = {
        tall, tall, tall, tall, tall, tall, wide, wide, scores, scores, queries * w->width};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        *part[i] = at;
        at += size[i];
    }
    w->spot = (int32_t *)(void *)at;
    if (w->window > 0) copy_spots(w->spot, batch, first, n, w->keys);
    return DT_OK;
}

/* to (D) = from (D) * factor; whole vectors first. */
CPU_INLINE void copy_row(float *to, const float *from, size_t D, float factor) {
    const size_t whole = D / LANES * LANES;
    for (size_t d = 0; d < whole; d += LANES) vec_store(to + d, vec_load(from + d) * factor);
    for (size_t d = whole; d < D; d++) to[d] = from[d] * factor;
}

/* to (rows, width) = from (n rows of D, `row` apart) * factor, padded with zeros. */
CPU_INLINE void copy_in(float *to, const workspace *w, const float *from, size_t row,
                        float factor) {
    for (size_t i = 0; i < w->n; i++) {
        float *t = to + i * w->width;
        copy_row(t, from + i * row, w->D, factor);
        for (size_t d = w->D; d < w->width; d++) t[d] = 0;
    }
    memset(to + w->n * w->width, 0, (w->rows - w->n) * w->width * sizeof *to);
}

/* n rows of whole vectors, `row` apart. */
typedef struct {
    const float *p;
    size_t row;
} right_operand;

/* from (n rows of D, `row` apart) in place if its rows are whole vectors, otherwise a copy. */
CPU_INLINE right_operand whole_rows(float *copy, const workspace *w, const float *from,
                                    size_t row) {
    if (w->D == w->width) return (right_operand){from, row};
    copy_in(copy, w, from, row, 1.0f);
    return (right_operand){copy, w->width};
}

/* to (width, keys) = the transpose of from (n rows of D, `row` apart), padded with zeros. */
CPU_INLINE void transpose_in(float *to, const workspace *w, const float *from, size_t row) {
    for (size_t j = 0; j < w->keys; j += LANES) {
        const size_t rows = dt_min_size(LANES, w->n - j);
        for (size_t d = 0; d < w->width; d += LANES) {
            const size_t columns = dt_min_size(LANES, w->D - d);
            vec block[LANES];
            vec_load_transposed(block, from + j * row + d, row, rows, columns);
            for (size_t i = 0; i < LANES; i++) vec_store(to + (d + i) * w->keys + j, block[i]);
        }
    }
}

/* to (count rows of D, `row` apart) = from (count, width) * factor. */
CPU_INLINE void copy_out(float *to, size_t row, const workspace *w, const float *from, size_t count,
                         float factor) {
    for (size_t i = 0; i < count; i++) copy_row(to + i * row, from + i * w->width, w->D, factor);
}

/* The block that begins with this query. */
CPU_INLINE block block_from(const workspace *w, size_t first) {
    const size_t count = dt_min_size(BLOCK, w->n - first);
    return (block){first, count, dt_round_up(count, ROWS)};
}

/* w->p = the products of a block's queries and all keys that they see. */
CPU_INLINE void score(const workspace *w, const block *q) {
    multiply(w->p, q, (operand){w->q + q->first * w->width, w->width, 1}, w->kt, w->keys, w->D,
             w->keys, LOWER_RESULT);
}

/* Rows of scores after the last query. */
CPU_INLINE void clear_rest(const workspace *w, const block *q, float *scores) {
    memset(scores + q->count * w->keys, 0, (q->rows - q->count) * w->keys * sizeof *scores);
}

/* The functions below work on rows of scores in vectors. Row i has i + 1 scores, then zeros up to
 * the end of its last vector, which is as far as products read it. Masks keep the vectors whole:
 * writing single elements first would delay the load of the vector. */
CPU_INLINE size_t row_end(size_t i) { return dt_round_up(i + 1, LANES); }

/* x where query i sees key j + lane, otherwise `masked`. */
CPU_INLINE vec mask_unseen(vec x, const workspace *w, size_t j, size_t i, float masked) {
    const ivec lane = VEC_COUNT;
    ivec seen = lane <= (int32_t)(i - j);
    if (w->window > 0) seen &= spots_see(ivec_all(w->spot[i]), ivec_load(w->spot + j), w->window);
    return vec_choose(seen, x, vec_all(masked));
}

/* exp(score - highest) of a row, in place; their sum and the highest. */
CPU_INLINE float exponentials(float *most, float *row, const workspace *w, size_t i) {
    const size_t end = row_end(i), last = end - LANES;
    vec highest = mask_unseen(vec_load(row + last), w, last, i, -INFINITY);
    for (size_t j = 0; j < last; j += LANES)
        highest = vec_max(highest, mask_unseen(vec_load(row + j), w, j, i, -INFINITY));
    *most = vec_most(highest);
    vec sum = vec_all(0);
    for (size_t j = 0; j < end; j += LANES) {
        const vec e = mask_unseen(vec_exp(vec_load(row + j) - *most), w, j, i, 0);
        vec_store(row + j, e);
        sum += e;
    }
    return vec_sum(sum);
}

static void head_forward(float *y, float *lse, const workspace *w, const float *qkv, size_t C,
                         size_t H, float scale) {
    copy_in(w->q, w, qkv, 3 * C, scale);
    transpose_in(w->kt, w, qkv + C, 3 * C);
    const right_operand v = whole_rows(w->v, w, qkv + 2 * C, 3 * C);
    for (size_t first = 0; first < w->n; first += BLOCK) {
        float inverse[BLOCK]; /* 1/sum of a row's exponentials */
        const block q = block_from(w, first);
        score(w, &q);
        for (size_t i = 0; i < q.count; i++) {
            float most;
            const float sum = exponentials(&most, w->p + i * w->keys, w, first + i);
            inverse[i] = 1.0f / sum;
            lse[(first + i) * H] = most + logf(sum);
        }
        clear_rest(w, &q, w->p);
        multiply(w->out, &q, (operand){w->p, w->keys, 1}, v.p, v.row, w->n, w->width, LOWER_LEFT);
        for (size_t i = 0; i < q.count; i++)
            copy_row(y + (first + i) * C, w->out + i * w->width, w->D, inverse[i]);
    }
}

dt_status cpu_attention_forward(dt_backend *backend, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                const dt_packed *batch, size_t C, const dt_heads *heads) {
    const size_t H = heads->count, D = C / H;
    cpu_backend *cpu = (cpu_backend *)backend;
    if (heads->window > 0) CPU_INTS("attention_forward", batch->spot);
    if (qkv.element == DT_ELEMENT_BFLOAT16)
        return cpu->bf16->attention_forward(cpu, y, lse, qkv, batch, C, heads);
    CPU_FLOATS("attention_forward", y, lse, qkv);
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve(cpu, &w, batch, b, C, heads));
        for (size_t h = 0; h < H; h++) {
            head_forward(cpu_f32(y) + first * C + h * D, cpu_f32(lse) + first * H + h, &w,
                         cpu_f32(qkv) + first * 3 * C + h * D, C, H, heads->scale);
        }
    }
    return DT_OK;
}

/* Computes the probabilities again, from the scores and their stored log-sum. */
CPU_INLINE void probabilities(const workspace *w, const block *q, const float *lse, size_t H) {
    for (size_t r = 0; r < q->count; r++) {
        const size_t i = q->first + r;
        float *row = w->p + r * w->keys;
        for (size_t j = 0; j < row_end(i); j += LANES) {
            const vec p = vec_exp(vec_load(row + j) - lse[i * H]);
            vec_store(row + j, mask_unseen(p, w, j, i, 0));
        }
    }
    clear_rest(w, q, w->p);
}

/* ds = p (dp - sum(p dp)), in place of dp. sum(p dp) is d_y . y. */
CPU_INLINE void score_gradients(const workspace *w, const block *q, const float *y,
                                const float *d_y, size_t C) {
    for (size_t r = 0; r < q->count; r++) {
        const size_t i = q->first + r;
        const float *p = w->p + r * w->keys;
        float *row = w->ds + r * w->keys;
        const float dot = vec_dot(y + i * C, d_y + i * C, w->D);
        for (size_t j = 0; j < row_end(i); j += LANES)
            vec_store(row + j, vec_load(p + j) * (vec_load(row + j) - dot));
    }
    clear_rest(w, q, w->ds);
}

static void head_backward(float *d_qkv, const workspace *w, const float *d_y, const float *y,
                          const float *lse, const float *qkv, size_t C, size_t H) {
    const float scale = 1.0f / sqrtf((float)w->D);
    copy_in(w->q, w, qkv, 3 * C, scale);
    const right_operand k = whole_rows(w->k, w, qkv + C, 3 * C);
    transpose_in(w->kt, w, qkv + C, 3 * C);
    transpose_in(w->vt, w, qkv + 2 * C, 3 * C);
    copy_in(w->d_out, w, d_y, C, 1.0f);
    for (size_t first = 0; first < w->n; first += BLOCK) {
        const block q = block_from(w, first);
        score(w, &q);
        probabilities(w, &q, lse, H);
        multiply(w->ds, &q, (operand){w->d_out + first * w->width, w->width, 1}, w->vt, w->keys,
                 w->D, w->keys, LOWER_RESULT);
        score_gradients(w, &q, y, d_y, C);
        multiply(w->out, &q, (operand){w->ds, w->keys, 1}, k.p, k.row, w->n, w->width, LOWER_LEFT);
        copy_out(d_qkv + first * 3 * C, 3 * C, w, w->out, q.count, scale);
        add_queries(w->d_k, &q, w->ds, w->keys, w->q, w->width);
        add_queries(w->d_v, &q, w->p, w->keys, w->d_out, w->width);
    }
    copy_out(d_qkv + C, 3 * C, w, w->d_k, w->n, 1.0f);
    copy_out(d_qkv + 2 * C, 3 * C, w, w->d_v, w->n, 1.0f);
}

dt_status cpu_attention_backward(dt_backend *backend, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                 dt_tensor lse, dt_tensor qkv, const dt_packed *batch, size_t C,
                                 const dt_heads *heads) {
    const size_t H = heads->count, D = C / H;
    cpu_backend *cpu = (cpu_backend *)backend;
    if (heads->window > 0) CPU_INTS("attention_backward", batch->spot);
    if (qkv.element == DT_ELEMENT_BFLOAT16)
        return cpu->bf16->attention_backward(cpu, d_qkv, d_y, y, lse, qkv, batch, C, heads);
    CPU_FLOATS("attention_backward", d_qkv, d_y, y, lse, qkv);
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve(cpu, &w, batch, b, C, heads));
        for (size_t h = 0; h < H; h++) {
            const size_t one = first * C + h * D, three = first * 3 * C + h * D;
            head_backward(cpu_f32(d_qkv) + three, &w, cpu_f32(d_y) + one, cpu_f32(y) + one,
                          cpu_f32(lse) + first * H + h, cpu_f32(qkv) + three, C, H);
        }
    }
    return DT_OK;
}

/* One sequence: keys and values of its n tokens so far, the last of which is the query. */
typedef struct {
    const float *keys, *values; /* of a head, C apart */
    const int32_t *spot;        /* (n) of a window; NULL: there is none */
    size_t n;
} sequence;

static void head_decode(float *y, float *score, const float *q, const sequence *s, size_t D,
                        size_t C, const dt_heads *heads) {
    float most = -INFINITY;
    for (size_t j = 0; j < s->n; j++) {
        const bool sees = !s->spot || spot_sees(s->spot[s->n - 1], s->spot[j], heads->window);
        score[j] = sees ? vec_dot(q, s->keys + j * C, D) * heads->scale : -INFINITY;
        most = score[j] > most ? score[j] : most;
    }
    float total = 0;
    for (size_t j = 0; j < s->n; j++) total += score[j] = expf(score[j] - most);
    memset(y, 0, D * sizeof *y);
    for (size_t j = 0; j < s->n; j++) {
        const float p = score[j] / total;
        for (size_t d = 0; d < D; d++) y[d] += p * s->values[j * C + d];
    }
}

dt_status cpu_attention_decode(dt_backend *backend, dt_tensor y, const dt_attention_cache *cache,
                               dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B, size_t C,
                               const dt_heads *heads) {
    CPU_INTS("attention_decode", length);
    if (heads->window > 0) CPU_INTS("attention_decode", spot, cache->spot);
    const size_t D = C / heads->count, T = cache->T;
    cpu_backend *cpu = (cpu_backend *)backend;
    if (qkv.element == DT_ELEMENT_BFLOAT16)
        return cpu->bf16->attention_decode(cpu, y, cache, qkv, spot, length, B, C, heads);
    CPU_FLOATS("attention_decode", y, cache->k, cache->v, qkv);
    DT_TRY(cpu_reserve(&cpu->scratch, T, "attention scratch"));
    for (size_t b = 0; b < B; b++) {
        const size_t at = (size_t)cpu_i32(length)[b];
        DT_REQUIRE(at < T, DT_ERR_INTERNAL,
                   "sequence %zu is %zu tokens long, its cache has room for %zu", b, at, T);
        float *keys = cpu_f32(cache->k) + b * T * C, *values = cpu_f32(cache->v) + b * T * C;
        int32_t *spots = heads->window > 0 ? cpu_i32(cache->spot) + b * T : NULL;
        const float *row = cpu_f32(qkv) + b * 3 * C;
        memcpy(keys + at * C, row + C, C * sizeof *keys);
        memcpy(values + at * C, row + 2 * C, C * sizeof *values);
        if (spots) spots[at] = cpu_i32(spot)[b];
        for (size_t h = 0; h < heads->count; h++) {
            const sequence s = {keys + h * D, values + h * D, spots, at + 1};
            head_decode(cpu_f32(y) + b * C + h * D, cpu->scratch.at, row + h * D, &s, D, C, heads);
        }
    }
    return DT_OK;
}
