/* Where tokens of calculations stand: positions, and what a window of attention reads of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/core/utf8.h"
#include "dtrain/data/digits.h"
#include "dtrain/expression/machine.h"
#include "dtrain/expression/source.h"

enum { TOKENS_MAX = 2000 };

/* position, spot: (TOKENS_MAX); returns how many tokens the text has. */
static size_t find_positions(int32_t *position, int32_t *spot, const char *text) {
    static int32_t id[TOKENS_MAX], place[TOKENS_MAX];
    dt_config config;
    dt_tokenizer *tokenizer;
    size_t count;
    dt_config_defaults(&config);
    config.format = DT_FORMAT_EXPRESSION;
    assert_int_equal(dt_expression_source.tokenizer(&tokenizer, &config, NULL), DT_OK);
    assert_int_equal(dt_tokenizer_encode(id, TOKENS_MAX, &count, tokenizer, text, strlen(text)),
                     DT_OK);
    dt_tokenizer_places(position, place, spot, tokenizer, id, count);
    dt_tokenizer_destroy(&tokenizer);
    return count;
}

static void check_positions(const char *text, const int32_t *wanted) {
    int32_t position[TOKENS_MAX];
    const size_t count = find_positions(position, NULL, text);
    assert_int_equal(count, strlen(text));
    assert_memory_equal(position, wanted, count * sizeof *wanted);
}

static void positions_begin_again_behind_what_is_seen(void **state) {
    (void)state;
    static const int32_t wanted[] = {0, 2, 2, 2, 2, 4, 4, 4, 0, 2, 4, 4};
    check_positions("E^21+^3$>E^4", wanted);
}

static void a_value_has_one_position_whole_or_fraction(void **state) {
    (void)state;
    check_positions("E^3+^4$", (const int32_t[]){0, 2, 2, 2, 4, 4, 4});
    check_positions("E^3:^2+^4:^2$", (const int32_t[]){0, 2, 2, 2, 3, 3, 2, 4, 4, 4, 5, 5, 4});
    check_positions("Q^3%+^4$", (const int32_t[]){0, 2, 2, 2, 2, 4, 4, 4});
    /* behind a bracket it is a division of expressions */
    check_positions("E(^3):^4$", (const int32_t[]){0, 2, 4, 4, 4, 6, 8, 8, 8});
}

/* What attention sees in a window: digits have their place, with a number's letter above it, what
 * stands behind a number minus that, and all else nothing. */
static void numbers_know_their_letter(void **state) {
    (void)state;
    enum { A = 1 << 16, B = 2 << 16, C = 3 << 16, D = 4 << 16 };
    static const char text[] = "La^06,K,b^1,c-,d^!N}M,d^2$^3aL4";
    static const int32_t wanted[] = {
        0, 0,     A + 1,    A + 2,    A + 3, -(A + 4), 0, 0,     /* La^06,K, */
        0, B + 1, B + 2,    -(B + 3), 0,     0,        0,        /* b^1,c-, */
        0, D + 1, -(D + 2), 0,        0,     0,        0,        /* d^!N}M, */
        0, D + 1, D + 2,    -(D + 3), 1,     2,        3, 3, 3}; /* d^2$^3aL4 */
    int32_t position[TOKENS_MAX], spot[TOKENS_MAX];
    const size_t count = find_positions(position, spot, text);
    assert_int_equal(count, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < count; i++) {
        if (spot[i] != wanted[i]) fail_msg("token %zu: %#x, not %#x", i, spot[i], wanted[i]);
    }
}

/* The letters of a row stand between its digits; the factor, and what is found, between numbers. */
static void letters_of_a_row_are_part_of_it(void **state) {
    (void)state;
    check_positions("M^9*^2,R+-$^8bQ7",
                    (const int32_t[]){0, 2, 2, 2, 4, 4, 4, 6, 8, 10, 12, 0, 0, 0, 0, 0});
    check_positions("c-,d^2}K,d^7$",
                    (const int32_t[]){0, 2, 4, 6, 8, 8, 8, 10, 12, 14, 16, 16, 16});
}

/* The model has an embedding for each position below its longest text. */
static void check_positions_fit(int64_t digits) {
    dt_config config;
    dt_config_defaults(&config);
    config.format = DT_FORMAT_EXPRESSION;
    config.digits = digits;
    config.operations = 24;
    config.depth = 8;
    const dt_source source = dt_source_for_asking(&config, NULL);
    const size_t longest = dt_expression_source.size(&config).longest;
    dt_text text = {0};
    int32_t position[TOKENS_MAX];
    for (uint64_t i = 0; i < 2000; i++) {
        assert_int_equal(dt_expression_source.write(&text, &source, DT_TRAIN, i), DT_OK);
        const size_t count = find_positions(position, NULL, text.bytes);
        for (size_t j = 0; j < count; j++) assert_in_range(position[j], 0, longest - 1);
    }
    dt_text_destroy(&text);
}

static void longest_numbers_fit(dt_working working) {
    dt_config config;
    dt_config_defaults(&config);
    config.working = working;
    if (working == DT_WORKING_NEAR) config.numbers = DT_NUMBERS_NATURAL;
    config.format = DT_FORMAT_EXPRESSION;
    config.digits = config.dividend_digits = config.divisor_digits = 100;
    config.operations = 24;
    config.depth = 8;
    assert_int_equal(dt_source_check(&config), DT_OK);
    const dt_source source = dt_source_for_asking(&config, NULL);
    const size_t longest = dt_expression_source.size(&config).longest;
    dt_text text = {0};
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(dt_expression_source.write(&text, &source, DT_TRAIN, i), DT_OK);
        assert_in_range(dt_utf8_count(text.bytes), 1, longest);
    }
    dt_text_destroy(&text);
    check_positions_fit(100);
    check_positions_fit(1);
    config.digits = 101;
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
    dt_error_clear();
    config.digits = 100;
    config.eval_digits = 101;
    assert_int_equal(dt_source_check(&config), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "--eval-digits 101"));
    dt_error_clear();
}

static void the_longest_numbers_fit(void **state) {
    (void)state;
    longest_numbers_fit(DT_WORKING_PLAIN);
    longest_numbers_fit(DT_WORKING_NEAR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_begin_again_behind_what_is_seen),
        cmocka_unit_test(a_value_has_one_position_whole_or_fraction),
        cmocka_unit_test(numbers_know_their_letter),
        cmocka_unit_test(letters_of_a_row_are_part_of_it),
        cmocka_unit_test(the_longest_numbers_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
