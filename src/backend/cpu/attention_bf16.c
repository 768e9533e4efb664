/* Causal attention inside each packed problem in bfloat16. Queries, keys, values, probabilities and
 * the gradients of scores are bfloat16 operands of products; sums and softmax are float32. A word
 * is two neighbouring bfloat16 numbers in 32 bits. Scores are stored transposed, a row for each key
 * and a column for each query: maxima and sums are then computed lane by lane, and both kinds of
 * words are built from rows. They are computed for a block of queries at a time, so that their
 * memory grows with the number of tokens, not with its square. */
#include <math.h>

#include "bfloat16.h"
#include "cpu.h"
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

/* A small matrix that is read word by word: word (i, k) is at p[i * row + k * step]. */
typedef cpu_left_words operand;

/* out (ROWS, columns * LANES) = sum over words k in [begin, end) of a (ROWS rows from i, k) times b
 * (k, columns), added to what is in out if `more`; b and out are row-major. */
CPU_INLINE void tile(float *out, size_t out_row, operand a, size_t i, const uint32_t *b,
                     size_t b_row, size_t begin, size_t end, const int columns, bool more) {
    vec sum[ROWS][2];
    for (int r = 0; r < ROWS; r++) {
        sum[r][0] = sum[r][1] = vec_all(0);
        if (more) sum[r][0] = vec_load(out + (size_t)r * out_row);
        if (more && columns > 1) sum[r][1] = vec_load(out + (size_t)r * out_row + LANES);
    }
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

/* Queries first … first + count - 1, padded to `rows` (of ROWS) and `lanes` (of LANES); and the
 * keys that they see, padded to `keys` (of ROWS). */
typedef struct {
    size_t first, count, rows, lanes, keys;
} block;

/* The first of a block's columns that a key's row of scores has. */
CPU_INLINE size_t first_column(const block *q, size_t key) {
    return key > q->first ? (key - q->first) / LANES * LANES : 0;
}

static size_t words(size_t count) { return (count + 1) / 2; }

/* All columns of tile rows i, from column j on: a (ROWS rows from i, k) times b (k, columns). */
CPU_INLINE void tile_row(float *out, operand a, size_t i, const uint32_t *b, size_t b_row,
                         size_t begin, size_t end, size_t j, size_t columns, bool more) {
    for (; j + LANES < columns; j += 2 * LANES)
        tile(out + i * columns + j, columns, a, i, b + j, b_row, begin, end, 2, more);
    if (j < columns) tile(out + i * columns + j, columns, a, i, b + j, b_row, begin, end, 1, more);
}

/* out (keys, lanes) = a (keys, depth) b (depth, lanes of a block), whose rows are b_row apart. Keys
 * are not seen by earlier queries. */
CPU_INLINE void multiply_scores(float *out, const block *q, operand a, const uint32_t *b,
                                size_t b_row, size_t depth) {
    const uint32_t before = flush_begin();
    for (size_t i = 0; i < q->keys; i += ROWS) {
        tile_row(out, a, i, b + q->first, b_row, 0, depth, first_column(q, i), q->lanes, false);
    }
    flush_end(before);
}

/* out (queries of a block, columns) = a (queries, keys) b (keys, columns): a query sees its own key
 * and earlier ones. */
CPU_INLINE void add_keys(float *out, const block *q, operand a, const uint32_t *b, size_t depth,
                         size_t columns) {
    const uint32_t before = flush_begin();
    for (size_t i = 0; i < q->rows; i += ROWS) {
        const size_t end = dt_min_size(words(q->first + i + ROWS), depth);
        tile_row(out, a, i, b, columns, 0, end, 0, columns, false);
    }
    flush_end(before);
}

/* out (keys, columns) += a (keys, queries of a block) b (queries, columns). A key is seen by its
 * own query and later ones, in their order: the first block that sees it begins its sum. */
CPU_INLINE void add_queries(float *out, const block *q, operand a, const uint32_t *b,
                            size_t columns) {
    const uint32_t before = flush_begin();
    for (size_t i = 0; i < q->keys; i += ROWS) {
        const size_t begin = i > q->first ? (i - q->first) / 2 : 0;
        tile_row(out, a, i, b + q->first / 2 * columns, columns, begin, words(q->count), 0, columns,
                 i < q->first);
    }
    flush_end(before);
}

/* Scratch of one problem and head: n tokens padded to `rows` (of ROWS) and `lanes` (of LANES), head
 * width D in D/2 words, padded to `width` numbers (of LANES). `transposed` holds words of two
 * channels, a column for each token; `paired` holds words of two tokens, a column for each channel.
 * */
typedef struct {
    size_t n, D, depth, rows, lanes, width;
    int32_t window;
    int32_t *spot;        /* (lanes) padded with 0; of a window */
    uint32_t *words;      /* (rows, depth) one of q, k, v or the output's gradient */
    uint32_t *transposed; /* (depth, lanes) */
    uint32_t *paired;     /* (lanes / 2, width) */
    uint32_t *rounded;    /* (lanes, BLOCK / 2) scores, in either kind of words */
    float *p, *ds;        /* (lanes, BLOCK) by key and query: probabilities, gradients */
    float *out;           /* (BLOCK, width) */
    float *d_k, *d_v;     /* (lanes, width) */
    float *row;           /* (BLOCK) one number for each query */
} workspace;

/* For problem b. */
static dt_status reserve(cpu_backend *cpu, workspace *w, const dt_packed *batch, size_t b, size_t C,
                         const dt_heads *heads) {
    const size_t first = (size_t)batch->host_offset[b],
                 n = (size_t)batch->host_offset[b + 1] - first, D = C / heads->count;
    *w = (workspace){.n = n,
                     .D = D,
                     .depth = words(D),
                     .rows = dt_round_up(n, ROWS),
                     .lanes = dt_round_up(n, LANES),
                     .width = dt_round_up(D, LANES),
                     .window = heads->window};
    const size_t queries = dt_min_size(w->lanes, BLOCK), scores = w->lanes * queries;
    const size_t tall = w->lanes * w->width;
    const size_t size[] = {dt_round_up(w->rows * w->depth, LANES),
                           w->depth * w->lanes,
                           tall / 2,
                           scores / 2,
                           scores,
                           scores,
                           queries * w->width,
                           tall,
                           tall,
                           queries};
    uint32_t **const word[] = {&w->words, &w->transposed, &w->paired, &w->rounded};
    float **const part[] = {&w->p, &w->ds, &w->out, &w->d_k, &w->d_v, &w->row};
    size_t wanted = w->lanes;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) wanted += size[i];
    DT_TRY(cpu_reserve(&cpu->scratch, wanted, "attention scratch"));
    float *at = cpu->scratch.at;
    for (size_t i = 0; i < sizeof size / sizeof *size; at += size[i++]) {
        if (i < 4) *word[i] = (uint32_t *)(void *)at;
        if (i >= 4) *part[i - 4] = at;
    }
    w->spot = (int32_t *)(void *)at;
    if (w->window > 0) copy_spots(w->spot, batch, first, n, w->lanes);
    return DT_OK;
}

/* The block that begins with this query. */
CPU_INLINE block block_from(const workspace *w, size_t first) {
    const size_t count = dt_min_size(BLOCK, w->n - first);
    return (block){.first = first,
                   .count = count,
                   .rows = dt_round_up(count, ROWS),
                   .lanes = dt_round_up(count, LANES),
                   .keys = dt_round_up(first + count, ROWS)};
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
CPU_INLINE operand by_key(const workspace *w, const block *q, const float *scores) {
    bfloat16 *to = (bfloat16 *)(void *)w->rounded;
    for (size_t i = 0; i < q->keys; i++) {
        for (size_t j = first_column(q, i); j < q->lanes; j += LANES)
            bfloat16_store(to + i * q->lanes + j, vec_load(scores + i * q->lanes + j));
    }
    return (operand){w->rounded, q->lanes / 2, 1};
}

/* Scores as the left side of a product over keys: a row for each query. */
CPU_INLINE operand by_query(const workspace *w, const block *q, const float *scores) {
    for (size_t i = 0; i < q->keys; i += 2) {
        for (size_t j = first_column(q, i); j < q->lanes; j += LANES) {
            const float *at = scores + i * q->lanes + j;
            ivec_store(w->rounded + i / 2 * q->lanes + j,
                       bfloat16_pair(vec_load(at), vec_load(at + q->lanes)));
        }
    }
    return (operand){w->rounded, 1, q->lanes};
}

/* x where query j + lane sees key i; elsewhere `otherwise`. */
CPU_INLINE vec mask_unseen(vec x, const workspace *w, size_t i, size_t j, float otherwise) {
    const ivec lane = VEC_COUNT;
    ivec seen = lane + (int32_t)j >= (int32_t)i;
    if (w->window > 0) seen &= spots_see(ivec_load(w->spot + j), ivec_all(w->spot[i]), w->window);
    return vec_choose(seen, x, vec_all(otherwise));
}

/* Sets the rows after the last key to 0 for the products. */
CPU_INLINE void clear_rest(const block *q, float *scores) {
    const size_t keys = q->first + q->count;
    memset(scores + keys * q->lanes, 0, (q->keys - keys) * q->lanes * sizeof *scores);
}

/* p (keys, lanes): the products of keys and a block's queries. */
CPU_INLINE void score(const workspace *w, const block *q, const bfloat16 *qkv, size_t C) {
    const uint32_t *queries = transpose(w, rows_of(w, qkv, 3 * C));
    multiply_scores(w->p, q, rows_of(w, qkv + C, 3 * C), queries, w->lanes, w->depth);
}

/* exp(scale score - highest) for LANES queries from column j on, in place; their sums, and the
 * highest. */
CPU_INLINE vec exponentials(vec *most, const workspace *w, const block *q, size_t j, float scale) {
    const size_t first = q->first + j, keys = dt_min_size(first + LANES, w->n);
    vec highest = vec_all(-INFINITY), sum = vec_all(0);
    for (size_t i = 0; i < keys; i++) {
        const vec x = vec_load(w->p + i * q->lanes + j);
        highest = vec_max(highest, mask_unseen(x, w, i, first, -INFINITY));
    }
    *most = highest * scale;
    for (size_t i = 0; i < keys; i++) {
        float *at = w->p + i * q->lanes + j;
        const vec e = mask_unseen(vec_exp(vec_load(at) * scale - *most), w, i, first, 0);
        vec_store(at, e);
        sum += e;
    }
    return sum;
}

static void block_forward(bfloat16 *y, float *lse, const workspace *w, const block *q,
                          const bfloat16 *qkv, size_t C, size_t H, float scale) {
    score(w, q, qkv, C);
    for (size_t j = 0; j < q->lanes; j += LANES) {
        vec most;
        const vec sum = exponentials(&most, w, q, j, scale);
        vec_store(w->row + j, 1.0f / sum);
        for (size_t i = j; i < j + LANES && i < q->count; i++)
            lse[(q->first + i) * H] = most[i - j] + logf(sum[i - j]);
    }
    clear_rest(q, w->p);
    add_keys(w->out, q, by_query(w, q, w->p), pair_tokens(w, qkv + 2 * C, 3 * C), words(w->n),
             w->width);
    const size_t whole = w->D / LANES * LANES;
    y += q->first * C;
    for (size_t i = 0; i < q->count; i++, y += C) {
        const float *from = w->out + i * w->width, factor = w->row[i];
        for (size_t d = 0; d < whole; d += LANES)
            bfloat16_store(y + d, vec_load(from + d) * factor);
        if (whole < w->D)
            bfloat16_store_part(y + whole, vec_load(from + whole) * factor, w->D - whole);
    }
}

static void head_forward(bfloat16 *y, float *lse, const workspace *w, const bfloat16 *qkv, size_t C,
                         size_t H, float scale) {
    for (size_t first = 0; first < w->n; first += BLOCK) {
        const block q = block_from(w, first);
        block_forward(y, lse, w, &q, qkv, C, H, scale);
    }
}

dt_status cpu_bf16_attention_forward(cpu_backend *cpu, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                     const dt_packed *batch, size_t C, const dt_heads *heads) {
    CPU_HALVES("attention_forward", y, qkv);
    CPU_FLOATS("attention_forward", lse);
    DT_REQUIRE(y.buffer && lse.buffer && qkv.buffer, DT_ERR_INTERNAL,
               "attention_forward without a tensor");
    const size_t H = heads->count, D = C / H;
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve(cpu, &w, batch, b, C, heads));
        for (size_t h = 0; h < H; h++) {
            head_forward(cpu_bf16(y) + first * C + h * D, cpu_f32(lse) + first * H + h, &w,
                         cpu_bf16(qkv) + first * 3 * C + h * D, C, H, heads->scale);
        }
    }
    return DT_OK;
}

/* Computes the probabilities again, from the scores and their stored log-sum. */
CPU_INLINE void probabilities(const workspace *w, const block *q, const float *lse, size_t H,
                              float scale) {
    for (size_t j = 0; j < q->lanes; j++) w->row[j] = j < q->count ? lse[(q->first + j) * H] : 0;
    for (size_t i = 0; i < q->first + q->count; i++) {
        for (size_t j = first_column(q, i); j < q->lanes; j += LANES) {
            float *at = w->p + i * q->lanes + j;
            const vec p = vec_exp(vec_load(at) * scale - vec_load(w->row + j));
            vec_store(at, mask_unseen(p, w, i, q->first + j, 0));
        }
    }
    clear_rest(q, w->p);
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
CPU_INLINE void score_gradients(const workspace *w, const block *q, const bfloat16 *y,
                                const bfloat16 *d_y, size_t C) {
    y += q->first * C;
    d_y += q->first * C;
    for (size_t j = 0; j < q->lanes; j++)
        w->row[j] = j < q->count ? row_dot(y + j * C, d_y + j * C, w->D) : 0;
    for (size_t i = 0; i < q->first + q->count; i++) {
        for (size_t j = first_column(q, i); j < q->lanes; j += LANES) {
            const size_t at = i * q->lanes + j;
            vec_store(w->ds + at,
                      vec_load(w->p + at) * (vec_load(w->ds + at) - vec_load(w->row + j)));
        }
    }
    clear_rest(q, w->ds);
}

/* to (count rows, `row` apart) = from (count, width) times a factor, rounded. */
CPU_INLINE void copy_out(bfloat16 *to, size_t row, const workspace *w, const float *from,
                         size_t count, float factor) {
    const size_t whole = w->D / LANES * LANES;
    for (size_t i = 0; i < count; i++, to += row, from += w->width) {
        for (size_t d = 0; d < whole; d += LANES)
            bfloat16_store(to + d, vec_load(from + d) * factor);
        if (whole < w->D)
            bfloat16_store_part(to + whole, vec_load(from + whole) * factor, w->D - whole);
    }
}

static void block_backward(bfloat16 *d_qkv, const workspace *w, const block *q, const bfloat16 *d_y,
                           const bfloat16 *y, const float *lse, const bfloat16 *qkv, size_t C,
                           size_t H) {
    const float scale = 1.0f / sqrtf((float)w->D);
    score(w, q, qkv, C);
    probabilities(w, q, lse, H, scale);
    add_queries(w->d_v, q, by_key(w, q, w->p), pair_tokens(w, d_y, C), w->width);
    const uint32_t *d_queries = transpose(w, rows_of(w, d_y, C));
    multiply_scores(w->ds, q, rows_of(w, qkv + 2 * C, 3 * C), d_queries, w->lanes, w->depth);
    score_gradients(w, q, y, d_y, C);
    add_keys(w->out, q, by_query(w, q, w->ds), pair_tokens(w, qkv + C, 3 * C), words(w->n),
             w->width);
    copy_out(d_qkv + q->first * 3 * C, 3 * C, w, w->out, q->count, scale);
    add_queries(w->d_k, q, by_key(w, q, w->ds), pair_tokens(w, qkv, 3 * C), w->width);
}

static void head_backward(bfloat16 *d_qkv, const workspace *w, const bfloat16 *d_y,
                          const bfloat16 *y, const float *lse, const bfloat16 *qkv, size_t C,
                          size_t H) {
    for (size_t first = 0; first < w->n; first += BLOCK) {
        const block q = block_from(w, first);
        block_backward(d_qkv, w, &q, d_y, y, lse, qkv, C, H);
    }
    copy_out(d_qkv + C, 3 * C, w, w->d_k, w->n, 1.0f / sqrtf((float)w->D));
    copy_out(d_qkv + 2 * C, 3 * C, w, w->d_v, w->n, 1.0f);
}

dt_status cpu_bf16_attention_backward(cpu_backend *cpu, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                      dt_tensor lse, dt_tensor qkv, const dt_packed *batch,
                                      size_t C, const dt_heads *heads) {
    CPU_HALVES("attention_backward", d_qkv, d_y, y, qkv);
    CPU_FLOATS("attention_backward", lse);
    DT_REQUIRE(d_qkv.buffer && d_y.buffer && y.buffer && lse.buffer && qkv.buffer, DT_ERR_INTERNAL,
               "attention_backward without a tensor");
    const size_t H = heads->count, D = C / H;
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        workspace w;
        DT_TRY(reserve(cpu, &w, batch, b, C, heads));
        for (size_t h = 0; h < H; h++) {
            const size_t one = first * C + h * D, three = first * 3 * C + h * D;
            head_backward(cpu_bf16(d_qkv) + three, &w, cpu_bf16(d_y) + one, cpu_bf16(y) + one,
                          cpu_f32(lse) + first * H + h, cpu_bf16(qkv) + three, C, H);
        }
    }
    return DT_OK;
}
