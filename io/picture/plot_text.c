/* Draws a run with the characters of any terminal. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "figure.h"

/* Columns for the labels of the vertical axis; lines of the tallest panel; bytes of a line. */
enum { GUTTER = DT_LABEL_MAX + 2, ROWS_MAX = 12, WIDTH_MAX = 512 };

static const size_t PANEL_ROWS[DT_PANELS_DRAWN] = {[DT_PANEL_LOSS] = 12,
                                                   [DT_PANEL_EXACT] = 11,
                                                   [DT_PANEL_BITS] = 11,
                                                   [DT_PANEL_LR] = 5,
                                                   [DT_PANEL_NORM] = 8};

typedef struct {
    char cell[ROWS_MAX][WIDTH_MAX];
    size_t rows, width;
} canvas;

/* ---- lines ---- */

/* Prints items one after another, and begins a new line where the next does not fit. */
typedef struct {
    FILE *out;
    size_t used, columns;
} flow;

static void flow_item(flow *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void flow_item(flow *line, const char *fmt, ...) {
    char text[WIDTH_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const size_t length = strlen(text);
    const bool fits = line->used + 3 + length <= line->columns;
    if (line->used) fprintf(line->out, fits ? "   " : "\n");
    line->used = line->used && fits ? line->used + 3 + length : length;
    fprintf(line->out, "%.*s", (int)line->columns, text);
}

static void flow_end(flow *line) {
    if (line->used) fputc('\n', line->out);
    line->used = 0;
}

/* ---- the canvas ---- */

/* 0 … size-1 for a position from 0 to 1. */
static size_t cell_of(double position, size_t size) {
    return (size_t)lround(fmin(fmax(position, 0), 1) * (double)(size - 1));
}

static size_t row_of(const canvas *c, double position) {
    return c->rows - 1 - cell_of(position, c->rows);
}

static void draw_restarts(canvas *c, const dt_figure *figure) {
    for (size_t i = 0; i < figure->restarts; i++) {
        const size_t column =
            cell_of(dt_axis_position(&figure->x, figure->restart[i].step), c->width);
        for (size_t row = 0; row < c->rows; row++) c->cell[row][column] = ':';
    }
}

/* A line in one column, from the row it has in the column before to its own. */
static void draw_step(canvas *c, size_t column, size_t from, size_t to, char symbol) {
    c->cell[to][column] = symbol;
    for (size_t row = from; row != to; row += row < to ? 1 : (size_t)-1) {
        if (row != from) c->cell[row][column] = symbol;
    }
}

static void draw_curve(canvas *c, const dt_figure *figure, const dt_panel *panel,
                       const dt_curve *curve) {
    double last_position = NAN;
    size_t last_column = 0;
    for (size_t i = 0; i < curve->points; i++) {
        const double position = dt_axis_position(&panel->y, curve->point[i].mean);
        const size_t column = cell_of(dt_axis_position(&figure->x, curve->point[i].step), c->width);
        if (isnan(position)) {
            last_position = NAN;
            continue;
        }
        if (!curve->dense || isnan(last_position) || column <= last_column) {
            c->cell[row_of(c, position)][column] = curve->symbol;
        } else {
            const double slope = (position - last_position) / (double)(column - last_column);
            for (size_t k = last_column + 1; k <= column; k++) {
                const double before = last_position + slope * (double)(k - 1 - last_column);
                draw_step(c, k, row_of(c, before), row_of(c, before + slope), curve->symbol);
            }
        }
        last_position = position;
        last_column = column;
    }
}

static void print_canvas(FILE *out, const canvas *c, const dt_axis *y) {
    const char *label[ROWS_MAX] = {0};
    for (size_t i = 0; i < y->ticks; i++) {
        const size_t row = row_of(c, dt_axis_position(y, y->tick[i].value));
        if (!label[row]) label[row] = y->tick[i].label;
    }
    for (size_t row = 0; row < c->rows; row++) {
        size_t length = c->width;
        while (length > 0 && c->cell[row][length - 1] == ' ') length--;
        fprintf(out, "%*s %c%.*s\n", GUTTER - 2, label[row] ? label[row] : "",
                label[row] ? '+' : '|', (int)length, c->cell[row]);
    }
}

/* ---- parts ---- */

static void print_panel(FILE *out, const dt_figure *figure, size_t which, size_t columns) {
    const dt_panel *panel = &figure->panel[which];
    flow line = {.out = out, .columns = columns};
    flow_item(&line, "%s%s", panel->title, panel->y.logarithmic ? ", logarithmic" : "");
    for (size_t k = 0; k < panel->curves; k++) {
        const dt_curve *curve = &panel->curve[k];
        flow_item(&line, "%c %s %.4g%s", curve->symbol, curve->name, curve->last, panel->unit);
    }
    flow_end(&line);
    canvas c = {.rows = PANEL_ROWS[which], .width = columns - GUTTER};
    memset(c.cell, ' ', sizeof c.cell);
    draw_restarts(&c, figure);
    for (size_t k = 0; k < panel->curves; k++) draw_curve(&c, figure, panel, &panel->curve[k]);
    print_canvas(out, &c, &panel->y);
}

/* The horizontal axis below a panel; with the numbers below the last one. */
static void print_steps(FILE *out, const dt_axis *x, size_t columns, bool labels) {
    char axis[WIDTH_MAX], text[WIDTH_MAX];
    const size_t width = columns - GUTTER;
    memset(axis, '-', sizeof axis);
    memset(text, ' ', sizeof text);
    size_t end = 0;
    for (size_t i = 0; i < x->ticks; i++) {
        const size_t column = cell_of(dt_axis_position(x, x->tick[i].value), width);
        const size_t length = strlen(x->tick[i].label), middle = GUTTER + column;
        axis[column] = '+';
        size_t start = middle - length / 2;
        if (start + length > columns) start = columns - length;
        if (i > 0 && start <= end) continue;
        memcpy(text + start, x->tick[i].label, length);
        end = start + length;
    }
    fprintf(out, "%*s+%.*s\n", GUTTER - 1, "", (int)width, axis);
    if (labels) fprintf(out, "%.*s\n", (int)end, text);
}

static void print_marks(FILE *out, const dt_figure *figure, size_t columns) {
    enum { SHOWN = 12 };
    flow line = {.out = out, .columns = columns};
    if (isfinite(figure->best)) {
        flow_item(&line, "best exact match %.2f %% at step %.0f", figure->best, figure->best_step);
    }
    flow_end(&line);
    if (figure->restarts) flow_item(&line, ": started again at");
    for (size_t i = 0; i < figure->restarts && i < SHOWN; i++) {
        const dt_restart *r = &figure->restart[i];
        flow_item(&line, "%.0f (%lld rank%s)", r->step, (long long)r->ranks,
                  r->ranks == 1 ? "" : "s");
    }
    if (figure->restarts > SHOWN) flow_item(&line, "... %zu in all", figure->restarts);
    flow_end(&line);
}

dt_status dt_plot_print(FILE *out, const dt_plot *plot, size_t columns) {
    dt_figure figure = {0};
    dt_status status;
    columns = columns < DT_PLOT_COLUMNS_MIN ? DT_PLOT_COLUMNS_MIN : columns;
    columns = columns > WIDTH_MAX ? WIDTH_MAX : columns;
    DT_TRY_DONE(dt_figure_create(&figure, plot, columns - GUTTER));
    dt_title_print(out, plot->title, columns);
    size_t last = 0;
    for (size_t i = 0; i < DT_PANELS_DRAWN; i++) {
        if (figure.panel[i].curves > 0) last = i;
    }
    for (size_t i = 0; i <= last; i++) {
        if (figure.panel[i].curves == 0) continue;
        fputc('\n', out);
        print_panel(out, &figure, i, columns);
        print_steps(out, &figure.x, columns, i == last);
    }
    print_marks(out, &figure, columns);
    DT_REQUIRE_DONE(fflush(out) == 0 && !ferror(out), DT_ERR_IO, "the plot cannot be written");
done:
    dt_figure_destroy(&figure);
    return status;
}
