/* Problems: drawn with known probabilities, in disjoint splits, in a new order in each epoch; read
 * and answered in normal notation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/arithmetic/format.h"
#include "numbers.h"

/* A product, because compilers do not accept literals of 36 digits. */
#define WIDEST ((wide)999999999999999999 * 1000000000000000001)

static dt_config config_of(const char *ops, int64_t digits) {
    dt_config config = {.seed = 7, .digits = digits, .dividend_digits = 4, .divisor_digits = 2};
    snprintf(config.ops, sizeof config.ops, "%s", ops);
    return config;
}

static dt_status parse(dt_problem *problem, const char *text) {
    const dt_line line = dt_line_of(text);
    return dt_problem_parse(problem, &line);
}

static dt_problem sample(const dt_config *config, dt_split split, uint64_t index) {
    dt_problem problem;
    assert_int_equal(dt_problem_sample(&problem, config, split, index), DT_OK);
    return problem;
}

/* A number for the problem, equal for twins such as 3+5 and 5+3; operands are below 10^9. */
static uint64_t key_of(dt_problem problem) {
    uint64_t a = problem.a.limb[0], b = problem.b.limb[0];
    if ((problem.operation == DT_ADD || problem.operation == DT_MULTIPLY) && a > b) {
        a = problem.b.limb[0];
        b = problem.a.limb[0];
    }
    return ((uint64_t)problem.operation * 1000000000 + a) * 1000000000 + b;
}

static int compare_keys(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

static double share(size_t part, size_t whole) { return (double)part / (double)whole; }

static void assert_share(double found, double expected, double tolerance, const char *what) {
    if (found < expected - tolerance || found > expected + tolerance) {
        fail_msg("%s: share %.4f, expected %.4f +- %.4f", what, found, expected, tolerance);
    }
}

/* ---- sampling ---- */

static void problems_are_functions_of_seed_split_and_index(void **state) {
    (void)state;
    dt_config config = config_of("+-*/", 3);
    size_t same_seed = 0, same_split = 0;
    enum { COUNT = 500 };
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_problem first = sample(&config, DT_TRAIN, i), again = sample(&config, DT_TRAIN, i);
        assert_int_equal(key_of(first), key_of(again));
        same_split += key_of(first) == key_of(sample(&config, DT_TEST, i));
        config.seed++;
        same_seed += key_of(first) == key_of(sample(&config, DT_TRAIN, i));
        config.seed--;
    }
    assert_true(same_seed < COUNT / 20);
    assert_int_equal(same_split, 0);
}

/* Other problems from the same seed would change a resumed run. */
static void problems_stay_what_they_were(void **state) {
    (void)state;
    const dt_config config = config_of("+-*/", 3);
    static const struct {
        dt_split split;
        uint64_t index;
        dt_problem problem;
    } known[] = {
        {DT_TRAIN, 0, {DT_ADD, DT_NUMBER(6), DT_NUMBER(317)}},
        {DT_TRAIN, UINT64_C(1) << 40, {DT_MULTIPLY, DT_NUMBER(754), DT_NUMBER(234)}},
        {DT_TRAIN, 2, {DT_SUBTRACT, DT_NUMBER(784), DT_NUMBER(400)}},
        {DT_TRAIN, 10, {DT_MULTIPLY, DT_NUMBER(5), DT_NUMBER(700)}},
        {DT_TRAIN, 19, {DT_SUBTRACT, DT_NUMBER(194), DT_NUMBER(34)}},
        {DT_VALIDATION, 2, {DT_DIVIDE, DT_NUMBER(2655), DT_NUMBER(26)}},
        {DT_TEST, 1, {DT_DIVIDE, DT_NUMBER(4657), DT_NUMBER(17)}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const dt_problem drawn = sample(&config, known[i].split, known[i].index);
        assert_int_equal(drawn.operation, known[i].problem.operation);
        assert_memory_equal(&drawn.a, &known[i].problem.a, sizeof drawn.a);
        assert_memory_equal(&drawn.b, &known[i].problem.b, sizeof drawn.b);
    }
}

static void splits_are_disjoint_with_twins(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    static uint64_t train[COUNT];
    const dt_config config = config_of("+-*/", 2);
    for (uint64_t i = 0; i < COUNT; i++) train[i] = key_of(sample(&config, DT_TRAIN, i));
    qsort(train, COUNT, sizeof *train, compare_keys);
    static uint64_t validation[COUNT / 4];
    for (uint64_t i = 0; i < COUNT / 4; i++) {
        validation[i] = key_of(sample(&config, DT_VALIDATION, i));
        assert_null(bsearch(&validation[i], train, COUNT, sizeof *train, compare_keys));
    }
    qsort(validation, COUNT / 4, sizeof *validation, compare_keys);
    for (uint64_t i = 0; i < COUNT / 4; i++) {
        const uint64_t key = key_of(sample(&config, DT_TEST, i));
        assert_null(bsearch(&key, train, COUNT, sizeof *train, compare_keys));
        assert_null(bsearch(&key, validation, COUNT / 4, sizeof *validation, compare_keys));
    }
}

static void splits_have_their_shares(void **state) {
    (void)state;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        size_t count[DT_SPLITS] = {0};
        for (uint64_t a = 0; a < 300; a++) {
            for (uint64_t b = 0; b < 300; b++) {
                count[dt_problem_split(
                    &(dt_problem){(dt_operation)op, DT_NUMBER(a), DT_NUMBER(b)})]++;
            }
        }
        assert_share(share(count[DT_VALIDATION], 90000), 0.05, 0.005, "validation");
        assert_share(share(count[DT_TEST], 90000), 0.05, 0.005, "test");
    }
}

static void one_digit_is_enough_for_every_split(void **state) {
    (void)state;
    for (const char *op = "+\0-\0*\0/\0"; *op; op += 2) {
        dt_config config = config_of(op, 1);
        config.dividend_digits = config.divisor_digits = 1;
        for (int split = 0; split < DT_SPLITS; split++) {
            for (uint64_t i = 0; i < 50; i++) {
                const dt_problem problem = sample(&config, (dt_split)split, i);
                assert_int_equal(dt_operation_symbol(problem.operation), *op);
                assert_int_equal(dt_problem_split(&problem), split);
                assert_true(wide_of(problem.a) < 10 && wide_of(problem.b) < 10);
            }
        }
    }
}

/* The share of d digits, if numbers have at most `most` digits (up to 4): 2 d - 1 in most^2. */
static double share_of_length(size_t d, size_t most) {
    return (double)(2 * d - 1) / (double)(most * most);
}

static void operations_and_lengths_have_their_shares(void **state) {
    (void)state;
    enum { COUNT = 90000 };
    size_t additions = 0, cell[3][3] = {{0}}, one_digit[10] = {0}, one_digit_all = 0;
    const dt_config config = config_of("++*", 3);
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_problem problem = sample(&config, DT_TRAIN, i);
        additions += problem.operation == DT_ADD;
        const wide a = wide_of(problem.a), b = wide_of(problem.b);
        cell[a < 10 ? 0 : a < 100 ? 1 : 2][b < 10 ? 0 : b < 100 ? 1 : 2]++;
        assert_true(a < 1000 && b < 1000);
        if (b < 10) {
            one_digit[b]++;
            one_digit_all++;
        }
    }
    assert_share(share(additions, COUNT), 2.0 / 3, 0.01, "additions");
    for (size_t i = 0; i < 9; i++) {
        const double expected = share_of_length(i / 3 + 1, 3) * share_of_length(i % 3 + 1, 3);
        assert_share(share(cell[i / 3][i % 3], COUNT), expected, 0.01, "lengths");
    }
    for (size_t i = 0; i < 10; i++) {
        assert_share(share(one_digit[i], one_digit_all), 0.1, 0.02, "one digit");
    }
}

/* This applies if numbers may have more than four digits. */
static void longer_operands_have_each_length_as_often(void **state) {
    (void)state;
    enum { COUNT = 40000, MOST = 5 };
    size_t length[MOST + 1] = {0};
    const dt_config config = config_of("+", MOST);
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_problem problem = sample(&config, DT_TRAIN, i);
        length[dt_digit_count(&problem.a)]++;
    }
    for (size_t digits = 1; digits <= MOST; digits++) {
        assert_share(share(length[digits], COUNT), 1.0 / MOST, 0.01, "length");
    }
}

static void divisions_have_all_kinds(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    size_t exact = 0, quotient_zero = 0, remainder = 0, longest = 0;
    const dt_config config = config_of("/", 3);
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_problem problem = sample(&config, DT_TRAIN, i);
        const wide a = wide_of(problem.a), b = wide_of(problem.b);
        assert_true(b > 0 && b < 100 && a < 10000);
        exact += a % b == 0 && a > 0;
        quotient_zero += a < b;
        remainder += a % b != 0;
        longest += a >= 1000 && b >= 10;
    }
    assert_share(share(exact, COUNT), 0.277, 0.01, "exact");
    assert_share(share(quotient_zero, COUNT), 0.093, 0.01, "quotient 0");
    assert_share(share(remainder, COUNT), 0.706, 0.01, "remainder");
    assert_share(share(longest, COUNT), share_of_length(4, 4) / 2, 0.01, "4 by 2 digits");
}

static size_t zeros_of(dt_number a) {
    size_t zeros = 0;
    const dt_decimal text = dt_decimal_of(&a);
    for (const char *c = text.text; *c; c++) zeros += *c == '0';
    return zeros;
}

/* With uniform digits, 19 % of three-digit numbers would have a zero, and 1 % two. This is the case
 * if numbers may have more than four digits. */
static void zeros_are_not_rare(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    const dt_config config = config_of("+*", 3), longer = config_of("+*", 5);
    size_t numbers = 0, one = 0, two = 0, others = 0, other_two = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_problem near = sample(&config, DT_TRAIN, i), far = sample(&longer, DT_TRAIN, i);
        const dt_number drawn[] = {near.a, near.b, far.a, far.b};
        for (size_t k = 0; k < 4; k++) {
            if (dt_digit_count(&drawn[k]) != 3) continue;
            *(k < 2 ? &numbers : &others) += 1;
            *(k < 2 ? &two : &other_two) += zeros_of(drawn[k]) == 2;
            one += k < 2 && zeros_of(drawn[k]) > 0;
        }
    }
    assert_share(share(one, numbers), 0.342, 0.01, "a zero");
    assert_share(share(two, numbers), 0.083, 0.005, "two zeros");
    assert_share(share(other_two, others), 0.01, 0.005, "two zeros in the longer domain");
}

/* With independent operands of three digits, one difference in 50 has one digit, with either sign;
 * 28 % have the same digit at one place. */
static void small_and_alike_differences_are_not_rare(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    size_t long_ones = 0, small = 0, negative = 0, alike = 0;
    const dt_config config = config_of("-", 3);
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_problem problem = sample(&config, DT_TRAIN, i);
        const wide a = wide_of(problem.a), b = wide_of(problem.b);
        assert_true(a < 1000 && b < 1000);
        if (a < 100 || b < 100) continue;
        const int64_t difference = (int64_t)a - (int64_t)b;
        long_ones++;
        small += difference > -10 && difference < 10;
        negative += difference > -10 && difference < 0;
        bool same = false;
        for (wide unit = 1; unit < 1000; unit *= 10) same |= a / unit % 10 == b / unit % 10;
        alike += same;
    }
    assert_share(share(small, long_ones), 0.123, 0.01, "small differences");
    assert_share(share(negative, long_ones), 0.041, 0.007, "small negative differences");
    assert_share(share(alike, long_ones), 0.498, 0.01, "the same digit at one place");
}

/* Beyond 64 bits: every length, every digit at every place, and the same shares of the splits as
 * for short numbers. */
static void long_operands_have_every_length_and_digit(void **state) {
    (void)state;
    enum { COUNT = 40000, MOST = 36 };
    static size_t length[MOST + 1], digit[MOST][10];
    size_t held_out = 0, twins = 0;
    const dt_config config = config_of("+", MOST);
    for (uint64_t i = 0; i < COUNT; i++) {
        const dt_problem problem = sample(&config, DT_TRAIN, i);
        const dt_problem twin = {DT_ADD, problem.b, problem.a};
        const dt_problem next = {DT_ADD, number_of(wide_of(problem.a) + ((wide)1 << 70)),
                                 problem.b};
        const dt_decimal a = dt_decimal_of(&problem.a);
        const size_t digits = strlen(a.text);
        length[digits]++;
        twins += dt_problem_split(&twin) == DT_TRAIN;
        held_out += dt_problem_split(&next) != DT_TRAIN;
        for (size_t k = 1; digits == MOST && k < MOST; k++) digit[k][a.text[k] - '0']++;
    }
    assert_int_equal(twins, COUNT);
    assert_share(share(held_out, COUNT), 0.1, 0.01, "held out");
    for (size_t digits = 1; digits <= MOST; digits++) {
        assert_share(share(length[digits], COUNT), 1.0 / MOST, 0.005, "length");
    }
    for (size_t k = 1; k < MOST; k++) {
        for (size_t d = 0; d < 10; d++) {
            assert_share(share(digit[k][d], length[MOST]), 0.1, 0.05, "digit");
        }
    }
}

static void long_numbers_are_read_as_they_are_written(void **state) {
    (void)state;
    const char *text = "123456789012345678901234567890123456+987654321098765432109876543210987654";
    dt_problem problem;
    char written[DT_PROBLEM_TEXT_MAX];
    size_t given;
    assert_int_equal(parse(&problem, text), DT_OK);
    assert_int_equal(dt_format_write(written, sizeof written, &given, &problem, DT_FORMAT_PLAIN),
                     DT_OK);
    assert_string_equal(written, "123456789012345678901234567890123456+"
                                 "987654321098765432109876543210987654="
                                 "1111111110111111111011111111101111110$");
}

static void every_epoch_is_a_fresh_permutation(void **state) {
    (void)state;
    enum { COUNT = 1000, EPOCHS = 3 };
    static uint64_t expected[COUNT], order[EPOCHS][COUNT], sorted[COUNT];
    dt_config config = config_of("+-*/", 3);
    for (uint64_t i = 0; i < COUNT; i++) {
        dt_problem problem;
        assert_int_equal(dt_problem_train(&problem, &config, i), DT_OK);
        expected[i] = key_of(sample(&config, DT_TRAIN, i));
        assert_int_equal(key_of(problem), expected[i]);
    }
    qsort(expected, COUNT, sizeof *expected, compare_keys);
    config.train_examples = COUNT;
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        size_t same = 0;
        for (uint64_t i = 0; i < COUNT; i++) {
            dt_problem problem;
            assert_int_equal(dt_problem_train(&problem, &config, epoch * COUNT + i), DT_OK);
            order[epoch][i] = key_of(problem);
            same += epoch > 0 && order[epoch][i] == order[epoch - 1][i];
        }
        memcpy(sorted, order[epoch], sizeof sorted);
        qsort(sorted, COUNT, sizeof *sorted, compare_keys);
        assert_memory_equal(sorted, expected, sizeof sorted);
        assert_true(same < COUNT / 20);
    }
}

static void sampling_refuses_unknown_operations(void **state) {
    (void)state;
    dt_problem problem;
    const dt_config none = config_of("", 3), power = config_of("^", 3);
    assert_int_equal(dt_problem_sample(&problem, &none, DT_TRAIN, 0), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "ops is empty"));
    assert_int_equal(dt_problem_sample(&problem, &power, DT_TRAIN, 0), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "'^'"));
}

/* ---- reading and answering ---- */

static void people_s_problems_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        dt_problem problem;
    } good[] = {
        {"273*274", {DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(274)}},
        {" 2060 / 71 ", {DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)}},
        {"12 - 3 =", {DT_SUBTRACT, DT_NUMBER(12), DT_NUMBER(3)}},
        {"12-3=\n", {DT_SUBTRACT, DT_NUMBER(12), DT_NUMBER(3)}},
        {"007+0", {DT_ADD, DT_NUMBER(7), DT_NUMBER(0)}},
        {"3×4", {DT_MULTIPLY, DT_NUMBER(3), DT_NUMBER(4)}},
        {"3 · 4", {DT_MULTIPLY, DT_NUMBER(3), DT_NUMBER(4)}},
        {"8÷2", {DT_DIVIDE, DT_NUMBER(8), DT_NUMBER(2)}},
        {"8−2", {DT_SUBTRACT, DT_NUMBER(8), DT_NUMBER(2)}},
        {"999999999999999999/0000000000000000000000001",
         {DT_DIVIDE, DT_NUMBER(999999999999999999), DT_NUMBER(1)}},
        {"１２＋３４＝？", {DT_ADD, DT_NUMBER(12), DT_NUMBER(34)}},
        {"1２／３", {DT_DIVIDE, DT_NUMBER(12), DT_NUMBER(3)}},
        {"\302\24012\342\200\257*\343\200\20034\342\200\213",
         {DT_MULTIPLY, DT_NUMBER(12), DT_NUMBER(34)}}, /* spaces */
        {"12*34=?", {DT_MULTIPLY, DT_NUMBER(12), DT_NUMBER(34)}},
        {"12*34 = ??", {DT_MULTIPLY, DT_NUMBER(12), DT_NUMBER(34)}},
        {"12*34.", {DT_MULTIPLY, DT_NUMBER(12), DT_NUMBER(34)}},
        {"12–34", {DT_SUBTRACT, DT_NUMBER(12), DT_NUMBER(34)}},
        {"12 ∗ 34", {DT_MULTIPLY, DT_NUMBER(12), DT_NUMBER(34)}},
        {"12 ⋅ 34", {DT_MULTIPLY, DT_NUMBER(12), DT_NUMBER(34)}},
        {"12∕34", {DT_DIVIDE, DT_NUMBER(12), DT_NUMBER(34)}},
        {"What is 12 + 34?", {DT_ADD, DT_NUMBER(12), DT_NUMBER(34)}},
        {"what's 12+34", {DT_ADD, DT_NUMBER(12), DT_NUMBER(34)}},
        {"HOW MUCH IS 12/34", {DT_DIVIDE, DT_NUMBER(12), DT_NUMBER(34)}},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        dt_problem problem;
        assert_int_equal(parse(&problem, good[i].text), DT_OK);
        assert_int_equal(problem.operation, good[i].problem.operation);
        assert_memory_equal(&problem.a, &good[i].problem.a, sizeof problem.a);
        assert_memory_equal(&problem.b, &good[i].problem.b, sizeof problem.b);
    }
}

static void what_is_no_problem_is_refused_with_a_sentence(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
        int column; /* of the caret */
    } bad[] = {
        {"", "a number is missing", 0},
        {"   ", "a number is missing", 3},
        {"12", "one of + - * / is missing", 2},
        {"12 +", "a number is missing", 4},
        {"x", "a number is missing", 0},
        {"1 2", "one of + - * / is missing", 2},
        {"1.5+2", "one of + - * / is missing", 1},
        {"-3+4", "operands are natural numbers", 0},
        {"3*-4", "operands are natural numbers", 2},
        {"3--4", "operands are natural numbers", 2},
        {"3×−4", "minus sign", 2},
        {"3+4+5", "something follows the problem", 3},
        {"3+4==", "something follows the problem", 4},
        {"3+4=7", "something follows the problem", 4},
        {"3+4?7", "something follows the problem", 4},
        {"3\x1b+4", "one of + - * / is missing", 1},
        {"3\xff", "one of + - * / is missing", 1},
        {"3\xc3", "one of + - * / is missing", 1},
        {"３＋\xa0", "a number is missing", 4}, /* two columns per character */
        {"What was 3+4", "a number is missing", 0},
        {"What is x", "a number is missing", 0},
        {"ääääääääääääääääääääääääääääääääääääääää", "a number is missing", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dt_problem problem = {DT_DIVIDE, DT_NUMBER(1), DT_NUMBER(2)};
        char caret[64];
        assert_int_equal(parse(&problem, bad[i].text), DT_ERR_ARG);
        snprintf(caret, sizeof caret, "\n  %*s^", bad[i].column, "");
        const char *said = dt_error_text(), *last = strrchr(said, '\n');
        if (!strstr(said, bad[i].says) || strcmp(last, caret) != 0)
            fail_msg("%s: %s", bad[i].text, said);
        assert_int_equal(problem.b.limb[0], 2);
    }
}

static void numbers_have_at_most_200_digits(void **state) {
    (void)state;
    char text[256];
    dt_problem problem;
    memset(text, '7', 201);
    memcpy(text + 201, "+1", 3);
    assert_int_equal(parse(&problem, text), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "more than the 200 digits"));
    assert_int_equal(parse(&problem, text + 1), DT_OK);
    const dt_decimal read = dt_decimal_of(&problem.a);
    text[201] = '\0';
    assert_string_equal(read.text, text + 1);
}

static void answers_are_as_people_write_them(void **state) {
    (void)state;
    static const struct {
        dt_problem problem;
        const char *answer;
    } known[] = {
        {{DT_ADD, DT_NUMBER(123), DT_NUMBER(456)}, "579"},
        {{DT_SUBTRACT, DT_NUMBER(45), DT_NUMBER(123)}, "-78"},
        {{DT_SUBTRACT, DT_NUMBER(5), DT_NUMBER(5)}, "0"},
        {{DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(274)}, "74802"},
        {{DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)}, "29 r 1"},
        {{DT_DIVIDE, DT_NUMBER(142), DT_NUMBER(71)}, "2 r 0"},
        {{DT_DIVIDE, DT_NUMBER(5), DT_NUMBER(71)}, "0 r 5"},
        {{DT_MULTIPLY, DT_NUMBER(999999999), DT_NUMBER(999999999)}, "999999998000000001"},
        {{DT_ADD, DT_NUMBER(999999999999999999), DT_NUMBER(999999999999999999)},
         "1999999999999999998"},
        {{DT_ADD, WIDE(WIDEST), WIDE(WIDEST)}, "1999999999999999999999999999999999998"},
        {{DT_SUBTRACT, DT_NUMBER(1), WIDE(WIDEST)}, "-999999999999999999999999999999999998"},
    };
    char text[64];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(dt_problem_answer(text, sizeof text, &known[i].problem), DT_OK);
        assert_string_equal(text, known[i].answer);
    }
    assert_int_equal(
        dt_problem_answer(text, sizeof text, &(dt_problem){DT_DIVIDE, DT_NUMBER(5), DT_NUMBER(0)}),
        DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "division by zero"));
    const dt_number many = dt_power_of_ten(DT_DIGITS_MAX), one = DT_NUMBER(1);
    const dt_problem too_wide[] = {
        {DT_ADD, many, one}, {DT_MULTIPLY, one, many}, {DT_DIVIDE, many, one}};
    static const char *const says[] = {"at most 200 digits", "at most 24 digits",
                                       "at most 18 digits"};
    for (size_t i = 0; i < sizeof too_wide / sizeof *too_wide; i++) {
        assert_int_equal(dt_problem_answer(text, sizeof text, &too_wide[i]), DT_ERR_ARG);
        assert_non_null(strstr(dt_error_text(), says[i]));
    }
    const dt_problem small = {DT_ADD, DT_NUMBER(123), DT_NUMBER(456)};
    assert_int_equal(dt_problem_answer(text, 3, &small), DT_ERR_INTERNAL);
    assert_int_equal(dt_problem_answer(text, 4, &small), DT_OK);
}

static void the_domain_names_what_lies_outside(void **state) {
    (void)state;
    const dt_config config = config_of("+/", 3);
    static const struct {
        dt_problem problem;
        const char *says; /* NULL: inside */
    } known[] = {
        {{DT_ADD, DT_NUMBER(999), DT_NUMBER(0)}, NULL},
        {{DT_DIVIDE, DT_NUMBER(9999), DT_NUMBER(99)}, NULL},
        {{DT_ADD, DT_NUMBER(1000), DT_NUMBER(1)}, "1000 has 4 digits"},
        {{DT_ADD, DT_NUMBER(1), DT_NUMBER(1000)}, "larger --digits"},
        {{DT_DIVIDE, DT_NUMBER(10000), DT_NUMBER(7)}, "larger --dividend-digits"},
        {{DT_DIVIDE, DT_NUMBER(7), DT_NUMBER(100)}, "larger --divisor-digits"},
        {{DT_DIVIDE, DT_NUMBER(7), DT_NUMBER(0)}, "division by zero"},
        {{DT_MULTIPLY, DT_NUMBER(7), DT_NUMBER(7)}, "trained on +/ only"},
        {{DT_SUBTRACT, DT_NUMBER(7), DT_NUMBER(7)}, "'-' among --ops"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const dt_status status = dt_problem_in_domain(&known[i].problem, &config);
        assert_int_equal(status, known[i].says ? DT_ERR_ARG : DT_OK);
        if (known[i].says && !strstr(dt_error_text(), known[i].says))
            fail_msg("%s", dt_error_text());
    }
}

static void settings_of_arithmetic_that_do_not_fit_are_refused(void **state) {
    (void)state;
    dt_config config = config_of("+%", 3);
    assert_int_equal(dt_arithmetic_check(&config), DT_ERR_ARG);
    assert_string_equal(dt_error_text(), "--ops \"+%\": use one or more of + - * and /");
    config = config_of("", 3);
    assert_int_equal(dt_arithmetic_check(&config), DT_ERR_ARG);
    config = config_of("+*", 25);
    assert_int_equal(dt_arithmetic_check(&config), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "--digits 25: operands of products"));
    config = config_of("+-/", 200);
    assert_int_equal(dt_arithmetic_check(&config), DT_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_are_functions_of_seed_split_and_index),
        cmocka_unit_test(problems_stay_what_they_were),
        cmocka_unit_test(splits_are_disjoint_with_twins),
        cmocka_unit_test(splits_have_their_shares),
        cmocka_unit_test(one_digit_is_enough_for_every_split),
        cmocka_unit_test(operations_and_lengths_have_their_shares),
        cmocka_unit_test(longer_operands_have_each_length_as_often),
        cmocka_unit_test(divisions_have_all_kinds),
        cmocka_unit_test(zeros_are_not_rare),
        cmocka_unit_test(small_and_alike_differences_are_not_rare),
        cmocka_unit_test(long_operands_have_every_length_and_digit),
        cmocka_unit_test(long_numbers_are_read_as_they_are_written),
        cmocka_unit_test(every_epoch_is_a_fresh_permutation),
        cmocka_unit_test(sampling_refuses_unknown_operations),
        cmocka_unit_test(people_s_problems_are_read),
        cmocka_unit_test(what_is_no_problem_is_refused_with_a_sentence),
        cmocka_unit_test(numbers_have_at_most_200_digits),
        cmocka_unit_test(answers_are_as_people_write_them),
        cmocka_unit_test(the_domain_names_what_lies_outside),
        cmocka_unit_test(settings_of_arithmetic_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
