/* Energy, money and CO2: what all starts of a run have used, and how it is written. */
#include "dtrain/core/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(x, y, most) assert_true(fabs((x) - (y)) <= (most))

static void usage_adds_all_starts(void **state) {
    (void)state;
    dt_history_row rows[] = {
        {.nodes = 2, .seconds = 100, .processor_seconds = 350, .joules = 5000},
        {.nodes = 1, .seconds = 50, .processor_seconds = 90, .joules = 700},
        {.nodes = 3, .seconds = NAN, .processor_seconds = NAN, .joules = NAN},
        {.nodes = 1, .seconds = 10, .processor_seconds = 10, .joules = 40},
    };
    snprintf(rows[0].energy_source, sizeof rows[0].energy_source, "RAPL");
    snprintf(rows[1].energy_source, sizeof rows[1].energy_source, "Slurm");
    snprintf(rows[3].energy_source, sizeof rows[3].energy_source, "RAPL");
    const dt_metrics metrics = {.history = rows, .history_count = 4};
    dt_usage usage;
    dt_metrics_usage(&usage, &metrics);
    assert_near(usage.seconds, 160, 1e-9);
    assert_near(usage.node_seconds, 260, 1e-9);
    assert_near(usage.processor_seconds, 450, 1e-9);
    assert_near(usage.joules, 5740, 1e-9);
    assert_int_equal(usage.starts, 4);
    assert_int_equal(usage.measured, 3);
    assert_string_equal(usage.source, "RAPL, Slurm");

    dt_config config;
    char text[512];
    dt_config_defaults(&config);
    dt_cost_usage_text(text, sizeof text, &usage, &config);
    assert_string_equal(text, "1.59 Wh (RAPL, Slurm; without 1 of 4 starts)");
    /* No source: unknown, not zero. */
    for (size_t i = 0; i < 4; i++) rows[i].energy_source[0] = '\0';
    dt_metrics_usage(&usage, &metrics);
    assert_true(isnan(usage.joules));
    dt_cost_usage_text(text, sizeof text, &usage, &config);
    assert_string_equal(text, "");
    dt_cost_usage_json(text, sizeof text, &usage, &config);
    assert_non_null(strstr(text, "\"joules\":null,\"energy_source\":\"\""));
    assert_non_null(strstr(text, "\"money\":null"));
}

static void expect(const dt_config *config, double joules, double hours, const char *wanted) {
    char text[512];
    const dt_cost cost = dt_cost_of(config, joules, 3600 * hours);
    dt_cost_text(text, sizeof text, &cost, config, isfinite(joules) ? "RAPL" : NULL);
    assert_string_equal(text, wanted);
}

static void money_is_energy_and_rented_hours(void **state) {
    (void)state;
    dt_config config;
    dt_config_defaults(&config);
    expect(&config, 999, 5, "999 J (RAPL)");
    expect(&config, 3.6e6 * 123, 5, "123 kWh (RAPL)");
    expect(&config, NAN, 5, "");
    config.price_kwh = 31;
    snprintf(config.currency, sizeof config.currency, "JPY");
    expect(&config, 7.2e6, 5, "2.00 kWh (RAPL), 62.00 JPY");
    expect(&config, 7.2e3, 5, "2 Wh (RAPL), 0.062 JPY");
    expect(&config, NAN, 5, ""); /* energy has a price, and is not known */
    config.co2 = 423;
    expect(&config, 7.2e6, 5, "2.00 kWh (RAPL), 62.00 JPY, 846 g CO2");
    expect(&config, 7.2e7, 5, "20.00 kWh (RAPL), 620.00 JPY, 8.46 kg CO2");
    config.price_hour = 100;
    expect(&config, 7.2e6, 5, "2.00 kWh (RAPL), 562.00 JPY, 846 g CO2");
    config.price_kwh = config.price_hour = config.co2 = 0;
    config.units_per_hour = 1.96;
    config.price_unit = 11.5;
    expect(&config, NAN, 2, "45.08 JPY");
}

static void prices_that_say_nothing_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *setting[3], *value[3], *says;
    } cases[] = {
        {{"price-kwh"}, {"31"}, "--currency JPY"},
        {{"price-hour"}, {"31"}, "--currency JPY"},
        {{"units-per-hour", "currency"}, {"2", "JPY"}, "give both or none"},
        {{"price-unit", "currency"}, {"2", "JPY"}, "give both or none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dt_config config;
        dt_config_defaults(&config);
        for (size_t k = 0; k < 3 && cases[i].setting[k]; k++) {
            const dt_setting *setting = dt_setting_find(cases[i].setting[k]);
            assert_non_null(setting);
            assert_int_equal(dt_config_set(&config, setting, cases[i].value[k], "x"), DT_OK);
        }
        assert_int_equal(dt_config_check(&config), DT_ERR_ARG);
        assert_non_null(strstr(dt_error_text(), cases[i].says));
    }
    dt_config config;
    dt_config_defaults(&config);
    config.price_hour = config.units_per_hour = config.price_unit = 1;
    config.currency[0] = 'E';
    assert_int_equal(dt_config_check(&config), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "leave one out"));
    /* No hidden defaults. */
    dt_config_defaults(&config);
    const double none = config.watts + config.price_kwh + config.co2 + config.price_hour +
                        config.units_per_hour + config.price_unit;
    assert_true(none == 0 && !config.currency[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_adds_all_starts),
        cmocka_unit_test(money_is_energy_and_rented_hours),
        cmocka_unit_test(prices_that_say_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
