/* The runs that plot draws, and what a page says of them. */
#ifndef DTRAIN_PLOT_RUNS_H
#define DTRAIN_PLOT_RUNS_H

#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/picture/page.h"

typedef struct {
    dt_checkpoint checkpoint[DT_PLOT_RUNS_MAX];
    dt_run_log log[DT_PLOT_RUNS_MAX];
    dt_plot_run run[DT_PLOT_RUNS_MAX];
    char name[DT_PLOT_RUNS_MAX][DT_PATH_MAX];
    char title[2 * DT_PATH_MAX];
    dt_plot plot; /* of them all */
} plot_runs;

/* Read checkpoints, or the newest ones of runs, and their logs. runs: plot_runs_close it, also
 * after an error. */
dt_status plot_runs_open(plot_runs **runs, const char *const *target, size_t count);
void plot_runs_close(plot_runs **runs);

/* Whether a file's name is that of a page: it ends in .html. */
bool plot_page_is_name(const char *path);

/* As dt_page_write. */
dt_status plot_page_write(const char *path, const plot_runs *runs);

#endif
