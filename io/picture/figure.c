/* Turns the rows of a run, ten or ten million, into the few points, axes and marks of a picture. */
#include "figure.h"

#include <math.h>
#include <string.h>

#include "dtrain/core/memory.h"

/* One measured value over steps: a member of an array of rows. */
typedef struct {
    const void *rows;
    size_t count, size; /* of the rows */
    size_t step, value; /* offsets of an int64_t and a double */
    double scale;       /* what values are multiplied with */
} series;

#define SERIES(table, type, member, factor)                                                        \
    ((series){(table), table##_count, sizeof(type), offsetof(type, step), offsetof(type, member),  \
              (factor)})

static double step_at(const series *s, size_t i) {
    int64_t step;
    memcpy(&step, (const char *)s->rows + i * s->size + s->step, sizeof step);
    return (double)step;
}

static double value_at(const series *s, size_t i) {
    double value;
    memcpy(&value, (const char *)s->rows + i * s->size + s->value, sizeof value);
    return s->scale * value;
}

/* ---- curves ---- */

/* Rows first … end-1 as one point. */
static dt_point merge(const series *s, size_t first, size_t end) {
    double steps = 0, sum = 0, least = INFINITY, most = -INFINITY;
    size_t finite = 0;
    for (size_t i = first; i < end; i++) {
        const double value = value_at(s, i);
        steps += step_at(s, i);
        if (!isfinite(value)) continue;
        sum += value;
        least = fmin(least, value);
        most = fmax(most, value);
        finite++;
    }
    const double step = steps / (double)(end - first);
    if (!finite) return (dt_point){step, NAN, NAN, NAN};
    return (dt_point){step, least, sum / (double)finite, most};
}

static size_t column_of(const dt_axis *x, double step, size_t columns) {
    const double position = dt_axis_position(x, step);
    return dt_min_size(columns - 1, (size_t)(fmax(0, position) * (double)columns));
}

/* As many points as rows if there is room, otherwise one per column. */
static dt_status thin(dt_curve *curve, const series *s, const dt_axis *x, size_t columns) {
    curve->last = NAN;
    DT_TRY(dt_memory_alloc(&curve->point, dt_min_size(s->count, columns), sizeof *curve->point,
                           "the points of a curve"));
    curve->thinned = s->count > columns;
    for (size_t i = 0, end; i < s->count; i = end) {
        end = i + 1;
        const size_t column = column_of(x, step_at(s, i), columns);
        while (curve->thinned && end < s->count &&
               column_of(x, step_at(s, end), columns) == column) {
            end++;
        }
        curve->point[curve->points++] = merge(s, i, end);
    }
    for (size_t i = s->count; i-- > 0 && !isfinite(curve->last);) {
        if (isfinite(value_at(s, i))) curve->last = value_at(s, i);
    }
    return DT_OK;
}

static bool shows_something(const dt_curve *curve) { return !isnan(curve->last); }

/* Adds a curve to the panel unless it has nothing to show. */
static dt_status add_curve(dt_panel *panel, dt_curve curve, series s, const dt_axis *x,
                           size_t columns) {
    dt_curve *added = &panel->curve[panel->curves];
    *added = curve;
    DT_TRY(thin(added, &s, x, columns));
    if (shows_something(added)) {
        panel->curves++;
    } else {
        dt_memory_free(&added->point);
    }
    return DT_OK;
}

/* ---- panels ---- */

/* Colours that colour-blind people can tell apart: Okabe and Ito 2008. */
enum {
    BLACK = 0x000000,
    BLUE = 0x0072B2,
    ORANGE = 0xE69F00,
    GREEN = 0x009E73,
    PURPLE = 0xCC79A7,
    RED = 0xD55E00,
};

static dt_status add_losses(dt_figure *figure, const dt_metrics *m, size_t columns) {
    dt_panel *loss = &figure->panel[DT_PANEL_LOSS], *lr = &figure->panel[DT_PANEL_LR],
             *norm = &figure->panel[DT_PANEL_NORM];
    const dt_axis *x = &figure->x;
    const dt_curve train = {
        .name = "training", .colour = BLUE, .symbol = '*', .dense = true, .scattered = true};
    const dt_curve validation = {.name = "validation", .colour = RED, .symbol = 'o'};
    dt_curve rate = train, size = train;
    rate.name = "learning rate";
    rate.scattered = false;
    size.name = "gradient norm";
    loss->title = "loss (nats per token)";
    lr->title = "learning rate";
    norm->title = "gradient norm";
    loss->unit = lr->unit = norm->unit = "";
    DT_TRY(add_curve(loss, train, SERIES(m->train, dt_train_row, loss, 1), x, columns));
    DT_TRY(
        add_curve(loss, validation, SERIES(m->validation, dt_validation_row, loss, 1), x, columns));
    DT_TRY(add_curve(lr, rate, SERIES(m->train, dt_train_row, lr, 1), x, columns));
    return add_curve(norm, size, SERIES(m->train, dt_train_row, grad_norm, 1), x, columns);
}

static dt_status add_matches(dt_figure *figure, const dt_plot *plot, size_t columns) {
    static const unsigned colour[] = {BLUE, ORANGE, GREEN, PURPLE, RED};
    const dt_metrics *m = plot->metrics;
    dt_panel *exact = &figure->panel[DT_PANEL_EXACT];
    exact->title = "exact match (%)";
    exact->unit = " %";
    for (size_t kind = 0; kind < plot->kinds; kind++) {
        const dt_curve curve = {.name = plot->kind[kind].name,
                                .colour = colour[kind % (sizeof colour / sizeof *colour)],
                                .symbol = plot->kind[kind].symbol};
        series s = SERIES(m->validation, dt_validation_row, exact_match_of, 100);
        s.value += kind * sizeof m->validation->exact_match_of[0];
        DT_TRY(add_curve(exact, curve, s, &figure->x, columns));
    }
    /* Last, so that it is drawn over those it is the mean of. */
    const dt_curve all = {.name = "all", .colour = BLACK, .symbol = 'o'};
    return add_curve(exact, all, SERIES(m->validation, dt_validation_row, exact_match, 100),
                     &figure->x, columns);
}

/* Range of the means, and of all that was measured. */
static void fit_axis(dt_panel *panel, dt_panel_kind kind) {
    double low = INFINITY, high = -INFINITY, least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < panel->curves; i++) {
        const dt_curve *curve = &panel->curve[i];
        for (size_t k = 0; k < curve->points; k++) {
            low = fmin(low, curve->point[k].mean); /* fmin and fmax pass over NaN */
            high = fmax(high, curve->point[k].mean);
            least = fmin(least, curve->point[k].least);
            most = fmax(most, curve->point[k].most);
        }
    }
    if (kind == DT_PANEL_EXACT) {
        dt_axis_percent(&panel->y);
    } else if (panel->curves == 0) {
        dt_axis_linear(&panel->y, 0, 1);
    } else if (kind == DT_PANEL_LR) {
        dt_axis_linear(&panel->y, fmin(0, least), most);
    } else if (dt_axis_wants_logarithm(low, high)) {
        /* A single row near zero must not flatten all others. */
        dt_axis_logarithmic(&panel->y, fmax(least, low / 10), most);
    } else {
        dt_axis_linear(&panel->y, least, most);
    }
}

/* ---- marks ---- */

static dt_status add_restarts(dt_figure *figure, const dt_metrics *m, size_t columns) {
    DT_TRY(dt_memory_alloc(&figure->restart, m->history_count + 1, sizeof *figure->restart,
                           "the starts of a plot"));
    if (m->history_count) figure->first_ranks = m->history[0].ranks;
    size_t last = SIZE_MAX;
    for (size_t i = 1; i < m->history_count; i++) {
        const dt_restart restart = {(double)m->history[i].step, m->history[i].ranks};
        if (restart.step < figure->x.low || restart.step > figure->x.high) continue;
        const size_t column = column_of(&figure->x, restart.step, columns);
        if (column == last) figure->restarts--;
        figure->restart[figure->restarts++] = restart;
        last = column;
    }
    return DT_OK;
}

static void find_best(dt_figure *figure, const dt_plot *plot) {
    figure->best_step = figure->best = NAN;
    const dt_metrics *m = plot->metrics;
    for (size_t i = 0; i < m->validation_count; i++) {
        if (m->validation[i].step != plot->best_step) continue;
        if (!isfinite(m->validation[i].exact_match)) continue;
        figure->best_step = (double)plot->best_step;
        figure->best = 100 * m->validation[i].exact_match;
    }
}

static void fit_steps(dt_axis *x, const dt_metrics *m) {
    double first = INFINITY, last = -INFINITY;
    const series of[] = {SERIES(m->train, dt_train_row, loss, 1),
                         SERIES(m->validation, dt_validation_row, loss, 1)};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        if (!of[i].count) continue;
        first = fmin(first, step_at(&of[i], 0));
        last = fmax(last, step_at(&of[i], of[i].count - 1));
    }
    for (size_t i = 1; i < m->history_count; i++) last = fmax(last, (double)m->history[i].step);
    dt_axis_steps(x, first, last);
}

dt_status dt_figure_create(dt_figure *figure, const dt_plot *plot, size_t columns) {
    *figure = (dt_figure){0};
    const dt_metrics *m = plot->metrics;
    DT_REQUIRE(m->train_count + m->validation_count > 0, DT_ERR_DATA,
               "%s: nothing has been measured yet, so that there is nothing to draw", plot->title);
    fit_steps(&figure->x, m);
    DT_TRY(add_losses(figure, m, columns));
    DT_TRY(add_matches(figure, plot, columns));
    for (int i = 0; i < DT_PANELS; i++) fit_axis(&figure->panel[i], (dt_panel_kind)i);
    find_best(figure, plot);
    return add_restarts(figure, m, columns);
}

void dt_figure_destroy(dt_figure *figure) {
    for (size_t i = 0; i < DT_PANELS; i++) {
        for (size_t k = 0; k < DT_CURVES_MAX; k++) dt_memory_free(&figure->panel[i].curve[k].point);
    }
    dt_memory_free(&figure->restart);
    *figure = (dt_figure){0};
}

const char *dt_title_part(const char *title, size_t characters) {
    size_t length = 0;
    for (const char *c = title; *c; c++) length += ((unsigned char)*c & 0xc0) != 0x80;
    if (length <= characters) return title;
    for (size_t skip = length - characters + strlen("..."); skip > 0 && *title; skip--) {
        do {
            title++;
        } while (((unsigned char)*title & 0xc0) == 0x80);
    }
    return title;
}

void dt_title_print(FILE *out, const char *title, size_t columns) {
    const char *part = dt_title_part(title, columns);
    if (part != title) fputs("...", out);
    for (; *part; part++) {
        if (((unsigned char)*part & 0xc0) == 0x80) continue; /* the rest of a character */
        fputc(*part >= ' ' && *part < 0x7f ? *part : '?', out);
    }
    fputc('\n', out);
}
