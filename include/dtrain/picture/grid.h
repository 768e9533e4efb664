/* Where a model is right and where it is wrong: as a picture, as text for a terminal. */
#ifndef DTRAIN_GRID_H
#define DTRAIN_GRID_H

#include <stdio.h>

#include "dtrain/data/source.h"

/* What is drawn: by reference. */
typedef struct {
    const char *title; /* UTF-8 */
    const dt_grid_kind *kind;
    const int64_t *tally;
} dt_grid;

/**
 * Read a tally back from the JSON object that eval prints, as far as it is drawn.
 *
 * @param[out] tally  to be given back with dt_memory_free; NULL on error
 * @param[out] kind   that it is of
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA if it is no such object, with the location in the file
 */
dt_status dt_grid_read(int64_t **tally, const dt_grid_kind **kind, const char *path);

/* The panels of the tally; colours say which share of the answers is wrong, on a logarithmic scale.
 * As dt_plot_write. */
dt_status dt_grid_write(const char *path, const dt_grid *grid);

/* The same in plain ASCII, a character a cell, lines of at most `columns` characters (at least
 * DT_GRID_COLUMNS_MIN). */
enum { DT_GRID_COLUMNS_MIN = 60 };
dt_status dt_grid_print(FILE *out, const dt_grid *grid, size_t columns);

#endif
