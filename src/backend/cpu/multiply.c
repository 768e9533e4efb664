/* Matrix products, optionally added to a bias and to rows. On AVX2 and AVX-512 our own kernel
 * computes them: it packs the right side once (weights: once for all products of a step), reads the
 * left side in place, adds bias and residual while the sums are in registers, and can compute a few
 * rows at a time, so that the next operation finds them in the cache. BLAS would pack both sides
 * each time, and bias, residual and activation would be separate passes over memory. */
#include <cblas.h>

#include "cpu.h"
#include "vector.h"

/* A tile of the result, TILE_ROWS by two vectors, stays in registers together with its operands:
 * AVX-512 has 32 registers, AVX2 16. The depth is cut so that a panel stays in the first-level
 * cache. With AVX-512 it is cut where OpenBLAS cuts it: float sums stay short, and both give the
 * same bits except for single rows and small deep products. */
#if CPU_LANES == 16
enum { TILE_ROWS = 12, FEW_ROWS = 4, DEPTH = 448 };
#else
enum { TILE_ROWS = 6, FEW_ROWS = 3, DEPTH = 256 };
#endif
enum { ROWS_AT_ONCE = 48, DEPTH_UNIT = 16 };

/* Loops over rows are unrolled so that sums stay in registers; the loop over the depth is unrolled
 * where its body is short: on AVX2 products then reach 80 to 90 of 100 to 110 GFLOP/s, otherwise 65
 * to 78. clang unrolls by itself. */
#if defined(__GNUC__) && !defined(__clang__)
#define UNROLL _Pragma("GCC unroll 12")
#else
#define UNROLL
#endif
#if defined(__GNUC__) && !defined(__clang__) && CPU_LANES < 16
#define UNROLL_DEPTH _Pragma("GCC unroll 4")
#else
#define UNROLL_DEPTH
#endif

/* The next part of the remaining depth. */
static size_t depth_of(size_t left) {
    if (left >= 2 * DEPTH) return DEPTH;
    return left > DEPTH ? dt_round_up(left / 2, DEPTH_UNIT) : left;
}

typedef float tile_word;
#define TILE_DOT(sum, x, b) ((sum) + (x) * (b))
#include "tiles.h"

/* ---- packing ---- */

/* Consecutive panels of (depth,PANEL) = rows of b (depth,N), padded with zeros. */
CPU_INLINE void pack_rows(float *to, const float *b, size_t N, size_t depth) {
    for (size_t k = 0; k < depth; k++) {
        const float *row = b + k * N;
        float *at = to + k * PANEL;
        size_t j = 0;
        for (; j + PANEL <= N; j += PANEL, at += depth * PANEL) {
            vec_store(at, vec_load(row + j));
            vec_store(at + LANES, vec_load(row + j + LANES));
        }
        if (j < N) {
            memcpy(at, row + j, (N - j) * sizeof *at);
            memset(at + N - j, 0, (j + PANEL - N) * sizeof *at);
        }
    }
}

/* The panel of columns j … of b, where b^T is stored (N,K). */
CPU_INLINE void pack_columns(float *to, const float *b, size_t K, size_t N, size_t j,
                             size_t depth) {
    for (size_t half = j; half < j + PANEL; half += LANES, to += LANES) {
        const size_t columns = half < N ? dt_min_size(LANES, N - half) : 0;
        for (size_t k = 0; k < depth; k += LANES) {
            const size_t rows = dt_min_size(LANES, depth - k);
            vec block[LANES];
            vec_load_transposed(block, b + half * K + k, K, columns, rows);
            for (size_t i = 0; i < rows; i++) vec_store(to + (k + i) * PANEL, block[i]);
        }
    }
}

static void pack_right(float *to, const cpu_right *right) {
    const size_t K = right->K, N = right->N, whole = dt_round_up(N, PANEL);
    for (size_t k = 0, depth; k < K; k += depth, to += depth * whole) {
        depth = depth_of(K - k);
        if (!right->transposed) {
            pack_rows(to, right->b + k * N, N, depth);
            continue;
        }
        for (size_t j = 0; j < N; j += PANEL) {
            pack_columns(to + j * depth, right->b + k, K, N, j, depth);
        }
    }
}

/* BLAS blocks for the caches. So it is faster if the weights exceed the second-level cache, or if
 * the left side's columns are so far apart that they share few lines of the first-level cache,
 * which slows the short tiles of AVX2 at any width. Measured at widths 128 to 1024. */
bool cpu_kernel_suits(size_t in, size_t out, bool weight_gradient) {
    enum { MOST_WEIGHTS = 256 * 1024, MOST_COLUMNS = 768 };
    if (weight_gradient && (LANES < 16 || out > MOST_COLUMNS)) return false;
    return in * out <= MOST_WEIGHTS;
}

dt_status cpu_right_open(cpu_right *right, cpu_packing *packing, const float *b, bool transposed,
                         size_t K, size_t N) {
    *right = (cpu_right){.b = b, .transposed = transposed, .K = K, .N = N, .row = N, .columns = N};
    right->rows = SIZE_MAX;
    if (!packing) return DT_OK;
    if (!packing->filled) {
        const size_t panels = dt_round_up(N, PANEL) * K;
        DT_TRY(cpu_reserve(&packing->room, panels, "the packed side of a product"));
        pack_right(packing->room.at, right);
        packing->filled = packing->stays;
    }
    right->panel = packing->room.at;
    right->rows = ROWS_AT_ONCE;
    return DT_OK;
}

/* Copies the addend to c, to which BLAS adds the product. */
static void put_addend(float *c, cpu_addend addend, size_t M, size_t apart, size_t columns) {
    for (size_t i = 0; i < M; i++) {
        float *row = c + i * apart;
        if (addend.rows && addend.bias) {
            const float *from = addend.rows + i * apart;
            for (size_t j = 0; j < columns; j++) row[j] = from[j] + addend.bias[j];
        } else if (addend.rows || addend.bias) {
            const float *from = addend.rows ? addend.rows + i * apart : addend.bias;
            if (from != row) memcpy(row, from, columns * sizeof *row);
        } else {
            memset(row, 0, columns * sizeof *row);
        }
    }
}

void cpu_multiply(float *c, cpu_addend addend, cpu_left a, const cpu_right *right, size_t M) {
    if (right->panel) {
        multiply_tiles(c, addend, (tile_left){a.p, a.row, a.step}, right, M);
        return;
    }
    put_addend(c, addend, M, right->row, right->columns);
    const bool transposed = a.step != 1;
    /* with a single row the distance to the next has no meaning, and may be too short for BLAS */
    const size_t left_row = transposed ? a.step : dt_max_size(a.row, right->K);
    cblas_sgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans,
                right->transposed ? CblasTrans : CblasNoTrans, (int)M, (int)right->columns,
                (int)right->K, 1.0f, a.p, (int)left_row, right->b,
                (int)(right->transposed ? right->K : right->N), 1.0f, c, (int)right->row);
}
