/* Matrix products of bfloat16 operands with sums in float32. Words of two neighbours along the
 * depth are multiplied by VDPBF16PS, or else in two fused multiply-adds, which give the same bits:
 * both sides are then widened to floats, the one with the odd index before the other. Each element
 * of the result is one chain of additions in the order of the depth, cut into the same blocks on
 * every processor. */
#include "bfloat16.h"
#include "cpu.h"

/* The registers of AVX-512 hold 14 rows of two vectors and their operands, those of AVX2 6. Without
 * fused operations each sum needs more registers. */
typedef uint32_t tile_word;
#ifdef CPU_DOT
#define TILE_DOT(sum, x, b) bfloat16_dot((sum), ivec_all((int32_t)(x)), (ivec)(b))
enum { WIDENED = 1 }; /* tile_words that a word becomes */
#else
#define TILE_DOT(sum, x, b) bfloat16_fma((sum), (vec)ivec_all((int32_t)(x)), (b))
#define TILE_BEGIN flush_begin
#define TILE_END flush_end
#define TILE_HOLD flush_hold
enum { WIDENED = 2 };
#endif
#if CPU_LANES == 16
enum { TILE_ROWS = 14, FEW_ROWS = 4 };
#elif CPU_LANES == 8
enum { TILE_ROWS = 6, FEW_ROWS = 3 };
#else
enum { TILE_ROWS = 4, FEW_ROWS = 3 };
#endif
/* Of a panel that is read again for every tile of rows: 64 KB of words, in the second-level cache.
 */
enum { DEPTH = 512 * WIDENED, ROWS_AT_ONCE = 56 };

#if defined(__GNUC__) && !defined(__clang__)
#define UNROLL _Pragma("GCC unroll 14")
#else
#define UNROLL
#endif
#if defined(__GNUC__) && !defined(__clang__) && CPU_LANES < 16
#define UNROLL_DEPTH _Pragma("GCC unroll 4")
#else
#define UNROLL_DEPTH
#endif

static size_t depth_of(size_t left) { return left > DEPTH ? DEPTH : left; }

#include "tiles.h"

static size_t words(size_t K) { return (K + 1) / 2; }

/* ---- packing the right side ---- */

/* A vector of row k, columns j …, of b (K,N); zeros outside b. */
CPU_INLINE vec load_f32(const float *b, size_t K, size_t N, size_t k, size_t j) {
    if (k >= K || j >= N) return vec_all(0);
    const float *at = b + k * N + j;
    return j + LANES <= N ? vec_load(at) : vec_load_part(at, N - j);
}

CPU_INLINE vec load_bf16(const bfloat16 *b, size_t K, size_t N, size_t k, size_t j) {
    if (k >= K || j >= N) return vec_all(0);
    const bfloat16 *at = b + k * N + j;
    return j + LANES <= N ? bfloat16_load(at) : bfloat16_load_part(at, N - j);
}

/* Stores a vector of words k, columns j …, whose numbers with even and odd index are in the upper
 * halves of two vectors: in blocks of DEPTH, each with its panels in order. */
CPU_INLINE void store_words(float *to, size_t K, size_t N, size_t k, size_t j, vec even, vec odd) {
    const size_t at = k * WIDENED, begin = at / DEPTH * DEPTH,
                 depth = depth_of(words(K) * WIDENED - begin);
    to += begin * dt_round_up(N, PANEL) + (j / PANEL * PANEL) * depth + (at - begin) * PANEL +
          j % PANEL;
    if (WIDENED == 1) {
        ivec_store(to, (((ivec)even >> 16) & 0xffff) | (ivec)odd);
    } else {
        vec_store(to, odd);
        vec_store(to + PANEL, even);
    }
}

/* b is stored (K,N). */
static void pack_rows_f32(float *to, const float *b, size_t K, size_t N) {
    for (size_t k = 0; k < words(K); k++) {
        for (size_t j = 0; j < dt_round_up(N, PANEL); j += LANES) {
            store_words(to, K, N, k, j, bfloat16_nearest(load_f32(b, K, N, 2 * k, j)),
                        bfloat16_nearest(load_f32(b, K, N, 2 * k + 1, j)));
        }
    }
}

static void pack_rows_bf16(float *to, const bfloat16 *b, size_t K, size_t N) {
    for (size_t k = 0; k < words(K); k++) {
        for (size_t j = 0; j < dt_round_up(N, PANEL); j += LANES)
            store_words(to, K, N, k, j, load_bf16(b, K, N, 2 * k, j),
                        load_bf16(b, K, N, 2 * k + 1, j));
    }
}

/* b^T is stored (N,K): word k of column j is at b[j][2 k]. */
static void pack_columns_f32(float *to, const float *b, size_t K, size_t N) {
    for (size_t j = 0; j < dt_round_up(N, PANEL); j += LANES) {
        const size_t columns = j < N ? dt_min_size(LANES, N - j) : 0;
        for (size_t k = 0; k < words(K); k += LANES / 2) {
            vec block[LANES];
            const size_t depth = dt_min_size(LANES, K - 2 * k);
            vec_load_transposed(block, b + j * K + 2 * k, K, columns, depth);
            for (size_t i = 0; i < LANES / 2 && k + i < words(K); i++) {
                store_words(to, K, N, k + i, j, bfloat16_nearest(block[2 * i]),
                            bfloat16_nearest(block[2 * i + 1]));
            }
        }
    }
}

dt_status cpu_bf16_right_open(cpu_right *right, cpu_packing *packing, const void *b, bool is_bf16,
                              bool transposed, size_t K, size_t N) {
    const size_t depth = words(K) * WIDENED;
    *right = (cpu_right){.transposed = transposed, .K = depth, .N = N, .row = N, .columns = N};
    if (!packing->filled) {
        DT_TRY(cpu_reserve(&packing->room, dt_round_up(N, PANEL) * depth,
                           "the packed side of a product"));
        float *to = packing->room.at;
        DT_REQUIRE(!is_bf16 || !transposed, DT_ERR_INTERNAL,
                   "no product has a transposed right side in bfloat16");
        if (is_bf16) {
            pack_rows_bf16(to, b, K, N);
        } else if (transposed) {
            pack_columns_f32(to, b, K, N);
        } else {
            pack_rows_f32(to, b, K, N);
        }
        packing->filled = packing->stays;
    }
    right->panel = packing->room.at;
    right->rows = ROWS_AT_ONCE;
    return DT_OK;
}

/* ---- the left side ---- */

void cpu_bf16_round_rows(bfloat16 *to, const float *from, size_t M, size_t K) {
    const size_t row = 2 * words(K), whole = K / LANES * LANES;
    for (size_t i = 0; i < M; i++) {
        bfloat16 *t = to + i * row;
        const float *f = from + i * K;
        for (size_t k = 0; k < whole; k += LANES) bfloat16_store(t + k, vec_load(f + k));
        if (whole < K) {
            bfloat16_store_part(t + whole, vec_load_part(f + whole, K - whole), K - whole);
        }
        if (row > K) t[K] = 0;
    }
}

void cpu_bf16_pair_rows(uint32_t *to, const float *from, size_t K, size_t M) {
    for (size_t k = 0; k < words(K); k++, to += M) {
        size_t j = 0;
        for (; j + LANES <= M; j += LANES) {
            ivec_store(to + j, bfloat16_pair(load_f32(from, K, M, 2 * k, j),
                                             load_f32(from, K, M, 2 * k + 1, j)));
        }
        if (j < M) {
            const ivec pair =
                bfloat16_pair(load_f32(from, K, M, 2 * k, j), load_f32(from, K, M, 2 * k + 1, j));
            memcpy(to + j, &pair, (M - j) * sizeof *to);
        }
    }
}

/* ---- the product ---- */

#ifdef CPU_DOT
void cpu_bf16_multiply(float *c, cpu_addend addend, cpu_left_words a, const cpu_right *right,
                       size_t M) {
    multiply_tiles(c, addend, (tile_left){a.p, a.row, a.step}, right, M);
}
#else
/* The rows of a tile, side by side for each element along the depth, so that their addresses are
 * constant offsets from one another: strided rows were 10 % slower. */
typedef struct {
    _Alignas(DT_ALIGNMENT) tile_word at[DEPTH * LANES];
} wide_rows;

/* Element 2 k of these rows is the number with the odd index of word k, 2 k + 1 the other one. */
CPU_INLINE void widen(wide_rows *to, size_t k, ivec words_of_rows) {
    ivec_store(to->at + 2 * k * LANES, (ivec)bfloat16_high(words_of_rows));
    ivec_store(to->at + (2 * k + 1) * LANES, (ivec)bfloat16_low(words_of_rows));
}

/* `rows` rows of words, depth > 0; `left` words are in memory from a.p on. */
static void widen_rows(wide_rows *to, cpu_left_words a, size_t rows, size_t depth, size_t left) {
    if (a.row == 1) {
        /* The lanes after these rows have other words, or zeros at the end of the matrix. */
        size_t k = 0;
        do {
            const float *at = (const float *)(const void *)(a.p + k * a.step);
            const size_t there = left - k * a.step;
            widen(to, k, (ivec)(there >= LANES ? vec_load(at) : vec_load_part(at, there)));
        } while (++k < depth);
        return;
    }
    size_t k = 0;
    do {
        vec block[LANES];
        vec_load_transposed(block, (const float *)(const void *)(a.p + k), a.row, rows,
                            dt_min_size(LANES, depth - k));
        for (size_t i = 0; i < LANES; i++) widen(to, k + i, (ivec)block[i]);
    } while ((k += LANES) < depth);
}

void cpu_bf16_multiply(float *c, cpu_addend addend, cpu_left_words a, const cpu_right *right,
                       size_t M) {
    _Static_assert(TILE_ROWS <= (int)LANES, "a vector has the rows of a tile");
    const size_t depth = right->K / 2, size = (M - 1) * a.row + (depth - 1) * a.step + 1;
    wide_rows wide;
    cpu_right block = *right;
    for (size_t k = 0; k < right->K; k += block.K) {
        block.K = depth_of(right->K - k);
        for (size_t i = 0, rows; i < M; i += rows) {
            const size_t at = i * a.row + k / 2 * a.step;
            rows = dt_min_size(TILE_ROWS, M - i);
            widen_rows(&wide, (cpu_left_words){a.p + at, a.row, a.step}, rows, words(block.K),
                       size - at);
            multiply_tiles(c + i * right->row, addend_at(addend, right->row, i, 0),
                           (tile_left){wide.at, 1, LANES}, &block, rows);
        }
        block.panel += dt_round_up(right->N, PANEL) * block.K;
        addend = (cpu_addend){.rows = c};
    }
}
#endif
