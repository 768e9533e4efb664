/* Draws a run as SVG or PNG: gnuplot does, from a script with the data in it. */
#include "dtrain/plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "dtrain/log.h"
#include "figure.h"
#include "replace.h"

/* Pixels of the picture, and points of a curve: more could not be told apart. */
enum { WIDTH = 1000, HEIGHT = 1120, COLUMNS = 600 };

/* In shares of the picture, from below and from the left. */
static const double LEFT = 0.095, RIGHT = 0.765, TOP = 0.935, BOTTOM = 0.055, GAP = 0.02;
static const double PANEL_HEIGHT[DT_PANELS] = {
    [DT_PANEL_LOSS] = 0.32, [DT_PANEL_EXACT] = 0.32, [DT_PANEL_LR] = 0.14, [DT_PANEL_NORM] = 0.22};

/* ---- text in a script ---- */

/* Bytes of the UTF-8 character at the start of a text; 0 if it is none that XML may hold. */
static size_t character(const char *text) {
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] >= ' ' && c[0] < 0x7f) return 1;
    size_t more = c[0] >= 0xf0 ? 3 : c[0] >= 0xe0 ? 2 : 1;
    if (c[0] < 0xc2 || c[0] > 0xf4) return 0;
    unsigned long code = c[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((c[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (c[i] & 0x3f);
    }
    static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
    const bool lone = code >= 0xd800 && code <= 0xdfff, control = code < 0xa0;
    const bool allowed = code >= least[more] && code <= 0x10ffff && !lone && !control;
    return allowed && code != 0xfffe && code != 0xffff ? more + 1 : 0;
}

/* Between single quotes gnuplot takes everything as it stands, and a doubled quote for one. */
static void write_title(FILE *script, const char *title) {
    enum { CHARACTERS = 95 }; /* have room */
    const char *text = dt_title_part(title, CHARACTERS);
    fputs(text == title ? "'" : "'...", script);
    while (*text) {
        const size_t bytes = character(text);
        if (*text == '\'') fputc('\'', script);
        if (bytes) {
            fwrite(text, 1, bytes, script);
        } else {
            fputc('?', script);
        }
        text += bytes ? bytes : 1;
    }
    fputc('\'', script);
}

/* ---- parts of a script ---- */

static void write_terminal(FILE *script, dt_picture picture) {
    fprintf(script, "set encoding utf8\n");
    if (picture == DT_PICTURE_SVG) {
        fprintf(script,
                "set terminal svg size %d,%d dynamic noenhanced font 'sans-serif,14' "
                "background '#ffffff'\n",
                WIDTH, HEIGHT);
    } else {
        /* The cairo terminal draws smoother lines, but is not built into every gnuplot. */
        fprintf(script,
                "if (strstrt(GPVAL_TERMINALS, ' pngcairo ') > 0) {\n"
                "set terminal pngcairo size %d,%d noenhanced font 'sans,11' background '#ffffff'\n"
                "} else {\nset terminal png size %d,%d noenhanced\n}\n",
                WIDTH, HEIGHT, WIDTH, HEIGHT);
    }
}

static void write_curves(FILE *script, const dt_figure *figure) {
    for (size_t i = 0; i < DT_PANELS; i++) {
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

/* Lines through all panels; how many ranks then ran stands over the first, where there is room. */
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

static void write_plot(FILE *script, const dt_figure *figure, size_t which) {
    const dt_panel *panel = &figure->panel[which];
    fprintf(script, "plot NaN notitle"); /* axes even where there is no curve */
    for (size_t k = 0; k < panel->curves; k++) {
        const dt_curve *curve = &panel->curve[k];
        if (!curve->thinned || !curve->scattered) continue;
        fprintf(script,
                ", $curve_%zu_%zu using 1:2:4 with filledcurves lc rgb '#%06x' "
                "fs transparent solid 0.25 noborder title '%s, range'",
                which, k, curve->colour, curve->name);
    }
    for (size_t k = 0; k < panel->curves; k++) {
        const dt_curve *curve = &panel->curve[k];
        const bool points = curve->points == 1 || (!curve->dense && curve->points <= 80);
        fprintf(script, ", $curve_%zu_%zu using 1:3 with %s lc rgb '#%06x' lw 1.5 title '%s%s'",
                which, k, points ? "linespoints pt 7 ps 0.5" : "lines", curve->colour, curve->name,
                curve->thinned && curve->scattered ? ", mean" : "");
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
    double top = TOP;
    for (size_t i = 0; i < DT_PANELS; i++) {
        const dt_panel *panel = &figure->panel[i];
        const bool lowest = i + 1 == DT_PANELS;
        const double height = (TOP - BOTTOM) * PANEL_HEIGHT[i];
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

static void write_script(FILE *script, const dt_figure *figure, const char *title,
                         dt_picture picture) {
    write_terminal(script, picture);
    write_curves(script, figure);
    fprintf(script, "set multiplot\nset label ");
    write_title(script, title);
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

/* ---- gnuplot ---- */

dt_status dt_plot_picture(dt_picture *picture, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *end = strrchr(name, '.');
    const bool svg = end && end != name && strcmp(end, ".svg") == 0;
    const bool png = end && end != name && strcmp(end, ".png") == 0;
    DT_REQUIRE(svg || png, DT_ERR_ARG,
               "%s: pictures are drawn as SVG or PNG; let the name end in .svg or .png", path);
    *picture = svg ? DT_PICTURE_SVG : DT_PICTURE_PNG;
    return DT_OK;
}

static dt_status run_gnuplot(FILE *script, const dt_replacement *out) {
    /* -d: no settings of the user's own, which could change anything. */
    static const char *const argument[] = {"gnuplot", "-d", NULL};
    dt_child child;
    char text[128];
    const int error = dt_child_run(&child, argument, fileno(script), out->file);
    DT_REQUIRE(error != ENOENT && error != EACCES && error != ENOTDIR, DT_ERR_UNAVAILABLE,
               "gnuplot was not found: install it (the package gnuplot-nox of Debian and Ubuntu, "
               "elsewhere gnuplot), or draw in the terminal with --ascii");
    DT_REQUIRE(!error, DT_ERR_UNAVAILABLE, "gnuplot could not be started: %s",
               dt_file_reason(error, text));
    if (*child.said) dt_log_debug("gnuplot said: %s", child.said);
    DT_REQUIRE(!child.signal, DT_ERR_UNAVAILABLE, "gnuplot was ended by signal %d (%s)%s%s",
               child.signal, strsignal(child.signal), *child.said ? "; it said: " : "", child.said);
    struct stat info;
    const bool drawn = fstat(out->file, &info) == 0 && info.st_size > 0;
    DT_REQUIRE(child.exit_code == 0 && drawn, DT_ERR_UNAVAILABLE,
               "gnuplot did not draw %s (exit code %d): %s", out->path, child.exit_code,
               *child.said ? child.said : "it gave no reason");
    return DT_OK;
}

/* From an open, unnamed file, rather than a pipe: gnuplot may end early without a SIGPIPE here. */
static dt_status draw(const dt_replacement *out, const dt_figure *figure, const char *title,
                      dt_picture picture) {
    char text[128];
    dt_status status = DT_OK;
    FILE *script = tmpfile();
    DT_REQUIRE(script, DT_ERR_CREATE, "no temporary file for gnuplot can be created: %s",
               dt_file_reason(errno, text));
    write_script(script, figure, title, picture);
    errno = EIO;
    DT_REQUIRE_DONE(fflush(script) == 0 && !ferror(script) &&
                        lseek(fileno(script), 0, SEEK_SET) == 0,
                    DT_ERR_IO, "the temporary file for gnuplot cannot be written: %s",
                    dt_file_reason(errno, text));
    DT_TRY_DONE(run_gnuplot(script, out));
done:
    fclose(script);
    return status;
}

dt_status dt_plot_write(const char *path, const dt_plot *plot) {
    dt_picture picture = DT_PICTURE_SVG;
    dt_figure figure = {0};
    dt_replacement out = {.file = -1};
    dt_status status;
    DT_TRY(dt_plot_picture(&picture, path));
    DT_TRY_DONE(dt_figure_create(&figure, plot, COLUMNS));
    DT_TRY_DONE(dt_replacement_open(&out, path));
    DT_TRY_DONE(draw(&out, &figure, plot->title, picture));
    DT_TRY_DONE(dt_replacement_sync(&out));
    DT_TRY_DONE(dt_replacement_commit(&out));
done:
    dt_replacement_discard(&out);
    dt_figure_destroy(&figure);
    return status;
}
