/* Tokens: the vocabularies, encoding and decoding, the longest match, and the places of digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"

static dt_tokenizer *create(dt_format format) {
    dt_tokenizer *tokenizer;
    assert_int_equal(dt_tokenizer_create(&tokenizer, format, DT_MARKS_NONE), DT_OK);
    return tokenizer;
}

static dt_tokenizer *restore(const char *const *token, size_t count) {
    dt_tokenizer *tokenizer;
    assert_int_equal(dt_tokenizer_restore(&tokenizer, token, count), DT_OK);
    return tokenizer;
}

static void vocabularies_are_in_their_fixed_order(void **state) {
    (void)state;
    static const char *const expected[] = {
        "$0123456789+-*/=r", "$0123456789+-*/=r",
        "$0123456789+-*/=r,;ABCDEFGHIJKLMNOPQRSTabcdefghijklmnopqst"};
    for (int format = 0; format <= DT_FORMAT_SCRATCHPAD; format++) {
        dt_tokenizer *tokenizer = create((dt_format)format);
        const size_t count = strlen(expected[format]);
        assert_int_equal(dt_tokenizer_size(tokenizer), count);
        for (size_t i = 0; i < count; i++) {
            const char token[] = {expected[format][i], '\0'};
            assert_string_equal(dt_tokenizer_token(tokenizer, (int32_t)i), token);
        }
        assert_null(dt_tokenizer_token(tokenizer, -1));
        assert_null(dt_tokenizer_token(tokenizer, (int32_t)count));
        dt_tokenizer_destroy(&tokenizer);
        assert_null(tokenizer);
    }
}

static void text_survives_the_way_there_and_back(void **state) {
    (void)state;
    static const char text[] =
        "2060/17=602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100T10,0029;/=0029r10$";
    dt_tokenizer *tokenizer = create(DT_FORMAT_SCRATCHPAD);
    int32_t id[80];
    size_t count;
    dt_text back = {0};
    assert_int_equal(dt_tokenizer_encode(id, 80, &count, tokenizer, text, strlen(text)), DT_OK);
    assert_int_equal(count, strlen(text));
    assert_int_equal(id[0], 3); /* "2" */
    assert_int_equal(id[count - 1], 0);
    assert_int_equal(dt_tokenizer_decode(&back, tokenizer, id, count), DT_OK);
    assert_string_equal(back.bytes, text);
    dt_text_clear(&back);
    assert_int_equal(dt_tokenizer_encode(id, 80, &count, tokenizer, "", 0), DT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(dt_tokenizer_decode(&back, tokenizer, id, 0), DT_OK);
    assert_string_equal(back.bytes, "");
    dt_text_destroy(&back);
    dt_tokenizer_destroy(&tokenizer);
}

static void the_longest_token_is_taken(void **state) {
    (void)state;
    static const char *const token[] = {"$", "足", "足す", "す", "は", "1", "12", "123", "4"};
    static const char mixed[] = "1234足す12足は1足足すす$";
    dt_tokenizer *tokenizer = restore(token, 9);
    static const int32_t expected[] = {7, 8, 2, 6, 1, 4, 5, 1, 2, 3, 0};
    int32_t id[16];
    size_t count;
    assert_int_equal(dt_tokenizer_encode(id, 16, &count, tokenizer, mixed, strlen(mixed)), DT_OK);
    assert_int_equal(count, 11);
    assert_memory_equal(id, expected, sizeof expected);
    dt_text back = {0};
    assert_int_equal(dt_tokenizer_decode(&back, tokenizer, id, count), DT_OK);
    assert_string_equal(back.bytes, mixed);
    dt_text_destroy(&back);
    dt_tokenizer_destroy(&tokenizer);
}

static void tokens_are_copied_and_compared(void **state) {
    (void)state;
    char first[] = "$", second[] = "ab";
    const char *const token[] = {first, second};
    dt_tokenizer *tokenizer = restore(token, 2), *shorter = restore(token, 1);
    dt_tokenizer *same = restore(token, 2);
    second[1] = 'c';
    dt_tokenizer *other = restore(token, 2);
    assert_string_equal(dt_tokenizer_token(tokenizer, 1), "ab");
    assert_true(dt_tokenizer_equal(tokenizer, same));
    assert_false(dt_tokenizer_equal(tokenizer, other));
    assert_false(dt_tokenizer_equal(tokenizer, shorter));
    assert_false(dt_tokenizer_equal(shorter, tokenizer));
    dt_tokenizer_destroy(&tokenizer);
    dt_tokenizer_destroy(&shorter);
    dt_tokenizer_destroy(&same);
    dt_tokenizer_destroy(&other);
    dt_tokenizer_destroy(&other);
}

static void damaged_vocabularies_are_refused(void **state) {
    (void)state;
    static const char *const twice[] = {"$", "12", "1", "2", "12"};
    static const char *const empty[] = {"$", "", ""};
    static const char *const missing[] = {"$", NULL};
    dt_tokenizer *tokenizer;
    assert_int_equal(dt_tokenizer_restore(&tokenizer, twice, 5), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "\"12\""));
    assert_null(tokenizer);
    assert_int_equal(dt_tokenizer_restore(&tokenizer, empty, 3), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "tokens 1 and 2"));
    assert_int_equal(dt_tokenizer_restore(&tokenizer, missing, 2), DT_ERR_DATA);
    assert_int_equal(dt_tokenizer_restore(&tokenizer, twice, 0), DT_ERR_DATA);
    assert_null(tokenizer);
}

static void what_does_not_fit_is_named(void **state) {
    (void)state;
    dt_tokenizer *tokenizer = create(DT_FORMAT_PLAIN);
    int32_t id[8];
    size_t count;
    dt_text text = {0};
    assert_int_equal(dt_tokenizer_encode(id, 8, &count, tokenizer, "12x", 3), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "byte 3 (0x78)"));
    assert_int_equal(dt_tokenizer_encode(id, 8, &count, tokenizer, "1,2", 3), DT_ERR_DATA);
    assert_int_equal(dt_tokenizer_encode(id, 8, &count, tokenizer, "\xff", 1), DT_ERR_DATA);
    assert_int_equal(dt_tokenizer_encode(id, 3, &count, tokenizer, "123", 3), DT_OK);
    assert_int_equal(dt_tokenizer_encode(id, 2, &count, tokenizer, "123", 3), DT_ERR_INTERNAL);
    id[1] = 17;
    assert_int_equal(dt_tokenizer_decode(&text, tokenizer, id, 3), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "17"));
    id[1] = -1;
    assert_int_equal(dt_tokenizer_decode(&text, tokenizer, id, 3), DT_ERR_DATA);
    dt_text_destroy(&text);
    dt_tokenizer_destroy(&tokenizer);
}

/* Checks the places for every prefix of the text. */
static void assert_places(const dt_tokenizer *tokenizer, const char *text, const int32_t *position,
                          const int32_t *place) {
    int32_t id[32], found_place[32], found_position[32];
    size_t count;
    assert_int_equal(dt_tokenizer_encode(id, 32, &count, tokenizer, text, strlen(text)), DT_OK);
    for (size_t seen = 1; seen <= count; seen++) {
        dt_tokenizer_places(found_position, found_place, NULL, tokenizer, id, seen);
        assert_memory_equal(found_place, place, seen * sizeof *place);
        assert_memory_equal(found_position, position, seen * sizeof *position);
    }
}

static void places_follow_from_what_stands_before(void **state) {
    (void)state;
    static const int32_t place[] = {1, 2, 3, 4, 1, 2, 0, 1, 2, 3, 4, 1, 2};
    static const int32_t before[] = {0, 0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4};
    dt_tokenizer *tokenizer = create(DT_FORMAT_SCRATCHPAD);
    assert_places(tokenizer, "102-7=-201,5$", before, place);
    dt_tokenizer_destroy(&tokenizer);
}

static void a_carry_stands_in_its_number(void **state) {
    (void)state;
    static const char text[] = "2bS9cS01,aS5AK4b3S$";
    static const int32_t place[] = {1, 2, 2, 2, 3, 3, 3, 4, 5, 0, 0, 1, 2, 0, 1, 2, 2, 3, 0};
    static const int32_t before[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 4, 5, 5, 5, 5, 6};
    dt_tokenizer *tokenizer = create(DT_FORMAT_SCRATCHPAD), *chat = create(DT_FORMAT_CHAT);
    assert_places(tokenizer, text, before, place);
    assert_places(chat, text, before, place);
    dt_tokenizer_destroy(&tokenizer);
    dt_tokenizer_destroy(&chat);
}

static void a_digit_that_carries_is_a_digit(void **state) {
    (void)state;
    static const char text[] = "jk5t,2bqr0s$";
    static const int32_t place[] = {1, 2, 3, 4, 5, 1, 2, 2, 3, 1, 2, 3};
    static const int32_t before[] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2};
    dt_tokenizer *tokenizer = create(DT_FORMAT_SCRATCHPAD);
    assert_places(tokenizer, text, before, place);
    dt_tokenizer_destroy(&tokenizer);
}

/* In lines of a file, letters are not carries. */
static void others_letters_are_no_carries(void **state) {
    (void)state;
    static const char *const token[] = {"$", "2", "b", "9", "j"};
    static const int32_t place[] = {1, 2, 1, 2, 0}, before[] = {0, 0, 1, 1, 2};
    dt_tokenizer *tokenizer = restore(token, 5);
    assert_places(tokenizer, "2b9j$", before, place);
    dt_tokenizer_destroy(&tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabularies_are_in_their_fixed_order),
        cmocka_unit_test(text_survives_the_way_there_and_back),
        cmocka_unit_test(the_longest_token_is_taken),
        cmocka_unit_test(tokens_are_copied_and_compared),
        cmocka_unit_test(damaged_vocabularies_are_refused),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(places_follow_from_what_stands_before),
        cmocka_unit_test(a_carry_stands_in_its_number),
        cmocka_unit_test(a_digit_that_carries_is_a_digit),
        cmocka_unit_test(others_letters_are_no_carries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
