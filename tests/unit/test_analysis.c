/* The domain lists every problem once, measures of difficulty match their names, and slips are
 * located. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/arithmetic/analysis.h"
#include "dtrain/core/random.h"
#include "numbers.h"

static dt_config config_of(const char *ops, int64_t digits, int64_t dividend, int64_t divisor) {
    dt_config config = {.digits = digits, .dividend_digits = dividend, .divisor_digits = divisor};
    snprintf(config.ops, sizeof config.ops, "%s", ops);
    return config;
}

/* ---- the domain ---- */

static uint64_t end_of(int64_t digits) {
    uint64_t end = 1;
    for (int64_t i = 0; i < digits; i++) end *= 10;
    return end;
}

/* Compares all pairs of numbers, without arithmetic on indices. */
static uint64_t check_operation(const dt_config *config, uint64_t index, dt_operation operation,
                                int64_t digits_a, int64_t digits_b) {
    for (uint64_t a = 0; a < end_of(digits_a); a++) {
        for (uint64_t b = operation == DT_DIVIDE; b < end_of(digits_b); b++, index++) {
            dt_problem problem;
            dt_domain_problem(&problem, config, index);
            if (problem.operation != operation || wide_of(problem.a) != a ||
                wide_of(problem.b) != b) {
                fail_msg("problem %lu is not %lu%c%lu", index, a, "+-*/"[operation], b);
            }
            assert_int_equal(dt_problem_in_domain(&problem, config), DT_OK);
        }
    }
    return index;
}

static void check_domain(const char *ops, int64_t digits, int64_t dividend, int64_t divisor) {
    const dt_config config = config_of(ops, digits, dividend, divisor);
    uint64_t count, expected = 0;
    assert_int_equal(dt_domain_count(&count, &config), DT_OK);
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const bool divides = op == DT_DIVIDE;
        if (!strchr(ops, "+-*/"[op])) continue;
        expected = check_operation(&config, expected, (dt_operation)op, divides ? dividend : digits,
                                   divides ? divisor : digits);
    }
    assert_int_equal(count, expected);
}

static void every_problem_is_there_once(void **state) {
    (void)state;
    check_domain("+-*/", 1, 1, 1);
    check_domain("+-*/", 2, 3, 1);
    check_domain("/*", 1, 1, 2);
    check_domain("/", 3, 3, 2);
    check_domain("-", 2, 1, 1);
    check_domain("+-**///", 1, 2, 1); /* drawn twice as often, but listed once */
}

static void the_default_has_four_million(void **state) {
    (void)state;
    dt_config config;
    uint64_t count;
    dt_config_defaults(&config);
    assert_int_equal(dt_domain_count(&count, &config), DT_OK);
    assert_int_equal(count, 3 * 1000000 + 10000 * 99);
}

static void domains_without_end_are_refused(void **state) {
    (void)state;
    uint64_t count;
    dt_problem problem;
    const dt_config many = config_of("+", 8, 1, 1), largest = config_of("+", 7, 1, 1);
    const dt_config widest = config_of("+-*/", 36, 18, 18);
    assert_int_equal(dt_domain_count(&count, &many), DT_ERR_ARG);
    assert_non_null(strstr(dt_error_text(), "lower --digits"));
    assert_int_equal(dt_domain_count(&count, &widest), DT_ERR_ARG);
    assert_int_equal(dt_domain_count(&count, &largest), DT_OK);
    assert_int_equal(count, UINT64_C(100000000000000));
    dt_domain_problem(&problem, &largest, count - 1);
    assert_true(wide_of(problem.a) == 9999999 && wide_of(problem.b) == 9999999);
}

/* a+b and b+a are in the same split, for every problem of the domain. */
static void twins_share_a_split_over_the_whole_domain(void **state) {
    (void)state;
    const dt_config config = config_of("+-*", 2, 1, 1);
    uint64_t count;
    size_t of_split[DT_SPLITS] = {0}, differ = 0;
    assert_int_equal(dt_domain_count(&count, &config), DT_OK);
    for (uint64_t i = 0; i < count; i++) {
        dt_problem problem;
        dt_domain_problem(&problem, &config, i);
        const dt_problem twin = {problem.operation, problem.b, problem.a};
        const dt_split split = dt_problem_split(&problem);
        of_split[split]++;
        if (problem.operation == DT_SUBTRACT) {
            differ += dt_problem_split(&twin) != split;
        } else {
            assert_int_equal(dt_problem_split(&twin), split);
        }
    }
    assert_true(differ > 500); /* of 10,000 differences: these are not twins */
    assert_int_equal(of_split[DT_TRAIN] + of_split[DT_VALIDATION] + of_split[DT_TEST], count);
    assert_in_range(of_split[DT_VALIDATION], count * 4 / 100, count * 6 / 100);
    assert_in_range(of_split[DT_TEST], count * 4 / 100, count * 6 / 100);
}

/* ---- difficulty ---- */

static size_t digit_sum(wide n) {
    size_t sum = 0;
    const dt_number number = WIDE(n);
    const dt_decimal text = dt_decimal_of(&number);
    for (const char *c = text.text; *c; c++) sum += (size_t)(*c - '0');
    return sum;
}

/* Each carry replaces ten units of a place by one of the next: the sum of digits is nine less.
 * Source: Kummer 1852. */
static void check_carries(wide a, wide b) {
    const dt_problem sum = {DT_ADD, WIDE(a), WIDE(b)}, back = {DT_SUBTRACT, WIDE(a + b), WIDE(b)};
    const dt_problem negative = {DT_SUBTRACT, WIDE(b), WIDE(a + b)};
    const size_t carries = (digit_sum(a) + digit_sum(b) - digit_sum(a + b)) / 9;
    assert_int_equal(dt_difficulty(&sum), carries);
    assert_int_equal(dt_difficulty(&back), carries);
    assert_int_equal(dt_difficulty(&negative), carries);
}

static void carries_and_borrows_are_counted(void **state) {
    (void)state;
    for (wide a = 0; a < 1000; a += 7) {
        for (wide b = 0; b < 1000; b++) check_carries(a, b);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        uint32_t word[4];
        dt_random_block(word, 3, DT_RANDOM_TEST, 0, i);
        const uint64_t high = (uint64_t)word[1] << 32 | word[0];
        const uint64_t low = (uint64_t)word[3] << 32 | word[2];
        check_carries((wide)high * 1000000007, (wide)low * 99991);
    }
    assert_int_equal(dt_difficulty(&(dt_problem){DT_ADD, DT_NUMBER(999), DT_NUMBER(1)}), 3);
    assert_int_equal(dt_difficulty(&(dt_problem){DT_SUBTRACT, DT_NUMBER(1000), DT_NUMBER(1)}), 3);
    assert_int_equal(dt_difficulty(&(dt_problem){DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)}), 2);
    assert_int_equal(dt_difficulty(&(dt_problem){DT_DIVIDE, DT_NUMBER(5), DT_NUMBER(71)}), 1);
    assert_int_equal(dt_difficulty(&(dt_problem){DT_MULTIPLY, DT_NUMBER(99), DT_NUMBER(99)}), 0);
    assert_null(dt_difficulty_name(DT_MULTIPLY));
    assert_string_equal(dt_difficulty_name(DT_DIVIDE), "quotient_digits");
}

/* ---- slips ---- */

static void slips_are_found_where_they_are(void **state) {
    (void)state;
    static const char *const product = "2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+208470=208470$";
    static const char *const quotient =
        "241,482,865;602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100T10,0029;/=0029r10$";
    static const struct {
        const char *right, *produced;
        size_t kind, step;
    } known[] = {
        {product, "2bS9cS02,01cT1fO91+2j2j2,006aO4bO50+208470=20847", 0, 1},
        {product, "2bS9dS01,01cT1fO91+2j2j2,006aO4bO50+208470=20847", 0, 1},
        {product, "2bT9cS01,01cT1fO91+2j2j2,006aO4bO50+208470=20847", 0, 1},
        {product, "2b", 0, 1},
        {product, "", 0, 1},
        {product, "2bS9cS011,", 0, 1}, /* too long: the end of the part is missing */
        {product, "2bS9cS01=2901", 0, 1},
        {product, "2bS9cS01,01cT1fO91-", 0, 2},
        {product, "2bS9cS01,01cT1fO91+2,", 1, 2},
        {product, "2bS9cS01,01cT1fO91+2j2j2,006aO4cO50+208470=20847", 0, 3},
        {product, "2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+20847=20847", 1, 3},
        {product, "2bS9cS01,01cT1fO91+2j2j2,006aO4bO50=20848", 0, 3},
        {product, "2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+2084k0=20841", 1, 3},
        {product, "2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+208470=208471", DT_SLIP_COPY, 0},
        {quotient, "241,483,", 0, 1},
        {quotient, "241,482,865,", 0, 1},
        {quotient, "241,482,865;612,", 1, 2},
        {quotient, "241,482,865;6020", 1, 2},
        {quotient, "241,482,865;602,smq", 2, 2},
        {quotient, "241,482,865;602,smpB", 3, 2},
        {quotient, "241,482,865;602,smpA2lA", 2, 2},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttK", 3, 2},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM56,002", 4, 2},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM460", 4, 2},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,012", 5, 2},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002=", 5, 2},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002;/46", 1, 3},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100S", 3, 3},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100T1,", 4, 3},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100T10,0028", 5, 3},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100T10,0029;0", 1, 4},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100T10,0029;/1", 1, 4},
        {quotient, "241,482,865;602,smpA2ltC4p0G3ttM46,002;046,lq0BssqE03tJ100T10,0029;/=0029r20",
         DT_SLIP_COPY, 0},
        {"sq0=870$", "tq0=970", 0, 1},
        {"22t,sqj=-870$", "23t,", 0, 1},
        {"22t,sqj=-870$", "229=-87", 0, 1},
        {"22t,sqj=-870$", "22t=-87", 0, 1},
        {"22t,sqj=-870$", "22t,tqj=-970", 1, 2},
        {"22t,sqj=-870$", "22t,sq0=-870", 1, 2},
        {"22t,sqj=-870$", "22t,sqj,=-870", 1, 2},
        {"22t,sqj=-870$", "22t,sqj=-880", DT_SLIP_COPY, 0},
        {"onl1=5421$", "on21=5421", 0, 1},
        {"onl1=5421$", "onl=542", 0, 1},
        {"onl1=5421$", "onl1=5422", DT_SLIP_COPY, 0},
        {"975$", "976", DT_SLIP_ANSWER, 0},
        {"-87$", "87", DT_SLIP_ANSWER, 0},
        {"2bS9cS01=2901$", "2bS9cS01=2902", DT_SLIP_COPY, 0},
        {"2bS9cS01=2901$", "2bS8cS01=2801", 0, 1},
        {"2bS9cS01,01cT1fO91+2j2j2=20202.$", "2bS9cS01,01cT1fO91+2j2j2=20212.", DT_SLIP_COPY, 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const dt_slip slip = dt_slip_find(known[i].produced, known[i].right);
        if (slip.kind != known[i].kind || slip.step != known[i].step) {
            fail_msg("%s: part %zu of step %zu", known[i].produced, slip.kind, slip.step);
        }
    }
    assert_string_equal(dt_slip_name(DT_MULTIPLY, 1), "running sum");
    assert_string_equal(dt_slip_name(DT_SUBTRACT, 0), "difference");
    assert_string_equal(dt_slip_name(DT_SUBTRACT, 1), "complement");
    assert_string_equal(dt_slip_name(DT_DIVIDE, 3), "quotient digit");
    assert_string_equal(dt_slip_name(DT_DIVIDE, 4), "remainder of the step");
    assert_string_equal(dt_slip_name(DT_DIVIDE, 5), "quotient so far");
    assert_string_equal(dt_slip_name(DT_DIVIDE, DT_SLIP_COPY), "copy");
    assert_string_equal(dt_slip_name(DT_ADD, 0), "sum");
    assert_null(dt_slip_name(DT_ADD, 1));
}

/* ---- counts ---- */

static void counts_stand_where_they_belong(void **state) {
    (void)state;
    static dt_tally one;
    const dt_problem sum = {DT_ADD, DT_NUMBER(95), DT_NUMBER(7)},
                     quotient = {DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)};
    const dt_slip slip = {.kind = 1, .step = 2}, copy = {.kind = DT_SLIP_COPY};
    dt_tally_add(&one, &sum, true, true, NULL);
    dt_tally_add(&one, &quotient, false, false, &slip);
    dt_tally_add(&one, &quotient, false, false, &copy);
    dt_tally_add(&one, &quotient, true, false, NULL);
    const dt_count all = dt_tally_all(&one), divisions = dt_tally_operation(&one, DT_DIVIDE);
    assert_true(all.problems == 4 && all.right == 2 && all.text == 1);
    assert_true(divisions.problems == 3 && divisions.right == 1 && divisions.text == 0);
    assert_int_equal(one.length[DT_ADD][2][1].right, 1);
    assert_int_equal(one.length[DT_DIVIDE][4][2].problems, 3);
    assert_int_equal(one.difficulty[DT_ADD][2].problems, 1);
    assert_int_equal(one.difficulty[DT_DIVIDE][2].right, 1);
    assert_int_equal(one.split[DT_DIVIDE][dt_problem_split(&quotient)].problems, 3);
    assert_true(one.slip[DT_DIVIDE][1] == 1 && one.slip[DT_DIVIDE][DT_SLIP_COPY] == 1);
}

/* The last one holds all that is longer, so that no length leads past the end. */
static void each_length_has_a_place(void **state) {
    (void)state;
    for (size_t length = 1; length < 1000; length++) {
        const size_t index = dt_tally_index(length), longest = dt_tally_length(index);
        assert_true(index > 0 && index < DT_LENGTHS);
        assert_true(length > 210 ? longest == 210 : longest >= length && longest < length + 10);
        assert_true(length > 36 || longest == length);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_problem_is_there_once),
        cmocka_unit_test(the_default_has_four_million),
        cmocka_unit_test(domains_without_end_are_refused),
        cmocka_unit_test(twins_share_a_split_over_the_whole_domain),
        cmocka_unit_test(carries_and_borrows_are_counted),
        cmocka_unit_test(slips_are_found_where_they_are),
        cmocka_unit_test(counts_stand_where_they_belong),
        cmocka_unit_test(each_length_has_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
