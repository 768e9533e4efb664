/* Tokens are drawn by their probability, from those that are wanted, the same ones for a seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "dtrain/model/sample.h"

enum { V = 6, DRAWS = 30000 };

static const float LOGITS[V] = {0.5f, -1.0f, 2.0f, 1.25f, -3.0f, 0.5f};

static void count_draws(size_t count[V], const dt_drawing *how, const float *logits) {
    dt_drawer *drawer;
    assert_int_equal(dt_drawer_create(&drawer, V), DT_OK);
    memset(count, 0, V * sizeof *count);
    for (uint64_t i = 0; i < DRAWS; i++) {
        const int32_t id = dt_drawer_draw(drawer, how, logits, i);
        assert_in_range(id, 0, V - 1);
        count[id]++;
    }
    dt_drawer_destroy(&drawer);
    assert_null(drawer);
}

/* The softmax at a temperature over some of the tokens, and the chi-square of what was drawn. */
static double chi_square(const size_t count[V], const bool in[V], double temperature) {
    double sum = 0, chi2 = 0;
    for (size_t i = 0; i < V; i++) sum += in[i] ? exp((double)LOGITS[i] / temperature) : 0;
    for (size_t i = 0; i < V; i++) {
        if (!in[i]) assert_int_equal(count[i], 0);
        if (!in[i]) continue;
        const double expected = DRAWS * exp((double)LOGITS[i] / temperature) / sum;
        chi2 += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
    }
    return chi2;
}

static void the_distribution_is_the_softmax(void **state) {
    (void)state;
    static const bool all[V] = {true, true, true, true, true, true};
    static const double temperature[] = {0.5, 1, 2};
    for (size_t t = 0; t < 3; t++) {
        size_t count[V];
        count_draws(count, &(dt_drawing){temperature[t], 0, 1, 7, 0}, LOGITS);
        assert_true(chi_square(count, all, temperature[t]) < 20.5); /* 5 degrees, p = 0.001 */
        /* neither does another seed nor another text go wrong */
        count_draws(count, &(dt_drawing){temperature[t], V, 1, 8, 3}, LOGITS);
        assert_true(chi_square(count, all, temperature[t]) < 20.5);
    }
}

static void only_wanted_tokens_are_drawn(void **state) {
    (void)state;
    /* By probability: 2 (0.504), 3 (0.238), 0 and 5 (0.112 each), 1 (0.025), 4 (0.003). */
    static const struct {
        size_t top_k;
        double top_p;
        bool in[V];
    } cut[] = {
        {3, 1, {true, false, true, true, false, false}}, /* of equal ones that with the lower id */
        {4, 1, {true, false, true, true, false, true}},
        {0, 0.5, {false, false, true, false, false, false}},
        {0, 0.51, {false, false, true, true, false, false}},
        {0, 0.75, {true, false, true, true, false, false}},
        {0, 0.98, {true, true, true, true, false, true}},
        /* The likeliest two share 0.68 and 0.32: of those, 0.7 needs both, 0.6 one. */
        {2, 0.7, {false, false, true, true, false, false}},
        {2, 0.6, {false, false, true, false, false, false}},
        {1, 1, {false, false, true, false, false, false}},
        {0, 1e-9, {false, false, true, false, false, false}},
    };
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        size_t count[V];
        count_draws(count, &(dt_drawing){1, cut[i].top_k, cut[i].top_p, 11, 0}, LOGITS);
        for (size_t id = 0; id < V; id++) assert_int_equal(count[id] > 0, cut[i].in[id]);
        assert_true(chi_square(count, cut[i].in, 1) < 20.5);
    }
}

static void a_seed_repeats_what_it_gave(void **state) {
    (void)state;
    enum { TOKENS = 200 };
    const float even[V] = {0};
    dt_drawer *drawer;
    int32_t first[TOKENS];
    size_t same_seed = 0, same_text = 0, same_number = 0;
    assert_int_equal(dt_drawer_create(&drawer, V), DT_OK);
    const dt_drawing how = {1, 0, 1, 5, 2}, seed = {1, 0, 1, 6, 2}, text = {1, 0, 1, 5, 3};
    for (uint64_t i = 0; i < TOKENS; i++) first[i] = dt_drawer_draw(drawer, &how, even, i);
    for (uint64_t i = TOKENS; i-- > 0;) { /* in any order */
        assert_int_equal(dt_drawer_draw(drawer, &how, even, i), first[i]);
        same_seed += dt_drawer_draw(drawer, &seed, even, i) == first[i];
        same_text += dt_drawer_draw(drawer, &text, even, i) == first[i];
        same_number += dt_drawer_draw(drawer, &how, even, i + TOKENS) == first[i];
    }
    /* One in six is the same by chance: 33, give or take 5. */
    assert_in_range(same_seed, 15, 55);
    assert_in_range(same_text, 15, 55);
    assert_in_range(same_number, 15, 55);
    dt_drawer_destroy(&drawer);
}

static void extremes_are_drawn_from(void **state) {
    (void)state;
    const float huge[V] = {-1e30f, 3e38f, 0, 3e38f, -3e38f, 1};
    const float nan[V] = {0, 1, NAN, 3, 4, 5}, infinite[V] = {0, 1, INFINITY, 3, 4, 5};
    dt_drawer *drawer;
    size_t count[V];
    assert_int_equal(dt_drawer_create(&drawer, V), DT_OK);
    assert_int_equal(dt_drawer_draw(drawer, &(dt_drawing){1, 0, 1, 1, 0}, nan, 0), -1);
    assert_int_equal(dt_drawer_draw(drawer, &(dt_drawing){0, 0, 1, 1, 0}, infinite, 0), -1);
    /* Without a temperature it is the first of the likeliest, as in greedy generation. */
    assert_int_equal(dt_drawer_draw(drawer, &(dt_drawing){0, 0, 1, 1, 0}, huge, 0), 1);
    assert_int_equal(dt_drawer_draw(drawer, &(dt_drawing){1e-300, 0, 1, 1, 0}, LOGITS, 0), 2);
    count_draws(count, &(dt_drawing){1, 0, 1, 1, 0}, huge);
    assert_int_equal(count[1] + count[3], DRAWS);
    assert_in_range(count[1], DRAWS * 48 / 100, DRAWS * 52 / 100);
    count_draws(count, &(dt_drawing){1e9, 0, 1, 1, 0}, LOGITS);
    for (size_t i = 0; i < V; i++) assert_in_range(count[i], DRAWS / V - 300, DRAWS / V + 300);
    dt_drawer_destroy(&drawer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_distribution_is_the_softmax),
        cmocka_unit_test(only_wanted_tokens_are_drawn),
        cmocka_unit_test(a_seed_repeats_what_it_gave),
        cmocka_unit_test(extremes_are_drawn_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
