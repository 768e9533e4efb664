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
            dt_deal_texts(&deal, deal.texts, deal.parts, 0, deal.parts);
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
    dt_deal_texts(&deal, deal.texts, deal.parts, 0, deal.parts);
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
    dt_deal_texts(&deal, deal.texts, deal.parts, 0, deal.parts);
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
        dt_deal_texts(&deal, deal.texts, deal.parts, 0, deal.parts);
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
        dt_deal_texts(&first, first.texts, first.parts, 0, first.parts);
    }
    dt_deal_texts(&second, second.texts, second.parts, 0, second.parts);
    assert_memory_equal(first.order, second.order, 100 * sizeof *first.order);
    dt_deal_destroy(&first);
    dt_deal_destroy(&second);
}

/* ---- the same, as plainly as it can be said ---- */

static size_t room_of(size_t batch, size_t parts, size_t part) {
    return dt_deal_start(batch, parts, part + 1) - dt_deal_start(batch, parts, part);
}

/* Which part each text gets. */
static void deal_plainly(uint32_t *owner, const uint32_t *tokens, size_t batch, size_t parts) {
    uint64_t sum[64] = {0};
    size_t held[64] = {0};
    bool dealt[BATCH_MAX] = {false};
    for (size_t turn = 0; turn < batch; turn++) {
        size_t text = batch, least = parts;
        for (size_t i = 0; i < batch; i++) {
            if (!dealt[i] && (text == batch || tokens[i] > tokens[text])) text = i;
        }
        for (size_t k = 0; k < parts; k++) {
            if (held[k] == room_of(batch, parts, k)) continue;
            if (least == parts || sum[k] < sum[least]) least = k;
        }
        dealt[text] = true;
        owner[text] = (uint32_t)least;
        sum[least] += tokens[text];
        held[least]++;
    }
    for (;;) {
        size_t heavy = 0, light = 0, given = batch, taken = batch;
        for (size_t k = 1; k < parts; k++) {
            if (sum[k] > sum[heavy]) heavy = k;
            if (sum[k] < sum[light]) light = k;
        }
        const uint64_t gap = sum[heavy] - sum[light];
        uint64_t best = 0;
        for (size_t i = 0; i < batch; i++) {
            for (size_t j = 0; j < batch && heavy != light; j++) {
                if (owner[i] != heavy || owner[j] != light || tokens[i] <= tokens[j]) continue;
                const uint64_t moved = tokens[i] - tokens[j];
                if (moved >= gap) continue;
                const uint64_t won = moved < gap - moved ? moved : gap - moved;
                if (won > best) best = won;
            }
        }
        if (best == 0) return;
        /* Of several pairs: the longest text given, and for it the longest taken. */
        for (size_t i = 0; i < batch; i++) {
            for (size_t j = 0; j < batch; j++) {
                if (owner[i] != heavy || owner[j] != light || tokens[i] <= tokens[j]) continue;
                const uint64_t moved = tokens[i] - tokens[j];
                if (moved >= gap || (moved < gap - moved ? moved : gap - moved) != best) continue;
                if (given < batch &&
                    (tokens[i] < tokens[given] || (i != given && tokens[i] == tokens[given])))
                    continue;
                if (i == given && tokens[j] <= tokens[taken]) continue;
                given = i;
                taken = j;
            }
        }
        sum[heavy] -= tokens[given] - tokens[taken];
        sum[light] += tokens[given] - tokens[taken];
        owner[given] = (uint32_t)light;
        owner[taken] = (uint32_t)heavy;
    }
}

static void dealing_is_what_it_says(void **state) {
    (void)state;
    static const size_t batches[] = {5, 32, 61, 200}, parts[] = {1, 3, 8, 32};
    uint32_t random = 1, owner[BATCH_MAX];
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
        for (size_t n = 0; n < sizeof parts / sizeof *parts; n++) {
            dt_deal deal;
            open_deal(&deal, batches[b], parts[n]);
            for (size_t i = 0; i < deal.texts; i++) {
                random = random * 1664525u + 1013904223u;
                deal.tokens[i] = 3 + (random >> 4) % (b == 0 ? 1u << 20 : b == 1 ? 9u : 120u << b);
            }
            deal_plainly(owner, deal.tokens, deal.texts, deal.parts);
            dt_deal_texts(&deal, deal.texts, deal.parts, 0, deal.parts);
            for (size_t k = 0; k < deal.parts; k++) {
                for (size_t i = dt_deal_start(deal.texts, deal.parts, k);
                     i < dt_deal_start(deal.texts, deal.parts, k + 1); i++) {
                    assert_int_equal(owner[deal.order[i]], k);
                }
            }
            dt_deal_destroy(&deal);
        }
    }
}

/* Dealt in two hands, each text stays in its own. */
static void parts_can_be_dealt_to_alone(void **state) {
    (void)state;
    enum { TEXTS = 100, PARTS = 8, HALF = 4 };
    dt_deal deal, alone;
    open_deal(&deal, TEXTS, PARTS);
    open_deal(&alone, TEXTS / 2, HALF);
    for (size_t i = 0; i < TEXTS; i++) deal.tokens[i] = (uint32_t)(i * 37 % 90 + 3);
    memcpy(alone.tokens, deal.tokens + TEXTS / 2, TEXTS / 2 * sizeof *alone.tokens);
    dt_deal_texts(&deal, TEXTS, PARTS, HALF, PARTS);
    dt_deal_texts(&alone, TEXTS / 2, HALF, 0, HALF);
    for (size_t i = 0; i < TEXTS / 2; i++)
        assert_int_equal(deal.order[TEXTS / 2 + i], TEXTS / 2 + alone.order[i]);
    dt_deal_destroy(&alone);
    dt_deal_destroy(&deal);
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
        cmocka_unit_test(dealing_is_what_it_says),
        cmocka_unit_test(parts_can_be_dealt_to_alone),
        cmocka_unit_test(what_cannot_be_dealt_out_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
