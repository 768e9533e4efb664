/* Problems in words: every phrasing is written correctly, and questions that people type are
 * understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"

/* One problem of each operation, in all phrasings: the question in normal digit order, the model's
 * text (least significant digit first, except for dividends and quotients), and the answer in
 * normal digit order. */
static const struct {
    dt_problem problem;
    const char *answer;
    struct {
        const char *question, *asked, *produced, *sentence;
    } as[DT_PHRASINGS];
} known[] = {
    {{DT_ADD, DT_NUMBER(12), DT_NUMBER(340)},
     "352",
     {{"What is 12 plus 340?", "What is 21 plus 043?", "2530.$", "352."},
      {"How much is 12 plus 340?", "How much is 21 plus 043?", "It is 2530.$", "It is 352."},
      {"Add 12 and 340.", "Add 21 and 043.", "The sum is 2530.$", "The sum is 352."},
      {"What is the sum of 12 and 340?", "What is the sum of 21 and 043?", "The sum is 2530.$",
       "The sum is 352."},
      {"12足す340は？", "21足す043は？", "2530です。$", "352です。"},
      {"12たす340はいくつですか？", "21たす043はいくつですか？", "2530です。$", "352です。"},
      {"12に340を足すと？", "21に043を足すと？", "2530になります。$", "352になります。"},
      {"12と340の和は？", "21と043の和は？", "和は2530です。$", "和は352です。"}}},
    {{DT_SUBTRACT, DT_NUMBER(12), DT_NUMBER(340)},
     "-328",
     {{"What is 12 minus 340?", "What is 21 minus 043?", "-823.$", "-328."},
      {"How much is 12 minus 340?", "How much is 21 minus 043?", "It is -823.$", "It is -328."},
      {"Subtract 340 from 12.", "Subtract 043 from 21.", "The difference is -823.$",
       "The difference is -328."},
      {"What is left of 12 without 340?", "What is left of 21 without 043?",
       "What is left is -823.$", "What is left is -328."},
      {"12引く340は？", "21引く043は？", "-823です。$", "-328です。"},
      {"12ひく340はいくつですか？", "21ひく043はいくつですか？", "-823です。$", "-328です。"},
      {"12から340を引くと？", "21から043を引くと？", "-823になります。$", "-328になります。"},
      {"12から340を引いた差は？", "21から043を引いた差は？", "差は-823です。$", "差は-328です。"}}},
    {{DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(4)},
     "1092",
     {{"What is 273 times 4?", "What is 372 times 4?", "2bS9cS01=2901.$", "1092."},
      {"How much is 273 times 4?", "How much is 372 times 4?", "2bS9cS01=It is 2901.$",
       "It is 1092."},
      {"Multiply 273 by 4.", "Multiply 372 by 4.", "2bS9cS01=The product is 2901.$",
       "The product is 1092."},
      {"What is the product of 273 and 4?", "What is the product of 372 and 4?",
       "2bS9cS01=The product is 2901.$", "The product is 1092."},
      {"273掛ける4は？", "372掛ける4は？", "2bS9cS01=2901です。$", "1092です。"},
      {"273かける4はいくつですか？", "372かける4はいくつですか？", "2bS9cS01=2901です。$",
       "1092です。"},
      {"273に4を掛けると？", "372に4を掛けると？", "2bS9cS01=2901になります。$",
       "1092になります。"},
      {"273と4の積は？", "372と4の積は？", "2bS9cS01=積は2901です。$", "積は1092です。"}}},
    {{DT_DIVIDE, DT_NUMBER(160), DT_NUMBER(7)},
     "22 r 6",
     {{"What is 160 divided by 7?", "What is 160 divided by 7?", "022 remainder 6.$",
       "22 remainder 6."},
      {"How much is 160 divided by 7?", "How much is 160 divided by 7?", "It is 022 remainder 6.$",
       "It is 22 remainder 6."},
      {"Divide 160 by 7.", "Divide 160 by 7.", "The quotient is 022, the remainder 6.$",
       "The quotient is 22, the remainder 6."},
      {"How often does 7 go into 160?", "How often does 7 go into 160?",
       "022 times, and 6 is left.$", "22 times, and 6 is left."},
      {"160割る7は？", "160割る7は？", "022余り6です。$", "22余り6です。"},
      {"160わる7はいくつですか？", "160わる7はいくつですか？", "022あまり6です。$",
       "22あまり6です。"},
      {"160を7で割ると？", "160を7で割ると？", "022余り6になります。$", "22余り6になります。"},
      {"160を7で割った商と余りは？", "160を7で割った商と余りは？", "商は022、余りは6です。$",
       "商は22、余りは6です。"}}},
};
enum { KNOWN = sizeof known / sizeof *known };

static void every_phrasing_is_written(void **state) {
    (void)state;
    for (size_t k = 0; k < KNOWN; k++) {
        for (size_t i = 0; i < DT_PHRASINGS; i++) {
            char text[DT_PROBLEM_TEXT_MAX], answer[64], sentence[128];
            size_t given;
            assert_int_equal(
                dt_format_write_as(text, sizeof text, &given, &known[k].problem, DT_FORMAT_CHAT, i),
                DT_OK);
            assert_int_equal(given, strlen(known[k].as[i].asked));
            assert_memory_equal(text, known[k].as[i].asked, given);
            /* tests/unit/test_format.c tests longer workings. */
            const dt_operation operation = known[k].problem.operation;
            const char *produced = text + given;
            if (operation != DT_MULTIPLY) produced = strrchr(produced, '=') + 1;
            assert_string_equal(produced, known[k].as[i].produced);
            assert_int_equal(dt_format_answer(answer, sizeof answer, text + given,
                                              &known[k].problem, DT_FORMAT_CHAT),
                             DT_OK);
            assert_string_equal(answer, known[k].answer);
            dt_chat_sentence(sentence, sizeof sentence, answer, known[k].problem.operation, i);
            assert_string_equal(sentence, known[k].as[i].sentence);
        }
    }
}

static bool read_words(dt_problem *problem, size_t *phrasing, const char *text) {
    const dt_line line = dt_line_of(text);
    return dt_chat_read(problem, phrasing, &line);
}

static void assert_read(const char *text, const dt_problem *problem, size_t phrasing) {
    dt_problem read = {DT_ADD, DT_NUMBER(0), DT_NUMBER(0)};
    size_t as = DT_PHRASINGS;
    if (!read_words(&read, &as, text)) fail_msg("not understood: %s", text);
    assert_int_equal(read.operation, problem->operation);
    assert_memory_equal(&read.a, &problem->a, sizeof read.a);
    assert_memory_equal(&read.b, &problem->b, sizeof read.b);
    assert_int_equal(as, phrasing);
}

static void every_question_is_read(void **state) {
    (void)state;
    for (size_t k = 0; k < KNOWN; k++) {
        for (size_t i = 0; i < DT_PHRASINGS; i++)
            assert_read(known[k].as[i].question, &known[k].problem, i);
    }
}

static void people_may_write_as_they_like(void **state) {
    (void)state;
    const dt_problem sum = {DT_ADD, DT_NUMBER(12), DT_NUMBER(34)},
                     quotient = {DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)};
    assert_read("what is 12 plus 34", &sum, 0);
    assert_read("  WHAT  IS 12 PLUS 0034 ??\n", &sum, 0);
    assert_read("add 12 and 34!", &sum, 2);
    assert_read("12 plus 34", &sum, 0);
    assert_read("2060 divided by 71?", &quotient, 0);
    assert_read("12\343\200\200plus\302\24034", &sum, 0);
    assert_read("１２足す３４は？", &sum, 4);
    assert_read("12 足す 34 は", &sum, 4);
    assert_read("12　足す　34は?", &sum, 4);
    assert_read("Ｗｈａｔ ｉｓ １２ ｐｌｕｓ ３４？", &sum, 0);
    assert_read("how often does 71 go into 2060", &quotient, 3);
    assert_read("What is 000000000000000000000000000000000000000000012 plus 34?", &sum, 0);
    assert_read("2060を71で割ると。", &quotient, 6);
}

static void other_text_is_no_question(void **state) {
    (void)state;
    static const char *const other[] = {
        "",
        "?",
        "12+34",
        "What is plus 34?",
        "What is 12 plus?",
        "What is 1 2 plus 34?",
        "What is -12 plus 34?",
        "What is 12 plus -34?",
        "What is 12 plus 34 plus 5?",
        "What is 12 plus 34? And now?",
        "12足す34",
        "足す34は？",
        "12足す34は\xe3\x81",
        "\xff\xfe",
        "What is 12 plus 34                                                                        "
        "x                                                                                        ",
    };
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        dt_problem problem = {DT_DIVIDE, DT_NUMBER(1), DT_NUMBER(2)};
        size_t phrasing = 77;
        if (read_words(&problem, &phrasing, other[i])) fail_msg("understood: %s", other[i]);
        assert_int_equal(problem.b.limb[0], 2);
        assert_int_equal(phrasing, 77);
    }
    char long_text[4000];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    dt_problem problem;
    size_t phrasing;
    assert_false(read_words(&problem, &phrasing, long_text));
}

static void sentences_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        dt_operation operation;
        const char *produced;
    } wrong[] = {
        {DT_ADD, "=640$"},
        {DT_ADD, "=."},
        {DT_ADD, "=-640.$"},
        {DT_ADD, "=It is 640$"},
        {DT_ADD, "=The 640.$"},
        {DT_ADD, "=640.640.$"},
        {DT_ADD, "=6 40.$"},
        {DT_ADD, "=64.$"},
        {DT_ADD, "=6400.$"},
        {DT_ADD, "=640です.$"},
        {DT_ADD, "640.$"},
        {DT_SUBTRACT, "=-00.$"},
        {DT_SUBTRACT, "=--50.$"},
        {DT_SUBTRACT, "-50.$"},
        {DT_MULTIPLY, "2901.$"},
        {DT_MULTIPLY, "2bS9cS01=$"},
        {DT_DIVIDE, "=22.$"},
        {DT_DIVIDE, "=2余り60です。$"},
        {DT_DIVIDE, "=22 remainder .$"},
        {DT_DIVIDE, "=22r60.$"},
        {DT_DIVIDE, "=02余り6です。$"},
        {DT_DIVIDE, "=022余り60です。$"},
        {DT_ADD, "=111111111111111111111111111111111111111111111111111111111111111111111.$"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char answer[64];
        const dt_problem problem = {wrong[i].operation, DT_NUMBER(12), DT_NUMBER(34)};
        if (dt_format_answer(answer, sizeof answer, wrong[i].produced, &problem, DT_FORMAT_CHAT) !=
            DT_ERR_DATA) {
            fail_msg("%s is read as %s", wrong[i].produced, answer);
        }
        assert_string_equal(answer, "");
    }
}

/* The phrasing depends on the number alone, and all phrasings are about equally frequent. */
static void phrasings_follow_from_the_number(void **state) {
    (void)state;
    enum { COUNT = 80000 };
    size_t count[DT_PHRASINGS] = {0}, again = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        const size_t phrasing = dt_chat_phrasing(i);
        assert_true(phrasing < DT_PHRASINGS && phrasing == dt_chat_phrasing(i));
        count[phrasing]++;
        again += i > 0 && phrasing == dt_chat_phrasing(i - 1);
    }
    for (size_t i = 0; i < DT_PHRASINGS; i++) assert_in_range(count[i], 9600, 10400);
    assert_in_range(again, 9600, 10400);
    /* Other phrasings would change a resumed run. */
    static const size_t first[] = {4, 3, 4, 1, 0, 0, 3, 7, 1, 6, 5, 6};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        assert_int_equal(dt_chat_phrasing(i), first[i]);
}

/* One token per character, in each language. */
static void all_phrasings_have_tokens(void **state) {
    (void)state;
    dt_tokenizer *tokenizer;
    dt_text back = {0};
    assert_int_equal(dt_tokenizer_create(&tokenizer, DT_FORMAT_CHAT, DT_MARKS_NONE), DT_OK);
    assert_string_equal(dt_tokenizer_token(tokenizer, 0), "$");
    for (size_t k = 0; k < KNOWN; k++) {
        for (size_t i = 0; i < DT_PHRASINGS; i++) {
            char text[DT_PROBLEM_TEXT_MAX];
            int32_t id[DT_PROBLEM_TEXT_MAX];
            size_t given, count, characters = 0;
            assert_int_equal(
                dt_format_write_as(text, sizeof text, &given, &known[k].problem, DT_FORMAT_CHAT, i),
                DT_OK);
            for (const char *c = text; *c; c++) characters += (*c & 0xc0) != 0x80;
            assert_int_equal(
                dt_tokenizer_encode(id, DT_PROBLEM_TEXT_MAX, &count, tokenizer, text, strlen(text)),
                DT_OK);
            assert_int_equal(count, characters);
            dt_text_clear(&back);
            assert_int_equal(dt_tokenizer_decode(&back, tokenizer, id, count), DT_OK);
            assert_string_equal(back.bytes, text);
        }
    }
    dt_text_destroy(&back);
    dt_tokenizer_destroy(&tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phrasing_is_written),
        cmocka_unit_test(every_question_is_read),
        cmocka_unit_test(people_may_write_as_they_like),
        cmocka_unit_test(other_text_is_no_question),
        cmocka_unit_test(sentences_are_read_strictly),
        cmocka_unit_test(phrasings_follow_from_the_number),
        cmocka_unit_test(all_phrasings_have_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
