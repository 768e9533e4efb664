/* Forecasts of runs from made-up measurements: what follows from them can be calculated by hand. */
#include "dtrain/train/forecast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(x, y, most) assert_true(fabs((x) - (y)) <= (most))

/* Two ranks of a node with four cores; a step of 100 ms: 80 passes, 8 update, 4 adding, 8 waiting.
 */
static dt_trial made_up(void) {
    dt_trial trial = {.at = {.ranks = 2, .nodes = 1, .cores = 4},
                      .parameters = 600000,
                      .floats = 600000,
                      .tokens = 1500,
                      .bytes = 2000,
                      .texts_there = INFINITY,
                      .start = 1,
                      .step = 0.1,
                      .passes = 0.08,
                      .update = 0.008,
                      .adding = 0.004,
                      .waiting = 0.008,
                      .validation = 2,
                      .checkpoint = 0.5,
                      .write = 0.25,
                      .checkpoint_bytes = 1e7,
                      .busy = 2,
                      .watts = 20,
                      .source = "RAPL",
                      .bfloat16 = 0.6,
                      .memory = 3e8};
    dt_config_defaults(&trial.config);
    trial.config.steps = 4000;
    trial.config.eval_every = 1000;
    trial.config.checkpoint_every = (dt_cadence){.steps = 500};
    trial.config.price_kwh = 36;
    snprintf(trial.config.currency, sizeof trial.config.currency, "JPY");
    assert_int_equal(dt_model_shape_from(&trial.shape, &trial.config, 58), DT_OK);
    trial.flops = dt_forecast_flops(&trial.config, &trial.shape);
    return trial;
}

static dt_forecast on(const dt_trial *trial, size_t ranks, size_t nodes, double bandwidth,
                      double latency) {
    const dt_allocation at = {ranks, nodes, trial->at.cores, bandwidth, latency};
    return dt_forecast_make(trial, &trial->config, trial->flops, &at);
}

static void a_run_is_the_sum_of_its_parts(void **state) {
    (void)state;
    const dt_trial trial = made_up();
    const dt_forecast f = on(&trial, 2, 1, 0, 0);
    assert_near(f.step, 0.1, 1e-9);
    assert_near(f.computing, 4000 * 0.088, 1e-6);
    assert_near(f.communicating, 16, 1e-6);
    assert_near(f.waiting, 32, 1e-6);
    assert_int_equal(f.validations, 4);
    assert_near(f.validating, 8, 1e-6);
    assert_int_equal(f.checkpoints, 8); /* at 500 … 3500, and the last */
    assert_near(f.checkpointing, 3.5, 1e-6);
    assert_near(f.total, 400 + 8 + 3.5 + 1.25, 1e-6);
    assert_near(f.tokens, 6e6, 1);
    /* Seven numbers a step, ten a validation. */
    assert_near(f.checkpoint_bytes, 1e7 + 4000 * 56 + 4 * 80, 1);
    assert_near(f.cost.joules, 20 * f.total, 1e-6);
    assert_near(f.cost.money, f.cost.joules / 3.6e6 * 36, 1e-9);
    assert_int_equal(f.starts, 1);
}

static void ranks_and_nodes_change_what_they_should(void **state) {
    (void)state;
    const dt_trial trial = made_up();
    const dt_forecast two = on(&trial, 2, 1, 0, 0);
    /* Twice the shards for one rank, which waits for nobody. */
    assert_near(on(&trial, 1, 1, 0, 0).step, 0.16 + 0.016 + 0.004, 1e-9);
    assert_near(on(&trial, 1, 1, 0, 0).efficiency, 1, 1e-9);
    assert_near(on(&trial, 4, 1, 0, 0).step, 0.04 + 0.004 + 0.004 + 0.004, 1e-9);
    /* Eight ranks on four cores gain nothing over four. */
    assert_true(on(&trial, 8, 1, 0, 0).computing >= 0.999 * on(&trial, 4, 1, 0, 0).computing);
    /* Three ranks for eight shards: one has three of them. */
    assert_near(on(&trial, 3, 1, 0, 0).computing / 4000, 0.08 * 3 / 4 + 0.008 * 2 / 3, 1e-9);
    /* Nothing is known of the network; then: 2.4 MB twice, half of it each, and two messages. */
    assert_true(isnan(on(&trial, 2, 2, 0, 0).total));
    const dt_forecast apart = on(&trial, 2, 2, 1e9, 1e-3);
    assert_near(apart.communicating / 4000, 0.004 + 2e-3 + 2 * 4 * 6e5 / 2 / 1e9, 1e-9);
    assert_true(apart.memory_node > 0 && apart.memory_node < two.memory_node);
    assert_true(on(&trial, 8, 4, 1e9, 1e-3).communicating > apart.communicating);
}

static void walltime_makes_starts_that_cost(void **state) {
    (void)state;
    dt_trial trial = made_up();
    trial.config.time_limit = 100;
    const dt_forecast f = on(&trial, 2, 1, 0, 0);
    assert_true(f.starts == 5 && f.lost > 1 && f.lost < 5);
    assert_near(f.starting, 1.25 + 4 * f.lost, 1e-6);
    trial.config.time_limit = 1;
    assert_true(on(&trial, 2, 1, 0, 0).starts == INT64_MAX);
}

static void budgets_are_times_energies_and_money(void **state) {
    (void)state;
    dt_config config;
    dt_budget budget;
    dt_config_defaults(&config);
    const struct {
        const char *text;
        dt_budget_kind kind;
        double amount;
    } good[] = {{"24h", DT_BUDGET_SECONDS, 86400}, {"90s", DT_BUDGET_SECONDS, 90},
                {"2kWh", DT_BUDGET_JOULES, 7.2e6}, {"1.5Wh", DT_BUDGET_JOULES, 5400},
                {"500JPY", DT_BUDGET_MONEY, 500},  {"1h30m", DT_BUDGET_SECONDS, 5400}};
    snprintf(config.currency, sizeof config.currency, "JPY");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(dt_budget_parse(&budget, good[i].text, &config), DT_OK);
        assert_int_equal(budget.kind, good[i].kind);
        assert_near(budget.amount, good[i].amount, 1e-6);
    }
    static const char *const bad[] = {"",     "24",  "h",      "-3h",   "0s",
                                      "5EUR", "kWh", "nankWh", "1e400J"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(dt_budget_parse(&budget, bad[i], &config), DT_ERR_ARG);
}

static void what_is_cut_fits_the_budget(void **state) {
    (void)state;
    const dt_trial trial = made_up();
    dt_cuts cuts;
    dt_cuts_make(&cuts, &trial, &(dt_budget){DT_BUDGET_SECONDS, 1000});
    assert_true(!cuts.needed && cuts.fits && !cuts.line[0]);
    for (size_t i = 0; i < cuts.cuts; i++) assert_false(cuts.cut[i].taken);
    /* Half of the time: bfloat16 is nearly enough. */
    const double whole = cuts.forecast.total;
    dt_cuts_make(&cuts, &trial, &(dt_budget){DT_BUDGET_SECONDS, whole / 2});
    assert_true(cuts.needed && cuts.fits && cuts.forecast.total <= 0.9 * whole / 2);
    assert_non_null(strstr(cuts.line, "--precision bfloat16"));
    assert_non_null(strstr(cuts.line, "--steps "));
    assert_true(cuts.forecast.total > 0.85 * whole / 2); /* no more than needed */
    for (size_t i = 0; i < cuts.cuts; i++)
        assert_true(isnan(cuts.cut[i].saved) || cuts.cut[i].saved > 0);
    /* The same as energy, and as money. */
    dt_cuts energy, money;
    dt_cuts_make(&energy, &trial, &(dt_budget){DT_BUDGET_JOULES, 20 * whole / 2});
    assert_string_equal(energy.line, cuts.line);
    dt_cuts_make(&money, &trial, &(dt_budget){DT_BUDGET_MONEY, 20 * whole / 2 / 3.6e6 * 36});
    assert_string_equal(money.line, cuts.line);
    /* No cut makes the start faster. */
    dt_cuts_make(&cuts, &trial, &(dt_budget){DT_BUDGET_SECONDS, 1});
    assert_true(cuts.needed && !cuts.fits);
}

static void known_accuracies_are_percentages(void **state) {
    (void)state;
    const dt_known_row *row;
    const size_t rows = dt_known_rows(&row);
    for (size_t i = 0; i < rows; i++) {
        assert_true(row[i].steps > 0 && row[i].problems >= 0);
        for (size_t op = 0; op < 4; op++) assert_true(row[i].of[op] >= 0 && row[i].of[op] <= 100);
    }
    dt_config config;
    dt_known known;
    dt_config_defaults(&config);
    dt_known_find(&known, &config, 600000);
    assert_true(known.known && known.exact > 0.99 && known.exact <= 1);
    config.digits = 12; /* longer than what was measured */
    dt_known_find(&known, &config, 600000);
    assert_true(!known.known && isnan(known.exact));
    snprintf(config.text, sizeof config.text, "some.txt");
    dt_known_find(&known, &config, 600000);
    assert_near(known.tokens_wanted, 12e6, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_the_sum_of_its_parts),
        cmocka_unit_test(ranks_and_nodes_change_what_they_should),
        cmocka_unit_test(walltime_makes_starts_that_cost),
        cmocka_unit_test(budgets_are_times_energies_and_money),
        cmocka_unit_test(what_is_cut_fits_the_budget),
        cmocka_unit_test(known_accuracies_are_percentages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
