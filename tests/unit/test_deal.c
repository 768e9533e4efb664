/* Texts dealt out to parts: none is lost, counts are equal, and the amounts of computation are
 * nearly equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/data/deal.h"
#include "dtrain/data/source.h"

enum { BATCH_MAX = 1024 };

static void open_deal(dt_deal *deal, size_t texts, size_t parts) {
    assert_int_equal(dt_deal_create(deal, texts, parts), DT_OK);
}

/* Tokens of the lightest and of the heaviest part. */
static void weigh(uint64_t *least, uint64_t *most, const dt_deal *deal) {
    *least = UINT64_MAX;
    *most = 0;
    for (size_t s = 0; s < deal->parts; s++) {
        uint64_t sum = 0;
        for (size_t i = dt_deal_start(deal->texts, deal->parts, s);
             i < dt_deal_start(deal->texts, deal->parts, s + 1); i++) {
            sum += deal->tokens[deal->order[i]];
        }
        *least = sum < *least ? sum : *least;
        *most = sum > *most ? sum : *most;
    }
}

static void every_text_is_dealt_out_once(void **state) {
    (void)state;
    static const size_t batches[] = {1, 7, 61, 128, 1000}, parts[] = {1, 4, 8, 64};
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
        for (size_t n = 0; n < sizeof parts / sizeof *parts; n++) {
            dt_deal deal;
            bool seen[BATCH_MAX] = {false};
            open_deal(&deal, batches[b], parts[n]);
            for (size_t i = 0; i < deal.texts; i++) deal.tokens[i] = (uint32_t)(i * 37 % 90 + 3);
            dt_deal_texts(&deal, deal.texts, deal.parts);
            for (size_t i = 0; i < deal.texts; i++) {
                assert_true(deal.order[i] < deal.texts);
                assert_false(seen[deal.order[i]]);
                seen[deal.order[i]] = true;
            }
            assert_int_equal(dt_deal_start(deal.texts, deal.parts, 0), 0);
            assert_int_equal(dt_deal_start(deal.texts, deal.parts, deal.parts), deal.texts);
            for (size_t s = 0; s < deal.parts; s++) {
                const size_t begin = dt_deal_start(deal.texts, deal.parts, s),
                             end = dt_deal_start(deal.texts, deal.parts, s + 1);
                assert_in_range(end - begin, deal.texts / deal.parts, deal.texts / deal.parts + 1);
                for (size_t i = begin; i + 1 < end; i++)
                    assert_true(deal.order[i] < deal.order[i + 1]);
            }
            dt_deal_destroy(&deal);
            assert_null(deal.order);
        }
    }
}

/* 8 parts of 2: each long text gets a short one. */
static void long_texts_go_with_short_ones(void **state) {
    (void)state;
    dt_deal deal;
    uint64_t least, most;
    open_deal(&deal, 16, 8);
    for (size_t i = 0; i < 16; i++) deal.tokens[i] = (uint32_t)(10 + i);
    dt_deal_texts(&deal, deal.texts, deal.parts);
    weigh(&least, &most, &deal);
    assert_int_equal(least, 35);
    assert_int_equal(most, 35);
    dt_deal_destroy(&deal);
}

/* Dealing by length alone would give 10 7 7 and 10 7 1. */
static void parts_exchange_texts(void **state) {
    (void)state;
    static const uint32_t tokens[] = {10, 10, 7, 7, 7, 1};
    dt_deal deal;
    uint64_t least, most;
    open_deal(&deal, 6, 2);
    memcpy(deal.tokens, tokens, sizeof tokens);
    dt_deal_texts(&deal, deal.texts, deal.parts);
    weigh(&least, &most, &deal);
    assert_int_equal(least, 21);
    assert_int_equal(most, 21);
    dt_deal_destroy(&deal);
}

/* The more the heaviest part exceeds the mean, the longer ranks wait; without dealing, it exceeds
 * the mean by far. */
static void parts_weigh_nearly_the_same(void **state) {
    (void)state;
    dt_deal deal;
    dt_config config;
    dt_config_defaults(&config);
    dt_source source;
    dt_text text = {0};
    assert_int_equal(dt_source_open(&source, &config, NULL), DT_OK);
    open_deal(&deal, 128, 8);
    uint64_t position = 0;
    double heaviest = 0, means = 0;
    for (size_t step = 0; step < 50; step++) {
        uint64_t least, most, sum = 0;
        for (size_t i = 0; i < deal.texts; i++) {
            assert_int_equal(source.kind->train_length(&deal.tokens[i], &text, &source, position++),
                             DT_OK);
            sum += deal.tokens[i];
        }
        dt_deal_texts(&deal, deal.texts, deal.parts);
        weigh(&least, &most, &deal);
        assert_true((double)(most - least) < 0.01 * (double)most);
        const double mean = (double)sum / (double)deal.parts;
        assert_true((double)most < 1.0075 * mean);
        heaviest += (double)most;
        means += mean;
    }
    assert_true(heaviest < 1.002 * means);
    dt_text_destroy(&text);
    dt_source_close(&source);
    dt_deal_destroy(&deal);
}

/* Which texts a part gets depends only on the lengths. */
static void the_same_lengths_give_the_same_order(void **state) {
    (void)state;
    dt_deal first, second;
    open_deal(&first, 100, 8);
    open_deal(&second, 100, 8);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 100; i++) first.tokens[i] = (uint32_t)(5 + (i + round) % 4);
        memcpy(second.tokens, first.tokens, 100 * sizeof *first.tokens);
        dt_deal_texts(&first, first.texts, first.parts);
    }
    dt_deal_texts(&second, second.texts, second.parts);
    assert_memory_equal(first.order, second.order, 100 * sizeof *first.order);
    dt_deal_destroy(&first);
    dt_deal_destroy(&second);
}

static void what_cannot_be_dealt_out_is_refused(void **state) {
    (void)state;
    dt_deal deal;
    assert_int_equal(dt_deal_create(&deal, (size_t)UINT32_MAX + 1, 8), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "--batch"));
    dt_error_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_is_dealt_out_once),
        cmocka_unit_test(long_texts_go_with_short_ones),
        cmocka_unit_test(parts_exchange_texts),
        cmocka_unit_test(parts_weigh_nearly_the_same),
        cmocka_unit_test(the_same_lengths_give_the_same_order),
        cmocka_unit_test(what_cannot_be_dealt_out_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
