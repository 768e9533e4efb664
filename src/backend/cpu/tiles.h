/* The tiles of a matrix product, for any type of operands; included once by each file that
 * multiplies. That file defines first, the last three if it needs them:
 * - tile_word: 4 bytes of the left side, one element or several that one instruction multiplies
 * - TILE_DOT(sum, x, b): sum + x b, for a tile_word x and a vector b of the right side's words
 * - TILE_ROWS, FEW_ROWS: rows of a tile that stays in registers, and of a tile for the remaining
 *   rows
 * - UNROLL, UNROLL_DEPTH: pragmas for the loops over rows and over the depth
 * - depth_of: how much of the remaining depth comes next
 * - TILE_BEGIN, TILE_END, TILE_HOLD: what surrounds the sums of a tile, as flush_begin, flush_end
 *   and flush_hold */
#ifndef DTRAIN_CPU_TILES_H
#define DTRAIN_CPU_TILES_H

#include "cpu.h"
#include "vector.h"

#ifndef TILE_BEGIN
#define TILE_BEGIN() 0
#define TILE_END(before) ((void)(before))
#define TILE_HOLD(sum) ((void)(sum))
#endif

enum { PANEL = 2 * LANES };

/* The left side, a (M,K) in words: word (i, k) is at p[i * row + k * step]. */
typedef struct {
    const tile_word *p;
    size_t row, step;
} tile_left;

CPU_INLINE void hold_sums(vec *low, vec *high, const size_t rows) {
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        TILE_HOLD(low[r]);
        TILE_HOLD(high[r]);
    }
}

/* c (rows,PANEL) = addend + a (rows,depth) b (depth,PANEL); rows of c and of the addend are `row`
 * apart. `rows` is a constant at compile time. The loops over it are unrolled at any optimisation
 * level; otherwise the sums would be in memory. */
CPU_INLINE void tile(float *c, cpu_addend addend, size_t row, tile_left a, const float *b,
                     size_t depth, const size_t rows) {
    vec low[TILE_ROWS], high[TILE_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) low[r] = high[r] = vec_all(0);
    const uint32_t before = TILE_BEGIN();
    hold_sums(low, high, rows);
    UNROLL_DEPTH
    for (size_t k = 0; k < depth; k++) {
        const vec b_low = vec_load(b + k * PANEL), b_high = vec_load(b + k * PANEL + LANES);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const tile_word x = a.p[r * a.row + k * a.step];
            low[r] = TILE_DOT(low[r], x, b_low);
            high[r] = TILE_DOT(high[r], x, b_high);
        }
    }
    hold_sums(low, high, rows);
    TILE_END(before);
    hold_sums(low, high, rows);
    vec bias_low = addend.bias ? vec_load(addend.bias) : vec_all(0),
        bias_high = addend.bias ? vec_load(addend.bias + LANES) : vec_all(0);
    TILE_HOLD(bias_low);
    TILE_HOLD(bias_high);
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

/* The part of an addend that begins at row i and this column; rows are `row` apart. */
CPU_INLINE cpu_addend addend_at(cpu_addend addend, size_t row, size_t i, size_t column) {
    return (cpu_addend){addend.rows ? addend.rows + i * row + column : NULL,
                        addend.bias ? addend.bias + column : NULL};
}

/* The last columns, fewer than a panel, computed in a whole tile. */
CPU_INLINE void narrow_tile(float *c, cpu_addend addend, size_t row, tile_left a, const float *b,
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

/* The wanted columns of c = addend + a (rows,depth) times packed panels. */
CPU_INLINE void row_of_tiles(float *c, cpu_addend addend, const cpu_right *right, tile_left a,
                             const float *panel, size_t depth, const size_t rows) {
    const size_t row = right->row, columns = right->columns;
    size_t j = 0;
    for (; j + PANEL <= columns; j += PANEL) {
        tile(c + j, addend_at(addend, row, 0, j), row, a, panel + j * depth, depth, rows);
    }
    if (j < columns) {
        narrow_tile(c + j, addend_at(addend, row, 0, j), row, a, panel + j * depth, depth,
                    columns - j, rows);
    }
}

/* Fewer than FEW_ROWS rows, in one tile: it takes hardly longer than a single row, whose additions
 * wait for each other. */
CPU_INLINE void last_rows(float *c, cpu_addend addend, const cpu_right *right, tile_left a,
                          const float *panel, size_t depth, size_t rows) {
    _Static_assert(FEW_ROWS <= 4, "every number of rows has a case");
    switch (rows) {
    case 1: row_of_tiles(c, addend, right, a, panel, depth, 1); return;
    case 2: row_of_tiles(c, addend, right, a, panel, depth, 2); return;
    case 3: row_of_tiles(c, addend, right, a, panel, depth, 3); return;
    default: return;
    }
}

/* The wanted columns of M rows of c = addend + a times the packed right side, K > 0 words deep. */
static void multiply_tiles(float *c, cpu_addend addend, tile_left a, const cpu_right *right,
                           size_t M) {
    const size_t K = right->K, row = right->row;
    const float *panel = right->panel;
    for (size_t k = 0, depth; k < K; k += depth) {
        depth = depth_of(K - k);
        size_t i = 0;
        tile_left block = {a.p + k * a.step, a.row, a.step};
        for (; i + TILE_ROWS <= M; i += TILE_ROWS, block.p += TILE_ROWS * a.row) {
            row_of_tiles(c + i * row, addend_at(addend, row, i, 0), right, block, panel, depth,
                         TILE_ROWS);
        }
        for (; i + FEW_ROWS <= M; i += FEW_ROWS, block.p += FEW_ROWS * a.row) {
            row_of_tiles(c + i * row, addend_at(addend, row, i, 0), right, block, panel, depth,
                         FEW_ROWS);
        }
        last_rows(c + i * row, addend_at(addend, row, i, 0), right, block, panel, depth, M - i);
        panel += dt_round_up(right->N, PANEL) * depth;
        addend = (cpu_addend){.rows = c};
    }
}

#endif
