/* Start marks: before each number and nowhere else, in every format; they are taken out again, and
 * tell by their place where a number begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"
#include "dtrain/arithmetic/source.h"

typedef struct {
    dt_format format;
    dt_problem problem;
    const char *prompt, *rest;
} known;

static const known texts[] = {
    {DT_FORMAT_PLAIN, {DT_ADD, DT_NUMBER(789), DT_NUMBER(456)}, "^789+^456=", "^1245$"},
    {DT_FORMAT_REVERSE, {DT_ADD, DT_NUMBER(789), DT_NUMBER(456)}, "^987+^654=", "^5421$"},
    {DT_FORMAT_REVERSE, {DT_SUBTRACT, DT_NUMBER(45), DT_NUMBER(123)}, "^54-^321=", "-^87$"},
    {DT_FORMAT_REVERSE, {DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)}, "^2060/^17=", "^29r^1$"},
    {DT_FORMAT_SCRATCHPAD, {DT_ADD, DT_NUMBER(789), DT_NUMBER(456)}, "^987+^654=", "^onl1=^5421$"},
    {DT_FORMAT_SCRATCHPAD,
     {DT_SUBTRACT, DT_NUMBER(45), DT_NUMBER(123)},
     "^54-^321=",
     "^22t,^sqj=-^870$"},
    {DT_FORMAT_SCRATCHPAD,
     {DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(74)},
     "^372*^47=",
     "^2bS9cS01,^01cT1fO91+^2j2j2=^20202$"},
    {DT_FORMAT_CHAT,
     {DT_ADD, DT_NUMBER(789), DT_NUMBER(456)},
     "What is ^987 plus ^654?",
     "^onl1=^5421.$"},
};
enum { TEXTS = sizeof texts / sizeof *texts };

static dt_config config_with(dt_format format, dt_marks marks) {
    dt_config config;
    dt_config_defaults(&config);
    config.format = format;
    config.marks = marks;
    return config;
}

/* A text whose question in words is in the first phrasing. */
static uint64_t first_phrasing(void) {
    uint64_t index = 0;
    while (dt_chat_phrasing(index) != 0) index++;
    return index;
}

static dt_text write_marked(const known *k) {
    dt_text text = {0};
    const dt_config config = config_with(k->format, DT_MARKS_START);
    assert_int_equal(dt_arithmetic_write(&text, &k->problem, &config, first_phrasing()), DT_OK);
    return text;
}

static void each_number_has_one(void **state) {
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        dt_text text = write_marked(&texts[i]);
        const size_t given = strlen(texts[i].prompt);
        assert_int_equal(text.prompt_length, given);
        assert_memory_equal(text.bytes, texts[i].prompt, given);
        assert_string_equal(text.bytes + given, texts[i].rest);
        dt_text_destroy(&text);
    }
}

/* What is left without them is the text of a run without marks. */
static void without_them_it_is_the_plain_text(void **state) {
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        const dt_config config = config_with(texts[i].format, DT_MARKS_NONE);
        dt_text marked = write_marked(&texts[i]), plain = {0};
        assert_int_equal(dt_arithmetic_write(&plain, &texts[i].problem, &config, first_phrasing()),
                         DT_OK);
        char left[512];
        size_t length = 0;
        for (const char *at = marked.bytes; *at; at++) {
            if (*at != '^') left[length++] = *at;
        }
        left[length] = '\0';
        assert_string_equal(left, plain.bytes);
        dt_text_destroy(&marked);
        dt_text_destroy(&plain);
    }
}

static bool is_right(const known *k, const char *produced) {
    const dt_config config = config_with(k->format, DT_MARKS_START);
    static int64_t tally[1 << 16];
    char copy[128];
    dt_source source;
    assert_int_equal(dt_source_open(&source, &config, NULL), DT_OK);
    assert_true(source.kind->tally_values <= sizeof tally / sizeof *tally);
    dt_text text = write_marked(k);
    snprintf(copy, sizeof copy, "%s", produced);
    const dt_answer answer = {.note = &text.note, .produced = copy};
    bool right = false;
    assert_int_equal(source.kind->judge(&right, tally, NULL, &source, &answer), DT_OK);
    dt_text_destroy(&text);
    dt_source_close(&source);
    return right;
}

static void an_answer_needs_them_where_they_belong(void **state) {
    (void)state;
    const known *sum = &texts[1], *difference = &texts[2], *worked = &texts[4];
    assert_true(is_right(sum, "^5421"));
    assert_false(is_right(sum, "5421"));
    assert_false(is_right(sum, "^^5421"));
    assert_false(is_right(sum, "^54^21"));
    assert_false(is_right(sum, "^5431"));
    assert_true(is_right(difference, "-^87"));
    assert_false(is_right(difference, "^-87"));
    assert_true(is_right(worked, "^onl1=^5421"));
    assert_false(is_right(worked, "^onl1=5421"));
}

/* The mark has place 1, the lowest digit 2, and what stands behind the number one more than its
 * last digit; a number and its mark share a position. */
static void they_have_the_first_place(void **state) {
    (void)state;
    dt_tokenizer *tokenizer;
    int32_t id[16], place[16], position[16];
    size_t count;
    assert_int_equal(dt_tokenizer_create(&tokenizer, DT_FORMAT_REVERSE, DT_MARKS_START), DT_OK);
    assert_int_equal(dt_tokenizer_encode(id, 16, &count, tokenizer, "^98+^7=^501", 11), DT_OK);
    assert_int_equal(count, 11);
    dt_tokenizer_places(position, place, NULL, tokenizer, id, count);
    static const int32_t places[] = {1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 4};
    static const int32_t positions[] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2};
    assert_memory_equal(place, places, sizeof places);
    assert_memory_equal(position, positions, sizeof positions);
    dt_tokenizer_destroy(&tokenizer);
}

/* In other vocabularies the character is one like others. */
static void it_is_no_mark_in_texts(void **state) {
    (void)state;
    static const char *const token[] = {"\n", "^", "1", "x"};
    dt_tokenizer *tokenizer;
    int32_t id[8], place[8], position[8];
    size_t count;
    assert_int_equal(dt_tokenizer_restore(&tokenizer, token, 4), DT_OK);
    assert_int_equal(dt_tokenizer_encode(id, 8, &count, tokenizer, "x^1x", 4), DT_OK);
    dt_tokenizer_places(position, place, NULL, tokenizer, id, count);
    static const int32_t places[] = {0, 0, 1, 2};
    assert_memory_equal(place, places, sizeof places);
    dt_tokenizer_destroy(&tokenizer);
}

/* The longest text and its places are those with marks. */
static void sizes_count_them(void **state) {
    (void)state;
    dt_config config = config_with(DT_FORMAT_REVERSE, DT_MARKS_START);
    memcpy(config.ops, "+", 2);
    assert_int_equal(dt_format_longest(&config), strlen("^999+^999=^8991$"));
    assert_int_equal(dt_format_places(&config), 6);
    config.format = DT_FORMAT_SCRATCHPAD;
    assert_int_equal(dt_format_longest(&config), strlen("^999+^999=^stt1=^8991$"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_has_one),
        cmocka_unit_test(without_them_it_is_the_plain_text),
        cmocka_unit_test(an_answer_needs_them_where_they_belong),
        cmocka_unit_test(they_have_the_first_place),
        cmocka_unit_test(it_is_no_mark_in_texts),
        cmocka_unit_test(sizes_count_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
