/* The optimizer's operations of a backend: the AdamW update, the average of weights and the sum of
 * squares, against double precision. */
#include "device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const size_t COUNTS[] = {1, 15, 16, 17, 1000, 4097};

static void adamw_check(dt_backend *backend, size_t count, float decay) {
    enum { STEPS = 12 };
    const double beta1 = 0.9, beta2 = 0.95;
    fixture_random random = {count};
    device_tensor weight = device_random("weight", backend, count, 0, 1, &random);
    double *zeros = reference_doubles(count), *before = fixture_copy(weight.host, count);
    device_tensor m = device_from("m", backend, zeros, count),
                  v = device_from("v", backend, zeros, count);
    for (int step = 1; step <= STEPS; step++) {
        char what[80];
        snprintf(what, sizeof what, "AdamW on %zu elements, step %d, decay %g", count, step,
                 (double)decay);
        const dt_adamw constants = {.lr = 0.02f * (float)step,
                                    .beta1 = (float)beta1,
                                    .beta2 = (float)beta2,
                                    .epsilon = 1e-3f,
                                    .decay = decay,
                                    .gradient_scale = 1 / 64.0f,
                                    .correction1 = (float)(1 / (1 - pow(beta1, step))),
                                    .correction2 = (float)(1 / (1 - pow(beta2, step)))};
        device_tensor gradient = device_random("gradient", backend, count, 0.1, 50, &random);
        expect_ok(
            backend->update->adamw(backend, weight.at, m.at, v.at, gradient.at, count, &constants));
        reference_adamw(weight.host, m.host, v.host, gradient.host, count, &constants);
        expect_device(what, &weight, &m, &v, &gradient, NULL);
        device_destroy(&gradient, NULL);
    }
    /* Checks that the updates are large enough for the comparison to mean something. */
    assert_true(fabs(weight.host[0] - before[0]) > 0.01);
    free(zeros);
    free(before);
    device_destroy(&weight, &m, &v, NULL);
}

static void adamw_agrees_over_steps(void **state) {
    for (size_t i = 0; i < LENGTH(COUNTS); i++) {
        adamw_check(*state, COUNTS[i], 0);
        adamw_check(*state, COUNTS[i], 0.3f);
    }
}

/* A NaN in the gradient reaches the weight, where it can be seen. */
static void adamw_keeps_nan(void **state) {
    dt_backend *backend = *state;
    const double one[2] = {1, 1}, zero[2] = {0, 0}, bad[2] = {1, NAN};
    device_tensor weight = device_from("weight", backend, one, 2),
                  m = device_from("m", backend, zero, 2);
    device_tensor v = device_from("v", backend, zero, 2),
                  gradient = device_from("d", backend, bad, 2);
    const dt_adamw constants = {.lr = 0.1f,
                                .beta1 = 0.9f,
                                .beta2 = 0.99f,
                                .epsilon = 1e-8f,
                                .gradient_scale = 1,
                                .correction1 = 10,
                                .correction2 = 100};
    expect_ok(backend->update->adamw(backend, weight.at, m.at, v.at, gradient.at, 2, &constants));
    double *after = device_read(&weight);
    assert_true(fabs(after[0] - 0.9) < 1e-5);
    assert_true(isnan(after[1]));
    free(after);
    device_destroy(&weight, &m, &v, &gradient, NULL);
}

static void average_moves_towards_the_weights(void **state) {
    dt_backend *backend = *state;
    const float gain[] = {1, 0.25f, 1e-3f};
    for (size_t i = 0; i < LENGTH(COUNTS); i++) {
        fixture_random random = {i};
        device_tensor average = device_random("average", backend, COUNTS[i], 0, 1, &random);
        for (size_t k = 0; k < LENGTH(gain); k++) {
            device_tensor weight = device_random("weight", backend, COUNTS[i], 0.5, 1, &random);
            expect_ok(backend->update->average(backend, average.at, weight.at, COUNTS[i], gain[k]));
            for (size_t j = 0; j < COUNTS[i]; j++) {
                average.host[j] =
                    (1 - (double)gain[k]) * average.host[j] + (double)gain[k] * weight.host[j];
            }
            expect_device("average", &average, &weight, NULL);
            device_destroy(&weight, NULL);
        }
        device_destroy(&average, NULL);
    }
}

static void square_sum_is_one_in_double(void **state) {
    dt_backend *backend = *state;
    for (size_t i = 0; i < LENGTH(COUNTS); i++) {
        fixture_random random = {i};
        device_tensor x = device_random("x", backend, COUNTS[i], 0.1, 100, &random);
        double expected = 0, sum = -1, again = -1;
        for (size_t j = 0; j < COUNTS[i]; j++) expected += x.host[j] * x.host[j];
        expect_ok(backend->update->square_sum(backend, &sum, x.at, COUNTS[i]));
        expect_ok(backend->update->square_sum(backend, &again, x.at, COUNTS[i]));
        expect_close("square sum", &sum, &expected, 1, 1e-13);
        assert_true(sum == again);
        device_destroy(&x, NULL);
    }
}

/* 1e30 squared is beyond float, not beyond double. */
static void square_sum_of_huge_numbers_is_finite(void **state) {
    dt_backend *backend = *state;
    const double value = (double)1e30f, expected = 2 * value * value, both[2] = {value, -value};
    device_tensor x = device_from("x", backend, both, 2);
    double sum = 0;
    expect_ok(backend->update->square_sum(backend, &sum, x.at, 2));
    expect_close("square sum", &sum, &expected, 1, 1e-13);
    device_destroy(&x, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_agrees_over_steps),
        cmocka_unit_test(adamw_keeps_nan),
        cmocka_unit_test(average_moves_towards_the_weights),
        cmocka_unit_test(square_sum_is_one_in_double),
        cmocka_unit_test(square_sum_of_huge_numbers_is_finite),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
