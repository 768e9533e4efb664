/* Which numbers of expressions have to do with each other, and where they begin in training. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/expression/machine.h"
#include "dtrain/expression/source.h"

enum { BYTES_MAX = 200 };

static const dt_line_rules near = {4, true};

/* The digits of `wanted` are the groups, "." for 0. */
static void check_groups(const char *line, const char *wanted) {
    dt_text text = {0};
    uint16_t group[BYTES_MAX] = {0};
    assert_int_equal(dt_text_append(&text, line, strlen(line)), DT_OK);
    text.prompt_length = text.length;
    assert_int_equal(dt_expression_next(&text, line, strlen(line), near), DT_OK);
    assert_int_equal(dt_expression_groups(group, &text, near), DT_OK);
    assert_int_equal(text.length, strlen(wanted));
    for (size_t i = 0; i < text.length; i++) {
        const char is = (char)(group[i] == 0 ? '.' : '0' + group[i]);
        if (is != wanted[i])
            fail_msg("%s: byte %zu is of group %c, not %c", text.bytes, i, is, wanted[i]);
    }
    text.length--;
    assert_int_equal(dt_expression_groups(group, &text, near), DT_ERR_INTERNAL);
    dt_error_clear();
    dt_text_destroy(&text);
}

static void numbers_that_are_calculated_with_are_one_group(void **state) {
    (void)state;
    /* Q^21*^43$ {E^21*^43$ */
    check_groups("Q^21*^43$", ".11112222..11112222");
    /* >M^21*^4,N+-$; what has no digits belongs to the number, too: >M^21*^!O+-$ */
    check_groups("B^21*^43$", ".11112222..1111222....");
    check_groups("B^21*^4$", ".1111222..111122....");
    check_groups("S^21+^43$", "..................");
    /* ^6aN30,>M^21*^!O+^63$ */
    check_groups("M^21*^4,N+-$", ".....111.................11......");
    /* {La^060,M,b^17,c-,d^0$ {G^25,^17$ >La^06,K,b^17,c^43,d^2$ */
    check_groups("W^0602:^17$", ".1111112222...11111...2222.......");
    check_groups("La^060,M,b^17,c-,d^5$", "..11111...2222....333..33332222");
    check_groups("La^060,M,b^17,c^3,d^5}O,d^2$",
                 "..11111...2222.333.444...555...1111...2222.3333.555");
    /* }=^92r^1$ */
    check_groups("C^92,^1:^17}~48$", ".111122233334444..1111222");
}

/* Of the first token like this from `from` on; its place afterwards. */
static int32_t place_of(const dt_batch *b, const dt_tokenizer *tokenizer, size_t *from,
                        const char *token) {
    while (strcmp(dt_tokenizer_token(tokenizer, b->token[*from]), token) != 0)
        assert_true(++*from < b->tokens);
    return b->place[(*from)++];
}

enum { OFFSET = 40, TOKENS = 1000 };

/* Training texts of products. */
typedef struct {
    dt_source source;
    dt_batch batch;
    dt_tokenizer *tokenizer;
} products;

static void products_open(products *p, int64_t window) {
    dt_config config;
    dt_config_defaults(&config);
    config.format = DT_FORMAT_EXPRESSION;
    config.numbers = DT_NUMBERS_NATURAL;
    config.working = DT_WORKING_NEAR;
    config.place_embedding = DT_PLACES_ROTARY;
    config.place_offset = OFFSET;
    config.place_window = window;
    config.distractors = window > 0 ? 20 : 0;
    config.distractor_run = 5;
    strcpy(config.ops, "*");
    assert_int_equal(dt_expression_source.tokenizer(&p->tokenizer, &config, NULL), DT_OK);
    p->source = dt_source_for_asking(&config, p->tokenizer);
    assert_int_equal(dt_batch_create(&p->batch, 1, TOKENS), DT_OK);
}

static void products_close(products *p) {
    dt_batch_destroy(&p->batch);
    dt_tokenizer_destroy(&p->tokenizer);
}

/* In "M^21*^4,N+-$^6aN…": the second factor alone begins at another place than all other numbers,
 * and its copy at the same one; M and $ are anywhere. */
static void numbers_that_are_only_copied_have_places_of_their_own(void **state) {
    (void)state;
    products p;
    products_open(&p, 0);
    const dt_tokenizer *tokenizer = p.tokenizer;
    const dt_batch *b = &p.batch;
    size_t lines = 0, apart = 0, copies = 0, elsewhere = 0;
    for (uint64_t position = 0; position < 600; position++) {
        dt_batch_clear(&p.batch);
        assert_int_equal(dt_source_train(&p.batch, &p.source, position), DT_OK);
        for (size_t i = 0; i < b->tokens; i++) assert_in_range(b->place[i], 1, OFFSET + 8);
        if (strcmp(dt_tokenizer_token(tokenizer, b->token[0]), "M") != 0) continue;
        size_t at = 0;
        const int32_t line = place_of(b, tokenizer, &at, "M"), a = place_of(b, tokenizer, &at, "^"),
                      times = place_of(b, tokenizer, &at, "*"),
                      second = place_of(b, tokenizer, &at, "^"),
                      sum = place_of(b, tokenizer, &at, "^");
        lines++;
        assert_int_equal(sum, a);
        assert_in_range(times, a + 2, a + 1 + p.source.config.digits);
        apart += second != a;
        elsewhere += line != a;
        if (!strstr(b->text.bytes, ">M")) continue;
        place_of(b, tokenizer, &at, ">");
        assert_int_equal(place_of(b, tokenizer, &at, "^"), a);
        assert_int_equal(place_of(b, tokenizer, &at, "^"), second);
        copies++;
    }
    assert_true(lines > 50 && copies > 10);
    assert_true(apart > lines * 9 / 10 && elsewhere > lines * 9 / 10);
    products_close(&p);
}

/* In a window every other text has all its numbers at one place, and in the others independent ones
 * begin up to 2 * 3 + 2 places later, but not beyond the offset. What a window reads goes along. */
static void in_a_window_numbers_stay_near(void **state) {
    (void)state;
    enum { WINDOW = 3 };
    products p;
    products_open(&p, WINDOW);
    const dt_tokenizer *tokenizer = p.tokenizer;
    const dt_batch *b = &p.batch;
    size_t texts = 0, apart[2 * WINDOW + 3] = {0};
    for (uint64_t position = 0; position < 3000; position++) {
        dt_batch_clear(&p.batch);
        assert_int_equal(dt_source_train(&p.batch, &p.source, position), DT_OK);
        for (size_t i = 0; i < b->tokens; i++) {
            assert_in_range(b->place[i], 1, OFFSET + 10);
            if (b->spot[i] != 0) assert_int_equal(abs(b->spot[i]) & 0xffff, b->place[i]);
        }
        size_t at = 0;
        while (b->target[at] < 0 && b->spot[at] != 0) at++; /* the distractors */
        const char *first = dt_tokenizer_token(tokenizer, b->token[at]);
        assert_int_equal(b->spot[at], 0);
        if (strcmp(first, "B") != 0) continue;
        const int32_t a = place_of(b, tokenizer, &at, "^"),
                      second = place_of(b, tokenizer, &at, "^");
        const size_t further = (size_t)abs(second - a);
        assert_in_range(further, 0, 2 * WINDOW + 2);
        apart[further]++;
        texts++;
    }
    assert_true(texts > 200);
    assert_in_range(apart[0], texts / 2, texts * 3 / 4);
    for (size_t i = 1; i < sizeof apart / sizeof *apart; i++) assert_true(apart[i] > 0);
    products_close(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_that_are_calculated_with_are_one_group),
        cmocka_unit_test(numbers_that_are_only_copied_have_places_of_their_own),
        cmocka_unit_test(in_a_window_numbers_stay_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
