/* Matrix products, added to a bias, to rows, to both or to nothing. Where the processor has AVX2 or
 * AVX-512 by a kernel of our own: it packs the right side once, weights for all products of a step,
 * reads the left one where it stands, adds bias and residual while the sums are in registers, and
 * can stop after some rows, so that what else is done with them finds them in the cache. BLAS would
 * pack both sides each time, and bias, residual and activation would be passes over memory. */
#include <cblas.h>

#include "cpu.h"
#include "vector.h"

/* A tile of the result stays in registers, so many rows by two vectors, beside what is multiplied:
 * AVX-512 has 32 of them, AVX2 16. The depth is cut so that a panel of it stays in the
 * first-level cache; with AVX-512 where OpenBLAS cuts it: sums in float stay short, and both give
 * the same bits but for single rows and small deep products. */
#if CPU_LANES == 16
enum { TILE_ROWS = 12, FEW_ROWS = 4, DEPTH = 448 };
#else
enum { TILE_ROWS = 6, FEW_ROWS = 3, DEPTH = 256 };
#endif
enum { ROWS_AT_ONCE = 48, PANEL = 2 * LANES, DEPTH_UNIT = 16 };

/* Over rows, so that sums are in registers; over the depth where a turn is short: on AVX2 products
 * then reach 80 to 90 of 100 to 110 GFLOP/s, without it 65 to 78. clang unrolls by itself. */
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

/* How much of what is left of the depth comes next. */
static size_t depth_of(size_t left) {
    if (left >= 2 * DEPTH) return DEPTH;
    return left > DEPTH ? dt_round_up(left / 2, DEPTH_UNIT) : left;
}

/* ---- packing ---- */

/* Panels of (depth,PANEL) one behind the other = rows of b (depth,N), padded with zeros. */
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

/* The panel of columns j … of the same, where b^T is stored (N,K). */
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

/* BLAS blocks for the caches, so that it is the faster one where weights exceed the second level,
 * or where the left side's columns are so far apart that they fall on few lines of the first. That
 * hurts the short tiles of AVX2 at any width. Measured at widths 128 to 1024. */
bool cpu_kernel_suits(size_t in, size_t out, bool weight_gradient) {
    enum { MOST_WEIGHTS = 256 * 1024, MOST_COLUMNS = 768 };
    if (weight_gradient && (LANES < 16 || out > MOST_COLUMNS)) return false;
    return in * out <= MOST_WEIGHTS;
}

dt_status cpu_right_open(cpu_right *right, cpu_packing *packing, const float *b, bool transposed,
                         size_t K, size_t N) {
    *right = (cpu_right){.b = b, .transposed = transposed, .K = K, .N = N, .columns = N};
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

/* ---- the kernel ---- */

/* c (rows,PANEL) = addend + a (rows,depth) b (depth,PANEL); rows of c and of the addend are `row`
 * apart. `rows` is known when this is compiled; the loops over it are unrolled at any level of
 * optimisation, or the sums would be in memory. */
CPU_INLINE void tile(float *c, cpu_addend addend, size_t row, cpu_left a, const float *b,
                     size_t depth, const size_t rows) {
    vec low[TILE_ROWS], high[TILE_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) low[r] = high[r] = vec_all(0);
    UNROLL_DEPTH
    for (size_t k = 0; k < depth; k++) {
        const vec b_low = vec_load(b + k * PANEL), b_high = vec_load(b + k * PANEL + LANES);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const float x = a.p[r * a.row + k * a.step];
            low[r] += x * b_low;
            high[r] += x * b_high;
        }
    }
    const vec bias_low = addend.bias ? vec_load(addend.bias) : vec_all(0),
              bias_high = addend.bias ? vec_load(addend.bias + LANES) : vec_all(0);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        vec before_low = bias_low, before_high = bias_high;
        if (addend.rows) {
            before_low += vec_load(addend.rows + r * row);
            before_high += vec_load(addend.rows + r * row + LANES);
        }
        vec_store(c + r * row, before_low + low[r]);
        vec_store(c + r * row + LANES, before_high + high[r]);
    }
}

/* The part of an addend that begins at that row and column. */
CPU_INLINE cpu_addend addend_at(cpu_addend addend, size_t N, size_t row, size_t column) {
    return (cpu_addend){addend.rows ? addend.rows + row * N + column : NULL,
                        addend.bias ? addend.bias + column : NULL};
}

/* The last columns, fewer than a panel, by way of a whole tile. */
CPU_INLINE void narrow_tile(float *c, cpu_addend addend, size_t row, cpu_left a, const float *b,
                            size_t depth, size_t columns, const size_t rows) {
    float whole[TILE_ROWS * PANEL] = {0}, bias[PANEL] = {0};
    const size_t size = columns * sizeof *c;
    if (addend.rows) {
        for (size_t r = 0; r < rows; r++) memcpy(whole + r * PANEL, addend.rows + r * row, size);
    }
    if (addend.bias) memcpy(bias, addend.bias, size);
    tile(whole, (cpu_addend){whole, bias}, PANEL, a, b, depth, rows);
    for (size_t r = 0; r < rows; r++) memcpy(c + r * row, whole + r * PANEL, size);
}

/* The wanted columns of c (rows,N) = addend + a (rows,depth) times packed panels. */
CPU_INLINE void row_of_tiles(float *c, cpu_addend addend, const cpu_right *right, cpu_left a,
                             const float *panel, size_t depth, const size_t rows) {
    const size_t N = right->N, columns = right->columns;
    size_t j = 0;
    for (; j + PANEL <= columns; j += PANEL) {
        tile(c + j, addend_at(addend, N, 0, j), N, a, panel + j * depth, depth, rows);
    }
    if (j < columns) {
        narrow_tile(c + j, addend_at(addend, N, 0, j), N, a, panel + j * depth, depth, columns - j,
                    rows);
    }
}

/* Fewer than FEW_ROWS, in one tile: it takes hardly longer than one of a single row, whose sums
 * wait for each other. */
CPU_INLINE void last_rows(float *c, cpu_addend addend, const cpu_right *right, cpu_left a,
                          const float *panel, size_t depth, size_t rows) {
    _Static_assert(FEW_ROWS <= 4, "every number of rows has a case");
    switch (rows) {
    case 1: row_of_tiles(c, addend, right, a, panel, depth, 1); return;
    case 2: row_of_tiles(c, addend, right, a, panel, depth, 2); return;
    case 3: row_of_tiles(c, addend, right, a, panel, depth, 3); return;
    default: return;
    }
}

static void multiply(float *c, cpu_addend addend, cpu_left a, const cpu_right *right, size_t M) {
    const size_t K = right->K, N = right->N;
    const float *panel = right->panel;
    for (size_t k = 0, depth; k < K; k += depth) {
        depth = depth_of(K - k);
        size_t i = 0;
        cpu_left block = {a.p + k * a.step, a.row, a.step};
        for (; i + TILE_ROWS <= M; i += TILE_ROWS, block.p += TILE_ROWS * a.row) {
            row_of_tiles(c + i * N, addend_at(addend, N, i, 0), right, block, panel, depth,
                         TILE_ROWS);
        }
        for (; i + FEW_ROWS <= M; i += FEW_ROWS, block.p += FEW_ROWS * a.row) {
            row_of_tiles(c + i * N, addend_at(addend, N, i, 0), right, block, panel, depth,
                         FEW_ROWS);
        }
        last_rows(c + i * N, addend_at(addend, N, i, 0), right, block, panel, depth, M - i);
        panel += dt_round_up(N, PANEL) * depth;
        addend = (cpu_addend){.rows = c};
    }
}

/* For BLAS, which adds to what is there. */
static void put_addend(float *c, cpu_addend addend, size_t M, size_t N, size_t columns) {
    for (size_t i = 0; i < M; i++) {
        float *row = c + i * N;
        if (addend.rows && addend.bias) {
            const float *from = addend.rows + i * N;
            for (size_t j = 0; j < columns; j++) row[j] = from[j] + addend.bias[j];
        } else if (addend.rows || addend.bias) {
            const float *from = addend.rows ? addend.rows + i * N : addend.bias;
            if (from != row) memcpy(row, from, columns * sizeof *row);
        } else {
            memset(row, 0, columns * sizeof *row);
        }
    }
}

void cpu_multiply(float *c, cpu_addend addend, cpu_left a, const cpu_right *right, size_t M) {
    if (right->panel) {
        multiply(c, addend, a, right, M);
        return;
    }
    put_addend(c, addend, M, right->N, right->columns);
    const bool transposed = a.step != 1;
    /* of one row alone the distance to the next says nothing, and may be too short for BLAS */
    const size_t left_row = transposed ? a.step : dt_max_size(a.row, right->K);
    cblas_sgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans,
                right->transposed ? CblasTrans : CblasNoTrans, (int)M, (int)right->columns,
                (int)right->K, 1.0f, a.p, (int)left_row, right->b,
                (int)(right->transposed ? right->K : right->N), 1.0f, c, (int)right->N);
}
