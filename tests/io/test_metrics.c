/* Curves have one point per step, also after a step is measured again; NaN is found in each column.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../io/checkpoint/finite.h"
#include "dtrain/core/metrics.h"

static void add(dt_metrics *metrics, int64_t step, double loss) {
    const dt_train_row train = {.step = step, .loss = loss};
    const dt_validation_row validation = {.step = step, .loss = loss};
    assert_int_equal(dt_metrics_add_train(metrics, &train), DT_OK);
    assert_int_equal(dt_metrics_add_validation(metrics, &validation), DT_OK);
}

static void test_measured_again(void **state) {
    (void)state;
    dt_metrics metrics = {0};
    for (int64_t step = 0; step < 100; step++) add(&metrics, step, 1);
    for (int64_t step = 60; step < 80; step++) add(&metrics, step, 2);
    assert_int_equal(metrics.train_count, 80);
    assert_int_equal(metrics.validation_count, 80);
    for (int64_t step = 0; step < 80; step++) {
        assert_int_equal(metrics.train[step].step, step);
        assert_true(metrics.train[step].loss == (step < 60 ? 1 : 2));
        assert_true(metrics.validation[step].loss == metrics.train[step].loss);
    }
    const dt_history_row start = {.step = 60, .ranks = 4};
    assert_int_equal(dt_metrics_add_history(&metrics, &start), DT_OK);
    assert_int_equal(dt_metrics_add_history(&metrics, &start), DT_OK);
    assert_int_equal(metrics.history_count, 2);
    dt_metrics_clear(&metrics);
    assert_null(metrics.train);
    assert_int_equal(metrics.train_count, 0);
}

static void test_finite(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    static float x[COUNT];
    for (size_t i = 0; i < COUNT; i++) x[i] = i % 2 ? 3.4e38f : -1e-45f;
    assert_int_equal(dt_finite_count(x, COUNT), COUNT);
    const float wrong[] = {NAN, -NAN, INFINITY, -INFINITY};
    const size_t at[] = {0, 1, 4095, 4096, 9999};
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 4; k++) {
            const float right = x[at[i]];
            x[at[i]] = wrong[k];
            assert_int_equal(dt_finite_count(x, COUNT), at[i]);
            assert_int_equal(dt_finite_count(x, at[i]), at[i]);
            x[at[i]] = right;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_measured_again),
                                       cmocka_unit_test(test_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
