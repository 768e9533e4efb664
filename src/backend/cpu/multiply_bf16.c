/* Matrix products of bfloat16 operands with sums in float32. Words of two neighbours along the
 * depth are multiplied by VDPBF16PS if the processor has it, otherwise by code that gives the same
 * bits. Each element of the result is one chain of additions in the order of the depth, cut into
 * the same blocks on every processor. */
#include "bfloat16.h"
#include "cpu.h"

typedef uint32_t tile_word;
#define TILE_DOT(sum, x, b) bfloat16_dot((sum), ivec_all((int32_t)(x)), (ivec)(b))

/* The registers of AVX-512 hold 14 rows of two vectors and their operands. Without the instruction
 * each sum needs more registers. */
#ifdef __AVX512BF16__
enum { TILE_ROWS = 14, FEW_ROWS = 4 };
#else
enum { TILE_ROWS = 4, FEW_ROWS = 3 };
#endif
/* Words of a panel that is read again for every tile of rows: 64 KB, in the second-level cache. */
enum { DEPTH = 512, ROWS_AT_ONCE = 56 };

#if defined(__GNUC__) && !defined(__clang__)
#define UNROLL _Pragma("GCC unroll 14")
#else
#define UNROLL
#endif
#define UNROLL_DEPTH

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

/* The address of word k of column j: blocks of DEPTH words, each with its panels in order. */
CPU_INLINE float *word_at(float *to, size_t K, size_t N, size_t k, size_t j) {
    const size_t begin = k / DEPTH * DEPTH, depth = depth_of(words(K) - begin);
    return to + begin * dt_round_up(N, PANEL) + (j / PANEL * PANEL) * depth + (k - begin) * PANEL +
           j % PANEL;
}

/* b is stored (K,N). */
static void pack_rows_f32(float *to, const float *b, size_t K, size_t N) {
    for (size_t k = 0; k < words(K); k++) {
        for (size_t j = 0; j < dt_round_up(N, PANEL); j += LANES) {
            ivec_store(word_at(to, K, N, k, j),
                       bfloat16_pair(load_f32(b, K, N, 2 * k, j), load_f32(b, K, N, 2 * k + 1, j)));
        }
    }
}

static void pack_rows_bf16(float *to, const bfloat16 *b, size_t K, size_t N) {
    for (size_t k = 0; k < words(K); k++) {
        for (size_t j = 0; j < dt_round_up(N, PANEL); j += LANES) {
            const ivec low = (ivec)load_bf16(b, K, N, 2 * k, j),
                       high = (ivec)load_bf16(b, K, N, 2 * k + 1, j);
            ivec_store(word_at(to, K, N, k, j), ((low >> 16) & 0xffff) | high);
        }
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
                ivec_store(word_at(to, K, N, k + i, j),
                           bfloat16_pair(block[2 * i], block[2 * i + 1]));
            }
        }
    }
}

dt_status cpu_bf16_right_open(cpu_right *right, cpu_packing *packing, const void *b, bool is_bf16,
                              bool transposed, size_t K, size_t N) {
    *right = (cpu_right){.transposed = transposed, .K = words(K), .N = N, .row = N, .columns = N};
    if (!packing->filled) {
        DT_TRY(cpu_reserve(&packing->room, dt_round_up(N, PANEL) * words(K),
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

void cpu_bf16_multiply(float *c, cpu_addend addend, cpu_left_words a, const cpu_right *right,
                       size_t M) {
    multiply_tiles(c, addend, (tile_left){a.p, a.row, a.step}, right, M);
}
