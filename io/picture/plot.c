/* Draws a run as SVG or PNG with gnuplot. */
#include "dtrain/picture/plot.h"

#include <math.h>

#include "figure.h"
#include "gnuplot.h"

/* Pixels of the picture, and points of a curve: more could not be told apart. */
enum { WIDTH = 1000, HEIGHT = 1120, COLUMNS = 600 };

/* As fractions of the picture, from below and from the left. */
static const double LEFT = 0.095, RIGHT = 0.765, TOP = 0.935, BOTTOM = 0.055, GAP = 0.02;
static const double PANEL_HEIGHT[DT_PANELS_DRAWN] = {[DT_PANEL_LOSS] = 0.32,
                                                     [DT_PANEL_EXACT] = 0.32,
                                                     [DT_PANEL_BITS] = 0.32,
                                                     [DT_PANEL_LR] = 0.14,
                                                     [DT_PANEL_NORM] = 0.22};

/* ---- parts of a script ---- */

static void write_curves(FILE *script, const dt_figure *figure) {
    for (size_t i = 0; i < DT_PANELS_DRAWN; i++) {
        const dt_panel *panel = &figure->panel[i];
        for (size_t k = 0; k < panel->curves; k++) {
            const dt_curve *curve = &panel->curve[k];
            fprintf(script, "$curve_%zu_%zu << END\n", i, k);
            for (size_t j = 0; j < curve->points; j++) {
                const dt_point *p = &curve->point[j];
                if (isnan(p->mean)) {
                    fprintf(script, "%.12g NaN NaN NaN\n", p->step);
                } else {
                    fprintf(script, "%.12g %.9g %.9g %.9g\n", p->step, fmax(p->least, panel->y.low),
                            p->mean, p->most);
                }
            }
            fprintf(script, "END\n");
        }
    }
}

static void write_ticks(FILE *script, const char *which, const dt_axis *axis, bool labels) {
    fprintf(script, "set %stics nomirror (", which);
    for (size_t i = 0; i < axis->ticks; i++) {
        fprintf(script, "%s'%s' %.12g", i ? ", " : "", labels ? axis->tick[i].label : "",
                axis->tick[i].value);
    }
    fprintf(script, ")\n");
}

/* Lines through all panels; the number of ranks is written over the first panel, where there is
 * room. */
static void write_restarts(FILE *script, const dt_figure *figure) {
    const double room = 0.09 * (figure->x.high - figure->x.low);
    double free_from = figure->x.low;
    if (figure->first_ranks > 0 && figure->restarts > 0) {
        fprintf(script, "set label '%lld rank%s' at graph 0, graph 1 offset 0,0.6 left\n",
                (long long)figure->first_ranks, figure->first_ranks == 1 ? "" : "s");
        free_from += 1.2 * room;
    }
    for (size_t i = 0; i < figure->restarts; i++) {
        const dt_restart *r = &figure->restart[i];
        fprintf(
            script,
            "set arrow from %.12g, graph 0 to %.12g, graph 1 nohead lc rgb '#606060' dt 2 lw 1.3\n",
            r->step, r->step);
        if (r->ranks <= 0 || r->step < free_from) continue;
        fprintf(script, "set label '%lld rank%s' at %.12g, graph 1 offset 0,0.6 center\n",
                (long long)r->ranks, r->ranks == 1 ? "" : "s", r->step);
        free_from = r->step + room;
    }
}

/* The key stands right of the panels, where there is room for so many characters. */
static void write_key(FILE *script, const char *name, const char *more) {
    enum { CHARACTERS = 26 };
    char text[128];
    snprintf(text, sizeof text, "%s%s", name, more);
    dt_gnuplot_title(script, text, CHARACTERS);
}

static void write_plot(FILE *script, const dt_figure *figure, size_t which) {
    const dt_panel *panel = &figure->panel[which];
    fprintf(script, "plot NaN notitle"); /* axes even where there is no curve */
    for (size_t k = 0; k < panel->curves; k++) {
        const dt_curve *curve = &panel->curve[k];
        if (!curve->thinned || !curve->scattered) continue;
        fprintf(script,
                ", $curve_%zu_%zu using 1:2:4 with filledcurves lc rgb '#%06x' "
                "fs transparent solid 0.25 noborder title ",
                which, k, dt_colour_rgb(curve->colour));
        write_key(script, curve->name, ", range");
    }
    for (size_t k = 0; k < panel->curves; k++) {
        const dt_curve *curve = &panel->curve[k];
        const bool points = curve->points == 1 || (!curve->dense && curve->points <= 80);
        fprintf(script, ", $curve_%zu_%zu using 1:3 with %s lc rgb '#%06x' lw 1.5 title ", which, k,
                points ? "linespoints pt 7 ps 0.5" : "lines", dt_colour_rgb(curve->colour));
        write_key(script, curve->name, curve->thinned && curve->scattered ? ", mean" : "");
    }
    if (which == DT_PANEL_EXACT && isfinite(figure->best)) {
        fprintf(script,
                ", '+' using (%.12g):(%.9g) every ::::0 with points pt 6 ps 1.8 lw 2 "
                "lc rgb '#D55E00' title 'best: %.2f %%'",
                figure->best_step, figure->best, figure->best);
    }
    if (which == DT_PANEL_LOSS && figure->restarts > 0) {
        fprintf(script, ", NaN with lines lc rgb '#606060' dt 2 title 'started again'");
    }
    fprintf(script, "\n");
}

static void write_panels(FILE *script, const dt_figure *figure) {
    double top = TOP, all = 0;
    size_t last = 0;
    for (size_t i = 0; i < DT_PANELS_DRAWN; i++) {
        if (figure->panel[i].curves == 0) continue;
        all += PANEL_HEIGHT[i];
        last = i;
    }
    for (size_t i = 0; i <= last; i++) {
        const dt_panel *panel = &figure->panel[i];
        if (panel->curves == 0) continue;
        const bool lowest = i == last;
        const double height = (TOP - BOTTOM) * PANEL_HEIGHT[i] / all;
        const double bottom = lowest ? BOTTOM : top - height + GAP;
        fprintf(script, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n", top, bottom);
        fprintf(script, "set key at screen %.4f, screen %.4f\n", RIGHT + 0.01, top);
        fprintf(script, "set label '%s' at screen 0.02, screen %.4f center rotate by 90\n",
                panel->title, (top + bottom) / 2);
        fprintf(script, "%sset logscale y\nset yrange [%.9g:%.9g]\n",
                panel->y.logarithmic ? "" : "un", panel->y.low, panel->y.high);
        write_ticks(script, "y", &panel->y, true);
        write_ticks(script, "x", &figure->x, lowest);
        if (lowest) fprintf(script, "set xlabel 'steps'\n");
        write_plot(script, figure, i);
        fprintf(script, "unset label\n");
        top -= height;
    }
}

/* A figure and its title. */
typedef struct {
    const dt_figure *figure;
    const char *title;
} titled_figure;

static void write_script(FILE *script, dt_picture picture, const void *what) {
    const titled_figure *titled = what;
    const dt_figure *figure = titled->figure;
    enum { CHARACTERS = 95 }; /* have room in the title */
    dt_gnuplot_terminal(script, picture, WIDTH, HEIGHT);
    write_curves(script, figure);
    fprintf(script, "set multiplot\nset label ");
    dt_gnuplot_title(script, titled->title, CHARACTERS);
    fprintf(script,
            " at screen %.4f, screen 0.98 left font ',14'\nset lmargin at screen %.4f\nset rmargin "
            "at screen %.4f\nset xrange [%.12g:%.12g]\n"
            "set border 3 lc rgb '#606060'\nset grid xtics ytics lt 1 lc rgb '#e4e4e4'\n"
            "set key left top Left reverse samplen 2\nset samples 2\n",
            LEFT, LEFT, RIGHT, figure->x.low, figure->x.high);
    write_restarts(script, figure);
    write_panels(script, figure);
    fprintf(script, "unset multiplot\n");
}

dt_status dt_plot_write(const char *path, const dt_plot *plot) {
    dt_figure figure = {0};
    const titled_figure titled = {&figure, plot->title};
    dt_picture picture;
    DT_TRY(dt_plot_picture(&picture, path));
    dt_status status = dt_figure_create(&figure, plot, COLUMNS);
    if (status == DT_OK) status = dt_gnuplot_draw(path, write_script, &titled);
    dt_figure_destroy(&figure);
    return status;
}
