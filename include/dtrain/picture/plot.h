/* Pictures of what a run has measured: as SVG or PNG through gnuplot, or as text for a terminal. */
#ifndef DTRAIN_PLOT_H
#define DTRAIN_PLOT_H

#include <stdio.h>

#include "dtrain/core/metrics.h"

/* A run that is drawn; all by reference. */
typedef struct {
    const char *name; /* UTF-8; needed where there are several */
    const dt_metrics *metrics;
    int64_t best_step;        /* of the validation to mark; one that there is none of: no mark */
    const dt_text_kind *kind; /* (kinds) of the texts: a curve each */
    size_t kinds;
    bool bits_per_byte; /* these are drawn in the place of exact matches */
} dt_plot_run;

enum { DT_PLOT_RUNS_MAX = 8 };

/* What is drawn; all by reference. */
typedef struct {
    const char *title;      /* UTF-8; what a picture cannot show of it becomes '?' */
    const dt_plot_run *run; /* (runs) several are laid over each other */
    size_t runs;            /* 1 … DT_PLOT_RUNS_MAX */
} dt_plot;

typedef enum { DT_PICTURE_SVG, DT_PICTURE_PNG } dt_picture;

/* By the end of the name: ".svg", ".png". DT_ERR_ARG for others. */
dt_status dt_plot_picture(dt_picture *picture, const char *path);

/**
 * Draw loss, exact match or bits per byte, learning rate and gradient norm over steps, and where
 * the run was started again. Any number of rows: a curve is thinned to the mean, least and most per
 * column.
 *
 * `path` is either the old file or the whole new one, also when gnuplot fails.
 *
 * @return DT_ERR_ARG: neither .svg nor .png; DT_ERR_DATA: nothing has been measured;
 *         DT_ERR_UNAVAILABLE: gnuplot is not there, or failed, with its own words;
 *         DT_ERR_CREATE, DT_ERR_IO: the file cannot be written
 * Starts a process; no shell.
 */
dt_status dt_plot_write(const char *path, const dt_plot *plot);

/* The narrowest text that dt_plot_print draws; less is taken for this. */
enum { DT_PLOT_COLUMNS_MIN = 30 };

/**
 * The same in plain ASCII, lines of at most `columns` characters.
 *
 * @return DT_ERR_DATA: nothing has been measured; DT_ERR_IO: `out` cannot be written
 */
dt_status dt_plot_print(FILE *out, const dt_plot *plot, size_t columns);

#endif
