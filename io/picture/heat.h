/* What a heat map shows, in a picture or in a terminal: panels of cells, and how wrong each cell
 * is. */
#ifndef DTRAIN_IO_HEAT_H
#define DTRAIN_IO_HEAT_H

#include "dtrain/picture/grid.h"

/* Cells from (x_first, y_first) to (x_last, y_last). */
typedef struct {
    dt_grid_panel panel;
    size_t x_first, x_last, y_first, y_last;
} dt_heat;

/* The panels with problems; how many there are. */
size_t dt_heat_list(dt_heat list[DT_GRID_PANELS_MAX], const dt_grid *grid);

const dt_count *dt_heat_at(const dt_heat *heat, size_t x, size_t y);

/* How wrong a cell is: 0: not at all; up to DT_HEAT_LEVELS - 1: wholly; -1: there are no problems.
 */
enum { DT_HEAT_LEVELS = 8 };
int dt_heat_level(const dt_count *cell);

/* "none", "under 0.001 %" … */
const char *dt_heat_name(int level);

/* 0xRRGGBB, and for terminals a character that looks as dark. */
unsigned dt_heat_colour(int level);
char dt_heat_symbol(int level);

#endif
