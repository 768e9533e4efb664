/* Causal attention inside each packed problem in bfloat16. Queries, keys, values, probabilities and
 * the gradients of scores are bfloat16 operands of products; sums and softmax are float32. A word
 * is two neighbouring bfloat16 numbers in 32 bits. Scores are stored transposed, a row for each key
 * and a column for each query: maxima and sums are then computed lane by lane, and both kinds of
 * words are built from rows. */
#include <math.h>

#include "bfloat16.h"
#include "cpu.h"

/* Rows of a tile: at most LANES, so that the zeros after a row of scores reach as far as the tile.
 */
#if CPU_LANES < 8
enum { ROWS = LANES };
#else
enum { ROWS = 8 };
#endif

/* A small matrix that is read word by word: word (i, k) is at p[i * row + k * step]. */
typedef cpu_left_words operand;

/* out (ROWS, columns * LANES) = sum over words k in [begin, end) of a (ROWS rows from i, k) times b
 * (k, columns); b and out are row-major. */
CPU_INLINE void tile(float *out, size_t out_row, operand a, size_t i, const uint32_t *b,
                     size_t b_row, size_t begin, size_t end, const int columns) {
    vec sum[ROWS][2];
    for (int r = 0; r < ROWS; r++) sum[r][0] = sum[r][1] = vec_all(0);
    const uint32_t *left = a.p + i * a.row;
    for (size_t k = begin; k < end; k++) {
        const ivec first = ivec_load(b + k * b_row),
                   second = columns > 1 ? ivec_load(b + k * b_row + LANES) : first;
        for (int r = 0; r < ROWS; r++) {
            const ivec x = ivec_all((int32_t)left[(size_t)r * a.row + k * a.step]);
            sum[r][0] = bfloat16_dot(sum[r][0], x, first);
            if (columns > 1) sum[r][1] = bfloat16_dot(sum[r][1], x, second);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        vec_store(out + (size_t)r * out_row, sum[r][0]);
        if (columns > 1) vec_store(out + (size_t)r * out_row + LANES, sum[r][1]);
    }
}

/* Which products can be skipped because a query does not see later keys. */
typedef enum {
    UPPER_RESULT, /* only columns >= row are wanted */
    LOWER_LEFT,   /* a is lower triangular: its columns <= row */
    UPPER_LEFT,   /* a is upper triangular: its columns >= row */
} triangle;

static size_t words(size_t count) { return (count + 1) / 2; }

/* out (rows, columns) = a (rows, depth) b (depth, columns), depth counted in words; rows is a
 * multiple of ROWS, columns of LANES, all padded with zeros. */
CPU_INLINE void multiply(float *out, operand a, const uint32_t *b, size_t rows, size_t depth,
                         size_t columns, triangle kind) {
    for (size_t i = 0; i < rows; i += ROWS) {
        const size_t last = i + ROWS;
        const size_t begin = kind == UPPER_LEFT ? i / 2 : 0;
        const size_t end = kind == LOWER_LEFT ? dt_min_size(words(last), depth) : depth;
        size_t j = kind == UPPER_RESULT ? i / LANES * LANES : 0;
        for (; j + LANES < columns; j += 2 * LANES) {
            tile(out + i * columns + j, columns, a, i, b + j, columns, begin, end, 2);
        }
        if (j < columns) {
            tile(out + i * columns + j, columns, a, i, b + j, columns, begin, end, 1);
        }
    }
}

/* Scratch of one problem and head: n tokens padded to `rows` (of ROWS) and `lanes` (of LANES), head
 * width D in D/2 words, padded to `width` numbers (of LANES). `transposed` holds words of two
 * channels, a column for each token; `paired` holds words of two tokens, a column for each channel.
 * */
typedef struct {
    size_t n, D, depth, rows, lanes, width;
    uint32_t *words;      /* (rows, depth) one of q, k, v or the output's gradient */
    uint32_t *transposed; /* (depth, lanes) */
    uint32_t *paired;     /* (lanes / 2, width) */
    uint32_t *rounded;    /* (lanes, lanes / 2) scores, in either kind of words */
    float *p, *ds;        /* (lanes, lanes) by key and query: probabilities, gradients */
    float *out;           /* (lanes, width) */
    float *row;           /* (lanes) one number for each query */
} workspace;

static dt_status reserve(cpu_backend *cpu, workspace *w, size_t n, size_t D) {
    *w = (workspace){.n = n,
                     .D = D,
                     .depth = words(D),
                     .rows = dt_round_up(n, ROWS),
                     .lanes = dt_round_up(n, LANES),
                     .width = dt_round_up(D, LANES)};
    const size_t square = w->lanes * w->lanes, tall = w->lanes * w->width;
    const size_t size[] = {dt_round_up(w->rows * w->depth, LANES),
                           w->depth * w->lanes,
                           tall / 2,
                           square / 2,
                           square,
                           square,
                           tall,
                           w->lanes};
    uint32_t **const word[] = {&w->words, &w->transposed, &w->paired, &w->rounded};
    float **const part[] = {&w->p, &w->ds, &w->out, &w->row};
    size_t wanted = 0;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) wanted += size[i];
    DT_TRY(cpu_reserve(&cpu->scratch, wanted, "attention scratch"));
    float *at = cpu->scratch.at;
    for (size_t i = 0; i < sizeof size / sizeof *size; at += size[i++]) {
        if (i < 4) *word[i] = (uint32_t *)(void *)at;
        if (i >= 4) *part[i - 4] = at;
    }
    return DT_OK;
}

/* n rows of D numbers, `row` apart, as words: in place, or a copy padded to whole words and tiles.
 */
CPU_INLINE operand rows_of(const workspace *w, const bfloat16 *from, size_t row) {
    if (w->n == w->rows && w->D % 2 == 0)
        return (operand){(const uint32_t *)(const void *)from, row / 2, 1};
    uint32_t *to = w->words;
    for (size_t i = 0; i < w->rows; i++, to += w->depth) {
        if (i >= w->n || w->D % 2 == 1) memset(to, 0, w->depth * sizeof *to);
        if (i < w->n) memcpy(to, from + i * row, w->D * sizeof *from);
    }
    return (operand){w->words, w->depth, 1};
}

/* (depth, lanes) the words of rows, transposed and padded with zeros. */
CPU_INLINE const uint32_t *transpose(const workspace *w, operand rows) {
    for (size_t j = 0; j < w->lanes; j += LANES) {
        const size_t tokens = dt_min_size(LANES, w->n - j);
        for (size_t d = 0; d < w->depth; d += LANES) {
            const size_t columns = dt_min_size(LANES, w->depth - d);
            vec block[LANES];
            vec_load_transposed(block, (const float *)(const void *)(rows.p + j * rows.row + d),
                                rows.row, tokens, columns);
            for (size_t i = 0; i < columns; i++)
                ivec_store(w->transposed + (d + i) * w->lanes + j, (ivec)block[i]);
        }
    }
    return w->transposed;
}

/* (lanes / 2, width) words of two tokens, from n rows of D numbers, `row` apart; padded with zeros.
 */
CPU_INLINE const uint32_t *pair_tokens(const workspace *w, const bfloat16 *from, size_t row) {
    uint32_t *to = w->paired;
    for (size_t i = 0; i < w->n; i += 2, to += w->width) {
        const bfloat16 *even = from + i * row, *odd = even + row;
        for (size_t d = 0; d < w->width; d += LANES) {
            const size_t count = d < w->D ? dt_min_size(LANES, w->D - d) : 0;
            vec low = vec_all(0), high = vec_all(0);
            if (count == LANES) {
                low = bfloat16_load(even + d);
                if (i + 1 < w->n) high = bfloat16_load(odd + d);
            } else if (count > 0) {
                low = bfloat16_load_part(even + d, count);
                if (i + 1 < w->n) high = bfloat16_load_part(odd + d, count);
            }
            ivec_store(to + d, (((ivec)low >> 16) & 0xffff) | (ivec)high);
        }
    }
    return w->paired;
}

/* Scores as the left side of a product over queries: a row for each key. */
CPU_INLINE operand by_key(const workspace *w, const float *scores) {
    bfloat16 *to = (bfloat16 *)(void *)w->rounded;
    for (size_t i = 0; i < w->rows; i++) {
        for (size_t j = i / LANES * LANES; j < w->lanes; j += LANES)
            bfloat16_store(to + i * w->lanes + j, vec_load(scores + i * w->lanes + j));
    }
    return (operand){w->rounded, w->lanes / 2, 1};
}

/* Scores as the left side of a product over keys: a row for each query. */
CPU_INLINE operand by_query(const workspace *w, const float *scores) {
    for (size_t i = 0; i < w->rows; i += 2) {
        for (size_t j = i / LANES * LANES; j < w->lanes; j += LANES) {
            const float *at = scores + i * w->lanes + j;
            ivec_store(w->rounded + i / 2 * w->lanes + j,
                       bfloat16_pair(vec_load(at), vec_load(at + w->lanes)));
        }
    }
    return (operand){w->rounded, 1, w->lanes};
}

/* x where query j + lane is key i or later, and so sees it; elsewhere `otherwise`. */
CPU_INLINE vec mask_past(vec x, size_t i, size_t j, float otherwise) {
    const ivec lane = VEC_COUNT;
    return vec_choose(lane + (int32_t)j >= (int32_t)i, x, vec_all(otherwise));
}

/* Sets the rows after the last key to 0 for the products. */
CPU_INLINE void clear_rest(const workspace *w, float *scores) {
    memset(scores + w->n * w->lanes, 0, (w->rows - w->n) * w->lanes * sizeof *scores);
}

/* p (lanes, lanes): the products of keys and queries. */
CPU_INLINE void score(const workspace *w, const bfloat16 *qkv, size_t C) {
    const uint32_t *queries = transpose(w, rows_of(w, qkv, 3 * C));
    multiply(w->p, rows_of(w, qkv + C, 3 * C), queries, w->rows, w->depth, w->lanes, UPPER_RESULT);
}

/* exp(scale score - highest) for LANES queries from j on, in place; their sums, and the highest. */
CPU_INLINE vec exponentials(vec *most, const workspace *w, size_t j, float scale) {
    const size_t keys = dt_min_size(j + LANES, w->n);
    vec highest = vec_all(-INFINITY), sum = vec_all(0);
    for (size_t i = 0; i < keys; i++)
        highest = vec_max(highest, mask_past(vec_load(w->p + i * w->lanes + j), i, j, -INFINITY));
    *most = highest * scale;
    for (size_t i = 0; i < keys; i++) {
        float *at = w->p + i * w->lanes + j;
        const vec e = mask_past(vec_exp(vec_load(at) * scale - *most), i, j, 0);
        vec_store(at, e);
        sum += e;
    }
    return sum;
}

static void head_forward(bfloat16 *y, float *lse, const workspace *w, const bfloat16 *qkv, size_t C,
                         size_t H, float scale) {
    score(w, qkv, C);
    for (size_t j = 0; j < w->lanes; j += LANES) {
        vec most;
        const vec sum = exponentials(&most, w, j, scale);
        vec_store(w->row + j, 1.0f / sum);
        for (size_t i = j; i < j + LANES && i < w->n; i++)
            lse[i * H] = most[i - j] + logf(sum[i - j]);
    }
    clear_rest(w, w->p);
    multiply(w->out, by_query(w, w->p), pair_tokens(w, qkv + 2 * C, 3 * C), w->rows, words(w->n),
             w->width, LOWER_LEFT);
    const size_t whole = w->D / LANES * LANES;
    for (size_t i = 0; i < w->n; i++, y += C) {
        const float *from = w->out + i * w->width, factor = w->row[i];
        for (size_t d = 0; d < whole; d += LANES)
            bfloat16_store(y + d, vec_load(from + d) * factor);
        if (whole < w->D)
            bfloat16_store_part(y + whole, vec_load(from + whole) * factor, w->D - whole);
    }
}

dt_status cpu_bf16_attention_forward(cpu_backend *cpu, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                     const dt_packed *batch, size_t C, size_t H, float scale) {
    CPU_HALVES("attention_forward", y, qkv);
    CPU_FLOATS("attention_forward", lse);
    const size_t D = C / H;
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve(cpu, &w, (size_t)batch->host_offset[b + 1] - first, D));
        for (size_t h = 0; h < H; h++) {
            head_forward(cpu_bf16(y) + first * C + h * D, cpu_f32(lse) + first * H + h, &w,
                         cpu_bf16(qkv) + first * 3 * C + h * D, C, H, scale);
        }
    }
    return DT_OK;
}

/* Computes the probabilities again, from the scores and their stored log-sum. */
CPU_INLINE void probabilities(const workspace *w, const float *lse, size_t H, float scale) {
    for (size_t i = 0; i < w->lanes; i++) w->row[i] = i < w->n ? lse[i * H] : 0;
    for (size_t i = 0; i < w->n; i++) {
        for (size_t j = i / LANES * LANES; j < w->lanes; j += LANES) {
            float *at = w->p + i * w->lanes + j;
            const vec p = vec_exp(vec_load(at) * scale - vec_load(w->row + j));
            vec_store(at, mask_past(p, i, j, 0));
        }
    }
    clear_rest(w, w->p);
}

/* Sum over channels of y d_y, which is subtracted from every gradient of a query's probabilities.
 */
CPU_INLINE float row_dot(const bfloat16 *y, const bfloat16 *d_y, size_t D) {
    const size_t whole = D / LANES * LANES;
    vec sum = vec_all(0);
    for (size_t d = 0; d < whole; d += LANES) sum += bfloat16_load(y + d) * bfloat16_load(d_y + d);
    if (whole < D)
        sum +=
            bfloat16_load_part(y + whole, D - whole) * bfloat16_load_part(d_y + whole, D - whole);
    return vec_sum(sum);
}

/* ds = p (dp - y . d_y), in place of dp. */
CPU_INLINE void score_gradients(const workspace *w, const bfloat16 *y, const bfloat16 *d_y,
                                size_t C) {
    for (size_t i = 0; i < w->lanes; i++)
        w->row[i] = i < w->n ? row_dot(y + i * C, d_y + i * C, w->D) : 0;
    for (size_t i = 0; i < w->n; i++) {
        for (size_t j = i / LANES * LANES; j < w->lanes; j += LANES) {
            const size_t at = i * w->lanes + j;
            vec_store(w->ds + at,
                      vec_load(w->p + at) * (vec_load(w->ds + at) - vec_load(w->row + j)));
        }
    }
    clear_rest(w, w->ds);
}

/* to = w->out times a factor, rounded; rows of `to` are `row` apart. */
CPU_INLINE void copy_out(bfloat16 *to, size_t row, const workspace *w, float factor) {
    const size_t whole = w->D / LANES * LANES;
    for (size_t i = 0; i < w->n; i++, to += row) {
        const float *from = w->out + i * w->width;
        for (size_t d = 0; d < whole; d += LANES)
            bfloat16_store(to + d, vec_load(from + d) * factor);
        if (whole < w->D)
            bfloat16_store_part(to + whole, vec_load(from + whole) * factor, w->D - whole);
    }
}

static void head_backward(bfloat16 *d_qkv, const workspace *w, const bfloat16 *d_y,
                          const bfloat16 *y, const float *lse, const bfloat16 *qkv, size_t C,
                          size_t H) {
    const float scale = 1.0f / sqrtf((float)w->D);
    const size_t tokens = words(w->n);
    score(w, qkv, C);
    probabilities(w, lse, H, scale);
    multiply(w->out, by_key(w, w->p), pair_tokens(w, d_y, C), w->rows, tokens, w->width,
             UPPER_LEFT);
    copy_out(d_qkv + 2 * C, 3 * C, w, 1.0f);
    const uint32_t *d_queries = transpose(w, rows_of(w, d_y, C));
    multiply(w->ds, rows_of(w, qkv + 2 * C, 3 * C), d_queries, w->rows, w->depth, w->lanes,
             UPPER_RESULT);
    score_gradients(w, y, d_y, C);
    multiply(w->out, by_query(w, w->ds), pair_tokens(w, qkv + C, 3 * C), w->rows, tokens, w->width,
             LOWER_LEFT);
    copy_out(d_qkv, 3 * C, w, scale);
    multiply(w->out, by_key(w, w->ds), pair_tokens(w, qkv, 3 * C), w->rows, tokens, w->width,
             UPPER_LEFT);
    copy_out(d_qkv + C, 3 * C, w, scale);
}

dt_status cpu_bf16_attention_backward(cpu_backend *cpu, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                      dt_tensor lse, dt_tensor qkv, const dt_packed *batch,
                                      size_t C, size_t H) {
    CPU_HALVES("attention_backward", d_qkv, d_y, y, qkv);
    CPU_FLOATS("attention_backward", lse);
    DT_REQUIRE(d_qkv.buffer && d_y.buffer && y.buffer && lse.buffer && qkv.buffer, DT_ERR_INTERNAL,
               "attention_backward without a tensor");
    const size_t D = C / H;
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve(cpu, &w, (size_t)batch->host_offset[b + 1] - first, D));
        for (size_t h = 0; h < H; h++) {
            const size_t one = first * C + h * D, three = first * 3 * C + h * D;
            head_backward(cpu_bf16(d_qkv) + three, &w, cpu_bf16(d_y) + one, cpu_bf16(y) + one,
                          cpu_f32(lse) + first * H + h, cpu_bf16(qkv) + three, C, H);
        }
    }
    return DT_OK;
}
