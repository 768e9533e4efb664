/* Random numbers: the published test vectors, the distributions, and the permutations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/random.h"

/* Lines "philox4x32 10" of Random123's kat_vectors. */
static void blocks_match_published_vectors(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vector[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vector / sizeof *vector; i++) {
        const uint32_t *counter = vector[i].counter, *key = vector[i].key;
        uint32_t out[4];
        dt_random_block(out, (uint64_t)key[1] << 32 | key[0], counter[3], counter[2],
                        (uint64_t)counter[1] << 32 | counter[0]);
        assert_memory_equal(out, vector[i].expected, sizeof out);
    }
}

static void below_stays_below_and_is_even(void **state) {
    (void)state;
    enum { N = 7, DRAWS = 70000 };
    size_t count[N] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint32_t word[4];
        dt_random_block(word, 42, DT_RANDOM_TEST, 0, i);
        const uint64_t x = dt_random_below(word, N);
        assert_true(x < N);
        count[x]++;
    }
    double chi2 = 0;
    for (size_t i = 0; i < N; i++) chi2 += pow((double)count[i] - DRAWS / N, 2) / (DRAWS / N);
    assert_true(chi2 < 22.5); /* 6 degrees of freedom, p = 0.001 */

    const uint32_t least[2] = {0, 0}, most[2] = {UINT32_MAX, UINT32_MAX};
    assert_int_equal(dt_random_below(least, UINT64_MAX), 0);
    assert_true(dt_random_below(most, UINT64_MAX) == UINT64_MAX - 1);
    assert_int_equal(dt_random_below(most, 1), 0);
}

static void unit_is_inside_the_open_interval(void **state) {
    (void)state;
    assert_true(dt_random_unit(0) > 0.0f);
    assert_true(dt_random_unit(UINT32_MAX) < 1.0f);
    assert_true(dt_random_unit(UINT32_C(1) << 31) > 0.5f);
    assert_true(dt_random_unit((UINT32_C(1) << 31) - 1) < 0.5f);
    double sum = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        uint32_t word[4];
        dt_random_block(word, 7, DT_RANDOM_TEST, 1, i);
        sum += dt_random_unit(word[0]);
    }
    assert_true(fabs(sum / 100000 - 0.5) < 4 * sqrt(1.0 / 12 / 100000));
}

static void normal_numbers_have_the_moments_of_a_normal(void **state) {
    (void)state;
    enum { N = 200000 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    dt_random_normal(x, N, 0.02, 3, DT_RANDOM_WEIGHTS, 5);
    double sum[5] = {0};
    size_t beyond = 0;
    for (size_t i = 0; i < N; i++) {
        const double z = x[i] / 0.02;
        double power = 1;
        for (size_t p = 0; p < 5; p++, power *= z) sum[p] += power / N;
        beyond += fabs(z) > 1.959964;
    }
    free(x);
    const double error = 4 / sqrt(N);
    assert_true(fabs(sum[1]) < error);
    assert_true(fabs(sum[2] - 1) < error * sqrt(2));
    assert_true(fabs(sum[3]) < error * sqrt(15));
    assert_true(fabs(sum[4] - 3) < error * sqrt(96));
    assert_true(fabs((double)beyond / N - 0.05) < error * sqrt(0.05 * 0.95));
}

static void normal_numbers_do_not_depend_on_how_many_are_asked_for(void **state) {
    (void)state;
    float all[11], some[11];
    dt_random_normal(all, 11, 1, 9, DT_RANDOM_WEIGHTS, 2);
    for (uint64_t n = 0; n <= 11; n++) {
        memset(some, 0, sizeof some);
        dt_random_normal(some, n, 1, 9, DT_RANDOM_WEIGHTS, 2);
        assert_memory_equal(some, all, n * sizeof *all);
        if (n < 11) assert_true(some[n] == 0.0f);
    }
    dt_random_normal(some, 11, 1, 9, DT_RANDOM_WEIGHTS, 3);
    assert_memory_not_equal(some, all, sizeof all);
}

static void check_permutation(uint64_t n, uint64_t seed, uint32_t epoch) {
    bool *seen = calloc(n, sizeof *seen);
    assert_non_null(seen);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t position = dt_random_permute(i, n, seed, epoch);
        assert_true(position < n);
        assert_false(seen[position]);
        seen[position] = true;
    }
    free(seen);
}

static void permute_is_a_permutation(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= 130; n++) check_permutation(n, n, 0);
    static const uint64_t edge[] = {255,  256,  257,  1023,  1024, 1025,
                                    4095, 4096, 4097, 10000, 65537};
    for (size_t i = 0; i < sizeof edge / sizeof *edge; i++)
        check_permutation(edge[i], 1, (uint32_t)i);
}

static void permute_reaches_the_largest_domains(void **state) {
    (void)state;
    static const uint64_t domain[] = {UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, UINT64_C(1) << 62,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof domain / sizeof *domain; i++) {
        const uint64_t x = dt_random_permute(domain[i] - 1, domain[i], 1, 0);
        assert_true(x < domain[i]);
        assert_true(x != dt_random_permute(domain[i] - 2, domain[i], 1, 0));
    }
}

/* Over many epochs each index is at each position equally often, and neighbours take every pair of
 * positions equally often. */
static void orders_of_epochs_are_independent(void **state) {
    (void)state;
    enum { N = 5, EPOCHS = 4000 };
    size_t at[N][N] = {0}, next_to[N][N] = {0};
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        uint64_t position[N];
        for (uint64_t i = 0; i < N; i++) position[i] = dt_random_permute(i, N, 11, epoch);
        for (size_t i = 0; i < N; i++) at[i][position[i]]++;
        next_to[position[0]][position[1]]++;
    }
    double chi2_at = 0, chi2_pair = 0;
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            chi2_at += pow((double)at[i][j] - EPOCHS / N, 2) / (EPOCHS / N);
            if (i != j)
                chi2_pair += pow((double)next_to[i][j] - EPOCHS / 20.0, 2) / (EPOCHS / 20.0);
        }
    }
    assert_true(chi2_at < 39.3);   /* 16 degrees of freedom, p = 0.001 */
    assert_true(chi2_pair < 43.9); /* 19 degrees of freedom, p = 0.001 */
}

static void large_orders_differ_by_epoch_and_seed(void **state) {
    (void)state;
    enum { N = 1000 };
    size_t same_epoch = 0, same_seed = 0, fixed = 0;
    for (uint64_t i = 0; i < N; i++) {
        const uint64_t position = dt_random_permute(i, N, 1, 0);
        same_epoch += position == dt_random_permute(i, N, 1, 1);
        same_seed += position == dt_random_permute(i, N, 2, 0);
        fixed += position == i;
    }
    /* One on average; more than 8 has a probability of about 1e-6. */
    assert_true(same_epoch <= 8);
    assert_true(same_seed <= 8);
    assert_true(fixed <= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_match_published_vectors),
        cmocka_unit_test(below_stays_below_and_is_even),
        cmocka_unit_test(unit_is_inside_the_open_interval),
        cmocka_unit_test(normal_numbers_have_the_moments_of_a_normal),
        cmocka_unit_test(normal_numbers_do_not_depend_on_how_many_are_asked_for),
        cmocka_unit_test(permute_is_a_permutation),
        cmocka_unit_test(permute_reaches_the_largest_domains),
        cmocka_unit_test(orders_of_epochs_are_independent),
        cmocka_unit_test(large_orders_differ_by_epoch_and_seed),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
