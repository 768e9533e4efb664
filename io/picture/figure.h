/* What a plot shows, in a picture or in a terminal: thinned curves, axes, restarts. */
#ifndef DTRAIN_IO_FIGURE_H
#define DTRAIN_IO_FIGURE_H

#include "axis.h"
#include "dtrain/picture/plot.h"

/* The rows that fall into one column of the picture; all NaN where nothing finite was measured. */
typedef struct {
    double step; /* their mean step */
    double least, mean, most;
} dt_point;

typedef struct {
    const char *name;
    unsigned colour; /* 0xRRGGBB */
    char symbol;     /* in a terminal */
    bool dense;      /* measured at every step: a line without points */
    bool scattered;  /* neighbours differ: their range says more than their mean */
    bool thinned;    /* points stand for several rows */
    dt_point *point;
    size_t points;
    double last; /* finite value; NaN: none */
} dt_curve;

enum { DT_CURVES_MAX = DT_KINDS_MAX + 1 };

typedef enum { DT_PANEL_LOSS, DT_PANEL_EXACT, DT_PANEL_LR, DT_PANEL_NORM, DT_PANELS } dt_panel_kind;

typedef struct {
    const char *title;
    const char *unit; /* of the values, for a legend: "%" or "" */
    dt_axis y;
    dt_curve curve[DT_CURVES_MAX];
    size_t curves;
} dt_panel;

/* A start of the run after the first, within the range of x. */
typedef struct {
    double step;
    int64_t ranks;
} dt_restart;

typedef struct {
    dt_axis x;
    dt_panel panel[DT_PANELS];
    dt_restart *restart; /* of several in one column, the last */
    size_t restarts;
    int64_t first_ranks;    /* 0: unknown */
    double best_step, best; /* percent; NaN: none */
} dt_figure;

/**
 * @param[out] figure  to be given back with dt_figure_destroy, also after an error
 * @param columns      points of a curve, at most
 * @return DT_ERR_DATA if nothing has been measured
 */
dt_status dt_figure_create(dt_figure *figure, const dt_plot *plot, size_t columns);
void dt_figure_destroy(dt_figure *figure);

/* The part of a title that fits into so many characters (UTF-8), with "..." before it if it is not
 * all: its end says the most. */
const char *dt_title_part(const char *title, size_t characters);

/* A title as a line of so many columns; one '?' for what is not ASCII. */
void dt_title_print(FILE *out, const char *title, size_t columns);

#endif
