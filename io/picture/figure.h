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

/* Colours that colour-blind people can tell apart: Okabe and Ito 2008, and one more. */
typedef enum {
    DT_BLACK,
    DT_BLUE,
    DT_RED,
    DT_GREEN,
    DT_PURPLE,
    DT_ORANGE,
    DT_SKY,
    DT_BROWN,
    DT_COLOURS
} dt_colour;

/* 0xRRGGBB, on white. */
unsigned dt_colour_rgb(dt_colour colour);

/* Of a run among several. */
dt_colour dt_run_colour(size_t run);

typedef struct {
    char name[96];
    dt_colour colour;
    char symbol;    /* in a terminal */
    bool dense;     /* measured at every step: a line without points */
    bool scattered; /* neighbours differ: their range says more than their mean */
    bool thinned;   /* points stand for several rows */
    dt_point *point;
    size_t points;
    double last; /* finite value; NaN: none */
} dt_curve;

enum { DT_CURVES_MAX = 2 * DT_PLOT_RUNS_MAX };
_Static_assert((int)DT_CURVES_MAX > (int)DT_KINDS_MAX,
               "a panel holds a curve of each kind, and one of all");

typedef enum {
    DT_PANEL_LOSS,
    DT_PANEL_EXACT,
    DT_PANEL_BITS,
    DT_PANEL_LR,
    DT_PANEL_NORM,
    DT_PANELS_DRAWN, /* those before it are in every picture, the others in pages alone */
    DT_PANEL_SPEED = DT_PANELS_DRAWN,
    DT_PANEL_ENERGY,
    DT_PANEL_KIND, /* of several runs: exact matches of the first kind of texts, of the second … */
    DT_PANELS = DT_PANEL_KIND + DT_KINDS_MAX
} dt_panel_kind;

/* One without curves has nothing to show. */
typedef struct {
    char title[64];
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
    /* Of several runs these are left out: */
    dt_restart *restart; /* of several in one column, the last */
    size_t restarts;
    int64_t first_ranks;    /* 0: unknown */
    double best_step, best; /* of the exact matches, percent; NaN: none */
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
