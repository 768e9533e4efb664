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
    size_t tokens;      /* offset of an int64_t: the curve is that, divided by the value; 0: none */
} series;

#define SERIES(table, type, member, factor)                                                        \
    ((series){(table), table##_count, sizeof(type), offsetof(type, step), offsetof(type, member),  \
              (factor), 0})

static double step_at(const series *s, size_t i) {
    int64_t step;
    memcpy(&step, (const char *)s->rows + i * s->size + s->step, sizeof step);
    return (double)step;
}

static double value_at(const series *s, size_t i) {
    double value;
    const char *row = (const char *)s->rows + i * s->size;
    memcpy(&value, row + s->value, sizeof value);
    if (!s->tokens) return s->scale * value;
    int64_t tokens;
    memcpy(&tokens, row + s->tokens, sizeof tokens);
    return s->scale * (double)tokens / value;
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

unsigned dt_colour_rgb(dt_colour colour) {
    static const unsigned RGB[DT_COLOURS] = {
        [DT_BLACK] = 0x000000,  [DT_BLUE] = 0x0072B2,   [DT_RED] = 0xD55E00, [DT_GREEN] = 0x009E73,
        [DT_PURPLE] = 0xCC79A7, [DT_ORANGE] = 0xE69F00, [DT_SKY] = 0x56B4E9, [DT_BROWN] = 0x8C6D46};
    return RGB[colour];
}

dt_colour dt_run_colour(size_t run) {
    static const dt_colour COLOUR[DT_PLOT_RUNS_MAX] = {DT_BLUE,   DT_RED,   DT_GREEN, DT_PURPLE,
                                                       DT_ORANGE, DT_BLACK, DT_SKY,   DT_BROWN};
    return COLOUR[run % DT_PLOT_RUNS_MAX];
}

static const double JOULES_IN_WH = 3600;

/* What is drawn, and where to. */
typedef struct {
    dt_figure *figure;
    const dt_plot_run *run;
    bool alone;
    dt_colour colour; /* of the run, if it is not alone */
    char symbol;
    size_t columns;
} drawing;

/* A curve of a run, named and coloured as if it were alone; else by the run. */
static dt_status add(const drawing *d, dt_panel_kind panel, const char *name, dt_curve curve,
                     series s) {
    if (!d->alone) curve.colour = d->colour;
    if (!d->alone) curve.symbol = d->symbol;
    snprintf(curve.name, sizeof curve.name, "%s%s%s", d->alone ? "" : d->run->name,
             d->alone || !*name ? "" : ", ", name);
    return add_curve(&d->figure->panel[panel], curve, s, &d->figure->x, d->columns);
}

static dt_status add_losses(const drawing *d) {
    const dt_metrics *m = d->run->metrics;
    const dt_curve train = {.colour = DT_BLUE, .symbol = '*', .dense = true, .scattered = true};
    const dt_curve validation = {.colour = DT_RED, .symbol = 'o'};
    dt_curve rate = train;
    rate.scattered = false;
    series speed = SERIES(m->train, dt_train_row, seconds, 1);
    speed.tokens = offsetof(dt_train_row, tokens);
    const bool alone = d->alone;
    DT_TRY(add(d, DT_PANEL_LOSS, "training", train, SERIES(m->train, dt_train_row, loss, 1)));
    DT_TRY(add(d, DT_PANEL_LOSS, "validation", validation,
               SERIES(m->validation, dt_validation_row, loss, 1)));
    DT_TRY(add(d, DT_PANEL_LR, alone ? "learning rate" : "", rate,
               SERIES(m->train, dt_train_row, lr, 1)));
    DT_TRY(add(d, DT_PANEL_NORM, alone ? "gradient norm" : "", train,
               SERIES(m->train, dt_train_row, grad_norm, 1)));
    DT_TRY(add(d, DT_PANEL_SPEED, alone ? "tokens per second" : "", train, speed));
    return add(d, DT_PANEL_ENERGY, alone ? "energy" : "", rate,
               SERIES(m->train, dt_train_row, joules, 1 / JOULES_IN_WH));
}

static series matches_of(const dt_metrics *m, size_t kind) {
    series s = SERIES(m->validation, dt_validation_row, exact_match_of, 100);
    s.value += kind * sizeof m->validation->exact_match_of[0];
    return s;
}

/* Of a run alone all kinds are in one panel; of several each has its own. */
static dt_status add_matches(const drawing *d) {
    static const dt_colour colour[] = {DT_BLUE, DT_ORANGE, DT_GREEN, DT_PURPLE, DT_RED};
    const dt_metrics *m = d->run->metrics;
    const dt_curve all = {.colour = DT_BLACK, .symbol = 'o'};
    for (size_t kind = 0; kind < d->run->kinds; kind++) {
        const dt_text_kind *of = &d->run->kind[kind];
        const dt_curve curve = {.colour = colour[kind % (sizeof colour / sizeof *colour)],
                                .symbol = of->symbol};
        const dt_panel_kind panel =
            d->alone ? DT_PANEL_EXACT : (dt_panel_kind)(DT_PANEL_KIND + kind);
        snprintf(d->figure->panel[panel].title, sizeof d->figure->panel[panel].title,
                 d->alone ? "exact match (%%)" : "exact match of %s (%%)", of->name);
        DT_TRY(add(d, panel, d->alone ? of->name : "", curve, matches_of(m, kind)));
    }
    /* Last, so that it is drawn over those it is the mean of. */
    return add(d, DT_PANEL_EXACT, d->alone ? "all" : "", all,
               SERIES(m->validation, dt_validation_row, exact_match, 100));
}

static dt_status add_run(const drawing *d) {
    const dt_metrics *m = d->run->metrics;
    const dt_curve bits = {.colour = DT_RED, .symbol = 'o'};
    DT_TRY(add_losses(d));
    if (!d->run->bits_per_byte) return add_matches(d);
    return add(d, DT_PANEL_BITS, d->alone ? "validation" : "", bits,
               SERIES(m->validation, dt_validation_row, bits_per_byte, 1));
}

static void name_panels(dt_figure *figure) {
    static const struct {
        const char *title, *unit;
    } NAME[] = {
        [DT_PANEL_LOSS] = {"loss (nats per token)", ""},
        [DT_PANEL_EXACT] = {"exact match (%)", " %"},
        [DT_PANEL_BITS] = {"bits per byte", ""},
        [DT_PANEL_LR] = {"learning rate", ""},
        [DT_PANEL_NORM] = {"gradient norm", ""},
        [DT_PANEL_SPEED] = {"tokens per second", ""},
        [DT_PANEL_ENERGY] = {"energy used (Wh)", " Wh"},
    };
    for (size_t i = 0; i < DT_PANELS; i++) {
        dt_panel *panel = &figure->panel[i];
        panel->unit = i < DT_PANEL_KIND ? NAME[i].unit : " %";
        if (i < DT_PANEL_KIND) snprintf(panel->title, sizeof panel->title, "%s", NAME[i].title);
    }
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
    if (kind == DT_PANEL_EXACT || kind >= DT_PANEL_KIND) {
        dt_axis_percent(&panel->y);
    } else if (panel->curves == 0) {
        dt_axis_linear(&panel->y, 0, 1);
    } else if (kind == DT_PANEL_LR || kind == DT_PANEL_ENERGY) {
        dt_axis_linear(&panel->y, fmin(0, least), most);
    } else if (kind == DT_PANEL_SPEED) {
        dt_axis_linear(&panel->y, 0, high); /* a few fast steps must not flatten the others */
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

static void find_best(dt_figure *figure, const dt_plot_run *run) {
    const dt_metrics *m = run->metrics;
    for (size_t i = 0; i < m->validation_count && !run->bits_per_byte; i++) {
        if (m->validation[i].step != run->best_step) continue;
        if (!isfinite(m->validation[i].exact_match)) continue;
        figure->best_step = (double)run->best_step;
        figure->best = 100 * m->validation[i].exact_match;
    }
}

static void fit_steps(dt_axis *x, const dt_plot *plot) {
    double first = INFINITY, last = -INFINITY;
    for (size_t k = 0; k < plot->runs; k++) {
        const dt_metrics *m = plot->run[k].metrics;
        const series of[] = {SERIES(m->train, dt_train_row, loss, 1),
                             SERIES(m->validation, dt_validation_row, loss, 1)};
        for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
            if (!of[i].count) continue;
            first = fmin(first, step_at(&of[i], 0));
            last = fmax(last, step_at(&of[i], of[i].count - 1));
        }
        for (size_t i = 1; i < m->history_count && plot->runs == 1; i++)
            last = fmax(last, (double)m->history[i].step);
    }
    dt_axis_steps(x, first, last);
}

/* Whether any of the runs has measured something. */
static dt_status check_measured(const dt_plot *plot) {
    size_t rows = 0;
    for (size_t i = 0; i < plot->runs; i++)
        rows += plot->run[i].metrics->train_count + plot->run[i].metrics->validation_count;
    DT_REQUIRE(rows > 0, DT_ERR_DATA,
               "%s: nothing has been measured yet, so that there is nothing to draw", plot->title);
    return DT_OK;
}

dt_status dt_figure_create(dt_figure *figure, const dt_plot *plot, size_t columns) {
    *figure = (dt_figure){.best_step = NAN, .best = NAN};
    DT_TRY(check_measured(plot));
    fit_steps(&figure->x, plot);
    name_panels(figure);
    for (size_t i = 0; i < plot->runs; i++) {
        const drawing d = {.figure = figure,
                           .run = &plot->run[i],
                           .alone = plot->runs == 1,
                           .colour = dt_run_colour(i),
                           .symbol = (char)('1' + i),
                           .columns = columns};
        DT_TRY(add_run(&d));
    }
    for (int i = 0; i < DT_PANELS; i++) fit_axis(&figure->panel[i], (dt_panel_kind)i);
    if (plot->runs > 1) return DT_OK;
    find_best(figure, &plot->run[0]);
    return add_restarts(figure, plot->run[0].metrics, columns);
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
