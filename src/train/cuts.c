/* What to cut so that a run fits a budget, in the order in which it is worth it. */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/train/forecast.h"

/* ---- budgets ---- */

dt_status dt_budget_parse(dt_budget *budget, const char *text, const dt_config *config) {
    static const struct {
        const char *unit;
        double joules;
    } energy[] = {{"kWh", 3.6e6}, {"Wh", 3.6e3}, {"MJ", 1e6}, {"kJ", 1e3}, {"J", 1}};
    char *unit;
    const double amount = strtod(text, &unit);
    const bool number = unit != text && (isdigit((unsigned char)text[0]) || text[0] == '.') &&
                        isfinite(amount) && amount > 0;
    *budget = (dt_budget){DT_BUDGET_SECONDS, amount};
    for (size_t i = 0; number && i < sizeof energy / sizeof *energy; i++) {
        if (strcmp(unit, energy[i].unit) != 0) continue;
        *budget = (dt_budget){DT_BUDGET_JOULES, amount * energy[i].joules};
        return DT_OK;
    }
    if (number && config->currency[0] && strcmp(unit, config->currency) == 0) {
        budget->kind = DT_BUDGET_MONEY;
        return DT_OK;
    }
    if (number && *unit && !strchr("dhms", *unit)) {
        DT_RAISE(DT_ERR_ARG,
                 "--budget %s: \"%s\" is neither a time (24h), nor energy (2kWh, 300Wh), nor the "
                 "currency of --currency%s%s",
                 text, unit, config->currency[0] ? " " : ", which is not given", config->currency);
    }
    return dt_duration_parse(&budget->amount, text, "--budget");
}

double dt_budget_used(const dt_budget *budget, const dt_forecast *f) {
    switch (budget->kind) {
    case DT_BUDGET_SECONDS: return f->total;
    case DT_BUDGET_JOULES: return f->cost.joules;
    case DT_BUDGET_MONEY: return f->cost.money;
    }
    return NAN;
}

/* ---- changes ---- */

/* What is tried out. */
typedef struct {
    dt_cuts *cuts;
    const dt_trial *trial;
    const dt_budget *budget;
    dt_config config; /* with all changes that are taken so far */
    double target;
} search;

static dt_forecast forecast_of(const dt_trial *trial, const dt_config *config,
                               const dt_allocation *at) {
    dt_model_shape shape = trial->shape;
    shape.L = (size_t)config->layers;
    shape.C = (size_t)config->width;
    shape.F = shape.C * trial->shape.F / trial->shape.C;
    return dt_forecast_make(trial, config, dt_forecast_flops(config, &shape), at);
}

static double used(const search *s, const dt_config *config) {
    const dt_forecast f = forecast_of(s->trial, config, &s->trial->at);
    return dt_budget_used(s->budget, &f);
}

static bool is_over(const search *s) { return used(s, &s->config) > s->target; }

static double seconds_of(const search *s, const dt_config *config) {
    return forecast_of(s->trial, config, &s->trial->at).total;
}

/* Lists a change; takes it if the budget is still exceeded. */
__attribute__((format(printf, 3, 4))) static void offer(search *s, const dt_config *changed,
                                                        const char *cost, ...) {
    dt_cuts *cuts = s->cuts;
    const double saved = seconds_of(s, &s->config) - seconds_of(s, changed);
    if (cuts->cuts == DT_CUTS_MAX || !(saved > 0)) return;
    dt_cut *cut = &cuts->cut[cuts->cuts++];
    *cut = (dt_cut){.saved = saved, .taken = is_over(s)};
    for (dt_setting_change c = {0}; dt_config_next_change(&c, &s->config, changed);) {
        const size_t length = strlen(cut->change);
        snprintf(cut->change + length, sizeof cut->change - length, "%s--%s %.40s",
                 length ? " " : "", c.setting->name, c.is);
    }
    va_list args;
    va_start(args, cost);
    vsnprintf(cut->cost, sizeof cut->cost, cost, args);
    va_end(args);
    if (cut->taken) s->config = *changed;
}

/* The most steps that fit, at least `least`. */
static int64_t most_steps(const search *s, int64_t least) {
    dt_config config = s->config;
    int64_t low = least, high = s->config.steps;
    while (low < high) {
        config.steps = low + (high - low + 1) / 2;
        if (used(s, &config) > s->target) {
            high = config.steps - 1;
        } else {
            low = config.steps;
        }
    }
    return low;
}

static double predicted(const search *s, const dt_config *config) {
    dt_known known;
    dt_known_find(&known, config, s->trial->parameters);
    return known.exact;
}

/* The fewest steps after which as good as all answers were right; where nothing is known, a
 * quarter. */
static int64_t enough_steps(const search *s) {
    static const double GOOD = 0.995;
    dt_config config = s->config;
    if (!(predicted(s, &config) >= GOOD)) return (s->config.steps + 3) / 4;
    int64_t low = 1, high = s->config.steps;
    while (low < high) {
        config.steps = low + (high - low) / 2;
        if (predicted(s, &config) >= GOOD) {
            high = config.steps;
        } else {
            low = config.steps + 1;
        }
    }
    return low;
}

static void offer_validations(search *s) {
    static const double SHARE = 0.03;
    dt_config config = s->config;
    const dt_forecast f = forecast_of(s->trial, &config, &s->trial->at);
    if (f.validations <= 1 || f.validating <= SHARE * f.total) return;
    const double times = fmin(f.validating / (SHARE * f.total), (double)f.validations);
    config.eval_every = 50 * (int64_t)ceil((double)config.eval_every * times / 50);
    if (config.eval_every > config.steps) config.eval_every = config.steps;
    offer(s, &config, "the best model is chosen among fewer; training itself stays as it is");
}

static void offer_bfloat16(search *s) {
    static const double WORTH_IT = 0.95;
    dt_config config = s->config;
    if (!(s->trial->bfloat16 < WORTH_IT) || config.precision == DT_PRECISION_BFLOAT16) return;
    config.precision = DT_PRECISION_BFLOAT16;
    offer(s, &config, "products of rounded operands: losses that differ a little, other bits");
}

static void offer_steps(search *s, int64_t least) {
    dt_config config = s->config;
    config.steps = is_over(s) ? most_steps(s, least) : least;
    if (config.steps >= s->config.steps) return;
    const double before = predicted(s, &s->config), after = predicted(s, &config);
    if (isfinite(before) && isfinite(after)) {
        offer(s, &config, "exact answers %.1f %% instead of %.1f %%, as measured on other runs",
              100 * after, 100 * before);
    } else {
        offer(s, &config, "less is learned; how much less is not known for these settings");
    }
}

static void offer_batch(search *s) {
    dt_config config = s->config;
    config.batch /= 2;
    if (config.batch < config.shards) return;
    offer(s, &config, "noisier gradients, and half as many texts are read");
}

static void offer_layers(search *s) {
    dt_config config = s->config;
    if (config.layers < 2) return;
    config.layers--;
    offer(s, &config, "a model that can learn less");
}

static void offer_width(search *s) {
    dt_config config = s->config;
    if (config.width % 2 || config.width / 2 % config.heads || config.width / 2 < 32) return;
    config.width /= 2;
    offer(s, &config, "a model that can learn much less");
}

/* Not options of the run. */
static void mention_ranks(search *s) {
    dt_cuts *cuts = s->cuts;
    dt_allocation more = s->trial->at;
    const size_t cores = more.cores * more.nodes;
    if (more.ranks * 2 > (size_t)s->config.shards || more.ranks >= cores ||
        cuts->cuts == DT_CUTS_MAX)
        return;
    more.ranks *= 2;
    dt_cut *cut = &cuts->cut[cuts->cuts++];
    *cut = (dt_cut){.saved =
                        seconds_of(s, &s->config) - forecast_of(s->trial, &s->config, &more).total};
    snprintf(cut->change, sizeof cut->change, "mpirun -np %zu", more.ranks);
    snprintf(cut->cost, sizeof cut->cost, "more cores; the same bits, so nothing is learned less");
}

static void mention_data(search *s) {
    static const struct {
        const char *change, *cost;
    } of[] = {
        {"--ops with fewer operations", "each one left out is not learned; the others sooner"},
        {"--format reverse or plain",
         "shorter texts, but products and divisions are hardly learned (tests/bench/RESULTS.md)"},
    };
    dt_cuts *cuts = s->cuts;
    if (s->config.train_file[0] || s->config.text[0] || s->config.format == DT_FORMAT_EXPRESSION)
        return;
    for (size_t i = 0; i < sizeof of / sizeof *of && cuts->cuts < DT_CUTS_MAX; i++) {
        dt_cut *cut = &cuts->cut[cuts->cuts++];
        *cut = (dt_cut){.saved = NAN};
        snprintf(cut->change, sizeof cut->change, "%s", of[i].change);
        snprintf(cut->cost, sizeof cut->cost, "%s", of[i].cost);
    }
}

static void write_line(dt_cuts *cuts, const dt_config *before) {
    for (dt_setting_change c = {0}; dt_config_next_change(&c, before, &cuts->config);) {
        const size_t length = strlen(cuts->line);
        snprintf(cuts->line + length, sizeof cuts->line - length, "%s--%s %.60s", length ? " " : "",
                 c.setting->name, c.is);
    }
}

void dt_cuts_make(dt_cuts *cuts, const dt_trial *trial, const dt_budget *budget) {
    static const double RESERVE = 0.1; /* plans are off by up to so much */
    enum { FEWEST_STEPS = 50 };
    *cuts = (dt_cuts){0};
    search s = {.cuts = cuts,
                .trial = trial,
                .budget = budget,
                .config = trial->config,
                .target = (1 - RESERVE) * budget->amount};
    cuts->needed = is_over(&s);
    offer_validations(&s);
    offer_bfloat16(&s);
    offer_steps(&s, enough_steps(&s));
    offer_batch(&s);
    offer_layers(&s);
    offer_width(&s);
    if (is_over(&s)) offer_steps(&s, FEWEST_STEPS < s.config.steps ? FEWEST_STEPS : s.config.steps);
    mention_ranks(&s);
    mention_data(&s);
    cuts->fits = !is_over(&s);
    cuts->config = s.config;
    cuts->forecast = forecast_of(trial, &s.config, &trial->at);
    write_line(cuts, &trial->config);
}
