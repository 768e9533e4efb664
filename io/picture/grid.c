/* Draws where a model is wrong as a heat map, with gnuplot. */
#include <inttypes.h>

#include "gnuplot.h"
#include "heat.h"

/* Pixels: of the picture, of a row of panels, of the title and of the legend below. */
enum { WIDTH = 1000, ROW = 290, TITLE = 50, LEGEND = 80 };

/* More cells than this in a row have no room for words. */
enum { WORDS_MAX = 6 };

/* In shares of the width. */
static const double LEFT = 0.08, MIDDLE = 0.50, SECOND = 0.60, RIGHT = 0.97;

/* In the middle of a cell: which share is right, or how many are not. */
static void write_words(FILE *script, const dt_count *cell) {
    const int64_t wrong = cell->problems - cell->right;
    const double share = (double)cell->right / (double)cell->problems;
    if (wrong == 0) {
        fprintf(script, "'100 %%'");
    } else if (wrong < 1000 && share > 0.9995) {
        fprintf(script, "'%" PRId64 " wrong'", wrong);
    } else {
        fprintf(script, "'%.2f %%'", 100 * share);
    }
}

/* x, y, colour of each cell; then the words in them. */
static void write_cells(FILE *script, const dt_heat *heat, size_t which) {
    const bool words = heat->x_last - heat->x_first < WORDS_MAX;
    fprintf(script, "$cells_%zu << END\n", which);
    for (size_t y = heat->y_first; y <= heat->y_last; y++) {
        for (size_t x = heat->x_first; x <= heat->x_last; x++) {
            fprintf(script, "%zu %zu %u\n", x, y,
                    dt_heat_colour(dt_heat_level(dt_heat_at(heat, x, y))));
        }
    }
    fprintf(script, "END\n");
    for (size_t y = heat->y_first; words && y <= heat->y_last; y++) {
        for (size_t x = heat->x_first; x <= heat->x_last; x++) {
            const dt_count *cell = dt_heat_at(heat, x, y);
            if (cell->problems == 0) continue;
            const bool dark = dt_heat_level(cell) >= DT_HEAT_LEVELS - 2;
            fprintf(script, "set label ");
            write_words(script, cell);
            fprintf(script, " at %zu,%zu center front tc rgb '%s'\n", x, y,
                    dark ? "#ffffff" : "#202020");
        }
    }
}

/* What rows or columns stand for: of every fifth, if there are many. */
static void write_numbers(FILE *script, const char *axis, const dt_heat *heat, size_t first,
                          size_t last) {
    enum { MANY = 13 };
    const size_t stride = last - first >= MANY ? 5 : 1;
    fprintf(script, "set %stics scale 0 (", axis);
    for (size_t i = first; i <= last; i += stride)
        fprintf(script, "%s'%zu' %zu", i > first ? ", " : "", heat->panel.number(i), i);
    fprintf(script, ")\n");
}

/* A panel between two heights of the picture, both in shares of it. */
static void write_panel(FILE *script, const dt_heat *heat, size_t which, double bottom,
                        double top) {
    const bool strip = !heat->panel.y_name;
    fprintf(script, "reset\nunset key\nset border lc rgb '#909090'\n");
    fprintf(script, "set lmargin at screen %.4f\nset rmargin at screen %.4f\n",
            strip ? SECOND : LEFT, strip ? RIGHT : MIDDLE);
    fprintf(script, "set bmargin at screen %.4f\nset tmargin at screen %.4f\n",
            strip ? bottom + (top - bottom) * 0.45 : bottom, top);
    fprintf(script, "set title '%s' offset 0,-0.6\nset xlabel '%s' offset 0,0.5\n",
            heat->panel.title, heat->panel.x_name);
    fprintf(script, "set xrange [%g:%g]\nset yrange [%g:%g]\n", (double)heat->x_first - 0.5,
            (double)heat->x_last + 0.5, (double)heat->y_first - 0.5, (double)heat->y_last + 0.5);
    write_numbers(script, "x", heat, heat->x_first, heat->x_last);
    if (strip) {
        fprintf(script, "unset ytics\n");
    } else {
        fprintf(script, "set ylabel '%s'\n", heat->panel.y_name);
        write_numbers(script, "y", heat, heat->y_first, heat->y_last);
    }
    write_cells(script, heat, which);
    fprintf(script,
            "plot $cells_%zu using 1:2:(0.5):(0.5):3 with boxxyerror lc rgb variable fs solid "
            "1.0 border lc rgb '#ffffff'\n",
            which);
}

static void write_legend(FILE *script, double top) {
    fprintf(script,
            "reset\nunset key\nunset border\nunset tics\nset lmargin at screen %.4f\n"
            "set rmargin at screen %.4f\nset bmargin at screen %.4f\nset tmargin at screen %.4f\n"
            "set xrange [-0.5:%g]\nset yrange [0:1]\n"
            "set label 'wrong answers:' at screen %.4f, screen %.4f left\n$legend << END\n",
            LEFT + 0.13, RIGHT, top * 0.35, top * 0.7, DT_HEAT_LEVELS - 0.5, LEFT - 0.03,
            top * 0.52);
    for (int level = 0; level < DT_HEAT_LEVELS; level++) {
        fprintf(script, "%d 0.5 %u\n", level, dt_heat_colour(level));
    }
    fprintf(script, "END\n");
    for (int level = 0; level < DT_HEAT_LEVELS; level++) {
        fprintf(script, "set label '%s' at %d,0.5 center front tc rgb '%s'\n", dt_heat_name(level),
                level, level >= DT_HEAT_LEVELS - 2 ? "#ffffff" : "#202020");
    }
    fprintf(script, "plot $legend using 1:2:(0.48):(0.5):3 with boxxyerror lc rgb variable "
                    "fs solid 1.0 noborder\n");
}

static void write_script(FILE *script, dt_picture picture, const void *what) {
    enum { CHARACTERS = 95 }; /* have room in the title */
    const dt_grid *grid = what;
    dt_heat list[DT_GRID_PANELS_MAX];
    const size_t count = dt_heat_list(list, grid);
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) rows += list[i].panel.y_name != NULL;
    const double height = (double)(TITLE + LEGEND) + (double)rows * ROW;
    dt_gnuplot_terminal(script, picture, WIDTH, (int)height);
    fprintf(script, "set multiplot\nset label 1 ");
    dt_gnuplot_title(script, grid->title, CHARACTERS);
    fprintf(script, " at screen %.4f, screen %.4f left font ',14'\n", LEFT,
            1 - 0.5 * TITLE / height);
    fprintf(script, "unset border\nunset tics\nunset key\nset xrange [0:1]\nset yrange [0:1]\n"
                    "plot NaN\n");
    size_t row = 0;
    for (size_t i = 0; i < count; i++) {
        row += list[i].panel.y_name != NULL;
        const double top = 1 - ((double)TITLE + (double)(row - 1) * ROW + 26) / height;
        write_panel(script, &list[i], i, top - (ROW - 85) / height, top);
    }
    write_legend(script, LEGEND / height);
    fprintf(script, "unset multiplot\n");
}

dt_status dt_grid_write(const char *path, const dt_grid *grid) {
    return dt_gnuplot_draw(path, write_script, grid);
}
