/* Where a model is right and where it is wrong: as JSON, as a picture, as text for a terminal. */
#ifndef DTRAIN_GRID_H
#define DTRAIN_GRID_H

#include <stdio.h>

#include "dtrain/data/analysis.h"

/**
 * The counts of an evaluation as members of a JSON object, each with a comma before it: one object
 * for each operation there are problems of ("add": {"problems", "exact_match", "exact_text",
 * "cells", "by_carries", "splits", "wrong_steps", "wrong_copies", "wrong_answers"}).
 * @return DT_ERR_IO
 */
dt_status dt_tally_write(FILE *out, const dt_tally *tally);

/**
 * Read the counts back from the JSON object that eval prints: all but the slips.
 *
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA if it is no such object, with the location in the file
 */
dt_status dt_tally_read(dt_tally *tally, const char *path);

/* What is drawn: by reference. */
typedef struct {
    const char *title; /* UTF-8 */
    const dt_tally *tally;
} dt_grid;

/* One panel for each operation by operand lengths, and one by what makes it hard; colours say which
 * share of the answers is wrong, on a logarithmic scale. As dt_plot_write. */
dt_status dt_grid_write(const char *path, const dt_grid *grid);

/* The same in plain ASCII, a character a cell, lines of at most `columns` characters (at least
 * DT_GRID_COLUMNS_MIN). */
enum { DT_GRID_COLUMNS_MIN = 60 };
dt_status dt_grid_print(FILE *out, const dt_grid *grid, size_t columns);

#endif
