/* Formats: an independent reader checks the written text and computes every step again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/random.h"
#include "numbers.h"
#include "written.h"

static void assert_written(dt_problem problem, dt_format format, const char *expected) {
    char text[DT_PROBLEM_TEXT_MAX];
    const size_t prompt = write_problem(text, &problem, format);
    assert_string_equal(text, expected);
    assert_int_equal(prompt, strchr(expected, '=') - expected + 1);
}

static void texts_are_as_the_design_shows(void **state) {
    (void)state;
    const dt_format plain = DT_FORMAT_PLAIN, reverse = DT_FORMAT_REVERSE,
                    work = DT_FORMAT_SCRATCHPAD;
    const dt_problem sum = {DT_ADD, DT_NUMBER(123), DT_NUMBER(456)},
                     difference = {DT_SUBTRACT, DT_NUMBER(45), DT_NUMBER(123)};
    const dt_problem product = {DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(274)},
                     quotient = {DT_DIVIDE, DT_NUMBER(2060), DT_NUMBER(71)};
    assert_written(sum, plain, "123+456=579$");
    assert_written(difference, plain, "45-123=-78$");
    assert_written(product, plain, "273*274=74802$");
    assert_written(quotient, plain, "2060/71=29r1$");
    assert_written(sum, reverse, "321+654=975$");
    assert_written(difference, reverse, "54-321=-87$");
    assert_written(product, reverse, "372*472=20847$");
    assert_written(quotient, reverse, "2060/17=29r1$");
    assert_written((dt_problem){DT_DIVIDE, DT_NUMBER(2083), DT_NUMBER(71)}, reverse,
                   "2083/17=29r42$");
    assert_written(sum, work, "321+654=9750=9750$");
    assert_written((dt_problem){DT_ADD, DT_NUMBER(789), DT_NUMBER(456)}, work,
                   "987+654=onl1=5421$");
    assert_written((dt_problem){DT_ADD, DT_NUMBER(999), DT_NUMBER(1)}, work, "999+1=jjj1=0001$");
    assert_written((dt_problem){DT_ADD, DT_NUMBER(0), DT_NUMBER(0)}, work, "0+0=00=00$");
    assert_written(difference, work, "54-321=22t,sqj=-870$");
    assert_written((dt_problem){DT_SUBTRACT, DT_NUMBER(123), DT_NUMBER(45)}, work,
                   "321-54=sq0=870$");
    assert_written(product, work, "372*472=2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+208470=208470$");
    assert_written(quotient, work,
                   "2060/17=241,482,865;020,lonApmqCsqsFtntK02,00;602,smpA2ltC4p0G3ttM46,002;"
                   "046,lq0BssqE03tJ100T10,0029;/=0029r10$");
    assert_written((dt_problem){DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(4)}, work,
                   "372*4=2bS9cS01=2901$");
    assert_written((dt_problem){DT_MULTIPLY, DT_NUMBER(273), DT_NUMBER(104)}, work,
                   "372*401=2bS9cS01,00aK0aK00+29010,003aR7aM20+293820=293820$");
    assert_written((dt_problem){DT_MULTIPLY, DT_NUMBER(0), DT_NUMBER(10)}, work,
                   "0*01=00,000+000=000$");
    assert_written((dt_problem){DT_DIVIDE, DT_NUMBER(5), DT_NUMBER(71)}, work,
                   "5/17=241,482,865;500,qmnA1lqC3psF4mtK50,0;/=0r50$");
    assert_written(
        (dt_problem){DT_DIVIDE, DT_NUMBER(105), DT_NUMBER(7)}, work,
        "105/7=41,82,65;10,onAmqCqsFntK1,0;01,noAlsCptFm0L3,01;53,tqAq0D3tH00P0,015;/=015r0$");
}

/* ---- the independent reader ---- */

typedef struct {
    const char *at;
    bool failed;
} reader;

static void expect(reader *in, char c) {
    if (*in->at == c) {
        in->at++;
    } else {
        in->failed = true;
    }
}

/* A number without leading zeros, least significant digit first if `reversed`. */
static uint64_t take(reader *in, bool reversed) {
    char digits[32] = {0};
    const size_t count = strspn(in->at, "0123456789");
    if (count == 0 || count > 19) {
        in->failed = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) digits[i] = in->at[reversed ? count - 1 - i : i];
    if (count > 1 && digits[0] == '0') in->failed = true;
    in->at += count;
    return strtoull(digits, NULL, 10);
}

/* `width` digits, the least significant first. */
static uint64_t take_padded(reader *in, size_t width) {
    uint64_t number = 0;
    in->failed |= strspn(in->at, "0123456789") < width;
    for (size_t i = width; !in->failed && i > 0; i--) {
        number = number * 10 + (uint64_t)(in->at[i - 1] - '0');
    }
    if (!in->failed) in->at += width;
    return number;
}

static size_t length_of(uint64_t number) { return (size_t)snprintf(NULL, 0, "%" PRIu64, number); }

/* a times a digit: the units of each place as digits; as letters, the carried tens and the units
 * that they are added to; the last tens as a digit. */
static uint64_t take_partial(reader *in, uint64_t a, uint64_t digit) {
    char units[32] = {0};
    uint64_t tens = 0, places = length_of(a);
    for (uint64_t i = 0; i < places; i++, a /= 10) {
        const uint64_t product = a % 10 * digit + tens;
        if (i > 0) expect(in, "KLMNOPQRST"[a % 10 * digit % 10]);
        tens = (product - product % 10) / 10;
        units[i] = *in->at;
        expect(in, "0123456789"[product % 10]);
        if (i + 1 < places) expect(in, "abcdefghi"[tens]);
    }
    units[places] = *in->at;
    expect(in, "0123456789"[tens]);
    reader digits = {units, in->failed};
    return take_padded(&digits, places + 1);
}

static uint64_t power_of_ten(size_t n) { return n == 0 ? 1 : 10 * power_of_ten(n - 1); }

/* All digits up to a place decide whether it carries or borrows; if so, its digit is written as a
 * letter. */
static void check_carried(reader *in, uint64_t a, char sign, uint64_t b, size_t width) {
    for (size_t i = 0; i < width; i++) {
        const uint64_t scale = power_of_ten(i), end = 10 * scale;
        const uint64_t low_a = a % end, low_b = sign == '+' ? b % end : end - b % end;
        const bool over = low_a >= end - low_b, carries = over == (sign == '+');
        const uint64_t low = over ? low_a - (end - low_b) : low_a + low_b;
        expect(in, (carries ? "jklmnopqst" : "0123456789")[low / scale]);
    }
}

static void check_difference(reader *in, uint64_t a, uint64_t b) {
    const size_t width = length_of(a > b ? a : b);
    check_carried(in, a, '-', b, width);
    if (a >= b) return;
    expect(in, ',');
    check_carried(in, 0, '-', power_of_ten(width) + a - b, width);
}

static void check_product_steps(reader *in, uint64_t a, uint64_t b) {
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRIu64, b);
    uint64_t sum = 0, shift = 1;
    for (size_t k = 0; k < strlen(digits); k++, shift *= 10) {
        const uint64_t digit = (uint64_t)(digits[strlen(digits) - 1 - k] - '0');
        if (k > 0) expect(in, ',');
        for (size_t zero = 0; zero < k; zero++) expect(in, '0');
        const uint64_t partial = take_partial(in, a, digit);
        in->failed |= partial != a * digit;
        if (k > 0) {
            expect(in, '+');
            check_carried(in, sum, '+', partial * shift, length_of(a) + 1 + k);
        }
        sum += partial * shift;
    }
    in->failed |= sum != a * b;
}

/* One digit of the quotient with its letters; returns the remainder. */
static uint64_t check_quotient_digit(reader *in, uint64_t rest, uint64_t b, char *digit) {
    const size_t width = length_of(b) + 1;
    /* Offsets in the alphabet: for digits so far that are multiples of 8, then of 4, 2 and 1. */
    static const uint64_t letters_before[] = {10, 5, 2, 0};
    uint64_t sum = 0;
    in->failed |= take_padded(in, width) != rest;
    expect(in, ',');
    for (int bit = 3; bit >= 0; bit--) {
        const uint64_t factor = UINT64_C(1) << bit;
        check_carried(in, rest, '-', factor * b, width);
        if (rest >= factor * b) {
            rest -= factor * b;
            sum += factor;
        }
        expect(in, (char)('A' + letters_before[bit] + sum / factor));
    }
    *digit = (char)('0' + sum);
    in->failed |= rest >= b || take_padded(in, width - 1) != rest;
    expect(in, ',');
    return rest;
}

/* The digits found so far; the last one is at the place of the dividend's digit `used`. */
static void check_quotient(reader *in, const char *digits, size_t used, char end) {
    for (size_t i = strlen(digits); i < used; i++) expect(in, '0');
    for (; *digits; digits++) expect(in, *digits);
    expect(in, end);
}

static void check_quotient_steps(reader *in, uint64_t a, uint64_t b) {
    char dividend[32], digits[32] = {0};
    snprintf(dividend, sizeof dividend, "%" PRIu64, a);
    const size_t given = strlen(dividend);
    for (uint64_t factor = 2; factor <= 8; factor *= 2) {
        in->failed |= take_padded(in, length_of(b) + 1) != factor * b;
        expect(in, factor < 8 ? ',' : ';');
    }
    size_t used = 0, step = 0;
    uint64_t rest = 0;
    for (; used < given && used + 1 < length_of(b); used++) {
        rest = rest * 10 + (uint64_t)(dividend[used] - '0');
    }
    if (used == given) { /* shorter than the divisor: one step takes it all */
        rest = check_quotient_digit(in, rest, b, digits);
        check_quotient(in, digits, used, ';');
    }
    for (; used < given; used++, step++) {
        rest = rest * 10 + (uint64_t)(dividend[used] - '0');
        rest = check_quotient_digit(in, rest, b, &digits[step]);
        check_quotient(in, digits, used + 1, ';');
    }
    expect(in, '/');
    in->failed |= strtoull(digits, NULL, 10) != a / b || rest != a % b;
}

/* width > 0: the number has exactly this many digits. */
static void check_number(reader *in, uint64_t number, bool reversed, size_t width) {
    in->failed |= (width > 0 ? take_padded(in, width) : take(in, reversed)) != number;
}

static void check_answer(reader *in, const dt_problem *problem, bool reversed, bool padded) {
    const uint64_t a = problem->a.limb[0], b = problem->b.limb[0];
    const size_t longer = length_of(a > b ? a : b);
    switch (problem->operation) {
    case DT_ADD: check_number(in, a + b, reversed, padded ? longer + 1 : 0); break;
    case DT_SUBTRACT:
        if (b > a) expect(in, '-');
        check_number(in, a > b ? a - b : b - a, reversed, padded ? longer : 0);
        break;
    case DT_MULTIPLY:
        check_number(in, a * b, reversed, padded ? length_of(a) + length_of(b) : 0);
        break;
    default:
        if (padded) {
            char quotient[32];
            snprintf(quotient, sizeof quotient, "%" PRIu64, a / b);
            check_quotient(in, quotient, length_of(a), 'r');
            in->failed |= take_padded(in, length_of(b)) != a % b;
        } else {
            in->failed |= take(in, false) != a / b;
            expect(in, 'r');
            in->failed |= take(in, reversed) != a % b;
        }
    }
}

static void skip_words(reader *in) { in->at += strcspn(in->at, "-0123456789$"); }

/* The words decide which operand comes first: tests/unit/test_chat.c. */
static bool reads_as(reader in, uint64_t number, bool reversed) {
    return take(&in, reversed) == number && !in.failed;
}

/* Two numbers in words, in either order; the dividend's digits are in normal order. */
static void check_words(reader *in, uint64_t a, uint64_t b, bool divides) {
    skip_words(in);
    const reader first = *in;
    in->at += strspn(in->at, "0123456789");
    skip_words(in);
    in->failed |= !(reads_as(first, a, !divides) && reads_as(*in, b, true)) &&
                  !(reads_as(first, b, true) && reads_as(*in, a, !divides));
}

/* Removes the words from an answer: "The quotient is 29, the remainder 1.$" -> "29r1$". */
static void strip_words(char plain[64], const char *sentence) {
    reader in = {sentence, false};
    plain[0] = '\0';
    for (skip_words(&in); *in.at; skip_words(&in)) {
        if (*in.at != '$' && plain[0]) strcat(plain, "r");
        const size_t count = *in.at == '$' ? 1 : strspn(in.at, "-0123456789");
        if (strlen(plain) + count < 60) strncat(plain, in.at, count);
        in.at += count;
    }
}

static bool is_right(const char *text, size_t prompt, const dt_problem *problem, dt_format format) {
    const uint64_t a = problem->a.limb[0], b = problem->b.limb[0];
    const bool reversed = format != DT_FORMAT_PLAIN;
    reader in = {text, false};
    if (format == DT_FORMAT_CHAT) {
        check_words(&in, a, b, problem->operation == DT_DIVIDE);
        in.at = text + prompt;
    } else {
        in.failed |= take(&in, reversed && problem->operation != DT_DIVIDE) != a;
        expect(&in, "+-*/"[problem->operation]);
        in.failed |= take(&in, reversed) != b;
        expect(&in, '=');
    }
    if (format >= DT_FORMAT_SCRATCHPAD) {
        switch (problem->operation) {
        case DT_ADD: check_carried(&in, a, '+', b, length_of(a > b ? a : b) + 1); break;
        case DT_SUBTRACT: check_difference(&in, a, b); break;
        case DT_MULTIPLY: check_product_steps(&in, a, b); break;
        default: check_quotient_steps(&in, a, b);
        }
        expect(&in, '=');
    }
    char plain[64];
    if (format == DT_FORMAT_CHAT) {
        strip_words(plain, in.at);
        in.at = plain;
    }
    check_answer(&in, problem, reversed, format >= DT_FORMAT_SCRATCHPAD);
    expect(&in, '$');
    return !in.failed && *in.at == '\0';
}

static void people_s_answer(char text[64], const dt_problem *problem) {
    const uint64_t a = problem->a.limb[0], b = problem->b.limb[0];
    switch (problem->operation) {
    case DT_ADD: snprintf(text, 64, "%" PRIu64, a + b); break;
    case DT_SUBTRACT: snprintf(text, 64, "%" PRId64, (int64_t)a - (int64_t)b); break;
    case DT_MULTIPLY: snprintf(text, 64, "%" PRIu64, a * b); break;
    default: snprintf(text, 64, "%" PRIu64 " r %" PRIu64, a / b, a % b);
    }
}

/* Digits of the longest number, plus one for the operator after it. Some letters are digits; a
 * carry and a unit letter may stand between two digits. */
static size_t places_of(const char *text) {
    size_t most = 0, places = 1;
    for (; *text; text++) {
        if (places > 1 && *text >= 'a' && *text <= 'i') {
            if (text[1] >= 'K' && text[1] <= 'T') text++;
            continue;
        }
        places = strchr("0123456789jklmnopqst", *text) ? places + 1 : 1;
        if (places > most) most = places;
    }
    return most;
}

static size_t characters(const char *text) {
    size_t count = 0;
    for (; *text; text++) count += (*text & 0xc0) != 0x80;
    return count;
}

typedef struct {
    size_t longest, places;
} bounds;

static bounds bounds_of(const dt_config *config) {
    return (bounds){dt_format_longest(config), dt_format_places(config)};
}

static void check_problem(const dt_problem *problem, dt_format format, bounds most) {
    char text[DT_PROBLEM_TEXT_MAX], answer[64], expected[64];
    const size_t prompt = write_problem(text, problem, format);
    if (!is_right(text, prompt, problem, format)) fail_msg("%s", text);
    people_s_answer(expected, problem);
    assert_int_equal(dt_format_answer(answer, sizeof answer, text + prompt, problem, format),
                     DT_OK);
    assert_string_equal(answer, expected);
    assert_int_equal(dt_problem_answer(answer, sizeof answer, problem), DT_OK);
    assert_string_equal(answer, expected);
    if (characters(text) > most.longest) fail_msg("too long: %s", text);
    if (places_of(text) > most.places) fail_msg("too many digits: %s", text);
}

static void random_problems_read_back(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    for (size_t f = 0; f < FORMATS; f++) {
        const dt_config small = config_of("+-*/", 3, 4, 2, formats[f]);
        const dt_config large = config_of("+-*/", 9, 18, 18, formats[f]);
        const bounds most_small = bounds_of(&small), most_large = bounds_of(&large);
        for (uint64_t i = 0; i < COUNT; i++) {
            const bool is_small = i % 2;
            dt_problem problem;
            assert_int_equal(dt_problem_sample(&problem, is_small ? &small : &large, DT_TRAIN, i),
                             DT_OK);
            check_problem(&problem, formats[f], is_small ? most_small : most_large);
        }
    }
}

/* ---- lengths ---- */

static void measure(size_t *longest, size_t *places, dt_operation op, uint64_t a, uint64_t b,
                    dt_format format) {
    char text[DT_PROBLEM_TEXT_MAX];
    const dt_problem problem = {op, DT_NUMBER(a), DT_NUMBER(b)};
    for (size_t i = 0; i < (format == DT_FORMAT_CHAT ? DT_PHRASINGS : 1); i++) {
        write_phrased(text, &problem, format, i);
        if (characters(text) > *longest) *longest = characters(text);
        if (places_of(text) > *places) *places = places_of(text);
    }
}

static void check_exact_bounds(dt_operation op, int64_t m, int64_t n, dt_format format) {
    static const uint64_t power[] = {1, 10, 100, 1000, 10000};
    const char ops[] = {"+-*/"[op], '\0'};
    const dt_config config = config_of(ops, m, m, n, format);
    size_t longest = 0, places = 0;
    for (uint64_t a = 0; a < power[m]; a++) {
        for (uint64_t b = op == DT_DIVIDE; b < power[n]; b++) {
            measure(&longest, &places, op, a, b, format);
        }
    }
    assert_int_equal(dt_format_longest(&config), longest);
    assert_int_equal(dt_format_places(&config), places);
}

static void bounds_are_exact_over_all_small_problems(void **state) {
    (void)state;
    for (size_t f = 0; f < FORMATS; f++) {
        for (int op = DT_ADD; op < DT_DIVIDE; op++) {
            for (int64_t m = 1; m <= 2; m++) check_exact_bounds((dt_operation)op, m, m, formats[f]);
        }
        for (int64_t m = 1; m <= 4; m++) {
            /* Words are the same for all numbers. */
            const int64_t digits = formats[f] == DT_FORMAT_CHAT ? 4 : 5;
            for (int64_t n = 1; n + m <= digits; n++)
                check_exact_bounds(DT_DIVIDE, m, n, formats[f]);
        }
    }
    check_exact_bounds(DT_MULTIPLY, 3, 3, DT_FORMAT_SCRATCHPAD);
    check_exact_bounds(DT_DIVIDE, 4, 2, DT_FORMAT_SCRATCHPAD);
}

/* A number of two different digits, so that carries and full lengths are frequent. */
static uint64_t extreme_number(const uint32_t word[2], uint32_t most_digits) {
    static const char kind[] = "995410";
    const char digit[2] = {kind[word[1] % 6], kind[(word[1] >> 8) % 6]};
    const uint32_t digits = 1 + word[0] % most_digits;
    uint64_t number = 1 + (word[1] >> 16) % 9;
    for (uint32_t i = 1; i < digits; i++) {
        number = number * 10 + (uint64_t)(digit[(word[0] >> (i + 8)) & 1] - '0');
    }
    return number;
}

/* Of problems of one operation; found once for each of these settings, since that takes long. */
static bounds bounds_with(dt_operation op, uint32_t m, uint32_t n, size_t f) {
    static bounds found[FORMATS][DT_OPERATIONS][19][19];
    bounds *most = &found[f][op][m][n];
    if (most->longest == 0) {
        const char ops[] = {"+-*/"[op], '\0'};
        const dt_config config = config_of(ops, m, m, n, formats[f]);
        *most = bounds_of(&config);
    }
    return *most;
}

static void bounds_hold_for_extreme_problems(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 60000; i++) {
        uint32_t choice[4], word[4];
        dt_random_block(choice, 5, DT_RANDOM_TEST, 0, i);
        dt_random_block(word, 5, DT_RANDOM_TEST, 1, i);
        const dt_operation op = (dt_operation)(choice[0] % 4);
        const uint32_t m = 1 + choice[1] % (op == DT_DIVIDE ? 18 : 9),
                       n = op == DT_DIVIDE ? 1 + choice[2] % 18 : m;
        const size_t f = choice[3] % FORMATS;
        const bounds most = bounds_with(op, m, n, f);
        const dt_problem problem = {op, DT_NUMBER(extreme_number(word, m)),
                                    DT_NUMBER(extreme_number(word + 2, n))};
        check_problem(&problem, formats[f], most);
        assert_true(most.longest < DT_PROBLEM_TEXT_MAX);
    }
}

static void bounds_look_at_the_operations_in_use(void **state) {
    (void)state;
    dt_config config = config_of("+", 3, 18, 9, DT_FORMAT_SCRATCHPAD);
    assert_int_equal(dt_format_longest(&config), strlen("999+999=stt1=8991$"));
    assert_int_equal(dt_format_places(&config), 5);
    config.ops[0] = '-';
    assert_int_equal(dt_format_longest(&config), strlen("001-999=kjk,tts=-998$"));
    assert_int_equal(dt_format_places(&config), 4);
    config.ops[0] = '*';
    assert_int_equal(dt_format_longest(&config),
                     strlen("999*999=1iL9iL98,01iL9iL98+1jts9,001iL9iL98+10jst9=100899$"));
    assert_int_equal(dt_format_places(&config), 7);
    config.ops[0] = '/';
    assert_int_equal(dt_format_places(&config), 19);
    snprintf(config.ops, sizeof config.ops, "+-*/");
    assert_int_equal(dt_format_places(&config), 19);
    config.dividend_digits = 1;
    assert_int_equal(dt_format_places(&config), 11);
}

static void what_cannot_be_written_is_refused(void **state) {
    (void)state;
    char text[DT_PROBLEM_TEXT_MAX];
    size_t prompt;
    const dt_number wide_sum = dt_power_of_ten(200), wide_product = dt_power_of_ten(24);
    const dt_problem impossible[] = {
        {DT_DIVIDE, DT_NUMBER(1), DT_NUMBER(0)},
        {DT_ADD, wide_sum, DT_NUMBER(1)},
        {DT_SUBTRACT, DT_NUMBER(1), wide_sum},
        {DT_MULTIPLY, DT_NUMBER(9), wide_product},
    };
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        assert_int_equal(
            dt_format_write(text, sizeof text, &prompt, &impossible[i], DT_FORMAT_SCRATCHPAD),
            DT_ERR_ARG);
    }
    const dt_problem sum = {DT_ADD, DT_NUMBER(123), DT_NUMBER(456)};
    assert_int_equal(dt_format_write(text, 12, &prompt, &sum, DT_FORMAT_PLAIN), DT_ERR_INTERNAL);
    assert_int_equal(dt_format_write(text, 0, &prompt, &sum, DT_FORMAT_PLAIN), DT_ERR_INTERNAL);
    assert_int_equal(dt_format_write(text, 13, &prompt, &sum, DT_FORMAT_PLAIN), DT_OK);
    /* larger than any configuration allows: written completely or refused */
    const dt_problem wider = {DT_MULTIPLY, DT_NUMBER(10), DT_NUMBER(999999999999999999)};
    assert_int_equal(dt_format_write(text, sizeof text, &prompt, &wider, DT_FORMAT_SCRATCHPAD),
                     DT_OK);
    assert_true(is_right(text, prompt, &wider, DT_FORMAT_SCRATCHPAD));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_as_the_design_shows),
        cmocka_unit_test(random_problems_read_back),
        cmocka_unit_test(bounds_are_exact_over_all_small_problems),
        cmocka_unit_test(bounds_hold_for_extreme_problems),
        cmocka_unit_test(bounds_look_at_the_operations_in_use),
        cmocka_unit_test(what_cannot_be_written_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
