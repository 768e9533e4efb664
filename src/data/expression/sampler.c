/* Draws questions, and lines as they come up in calculations: the model learns each kind of line on
 * its own, with numbers of all lengths. */
#include "sampler.h"

#include <string.h>

#include "drawing.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "dtrain/data/digits.h"
#include "dtrain/expression/machine.h"
#include "split.h"
#include "steps.h"

/* A line of a split is missed once in 10^20: of the rarest, one in twenty is wanted. */
enum { ATTEMPTS = 1000 };

/* Of questions, in training and evaluation. */
static size_t longest_asked(const dt_config *config) {
    const size_t digits = dt_max_size((size_t)config->digits, (size_t)config->eval_digits),
                 dividend = dt_max_size((size_t)config->dividend_digits,
                                        (size_t)config->eval_dividend_digits),
                 divisor = dt_max_size((size_t)config->divisor_digits,
                                       (size_t)config->eval_divisor_digits);
    if (!dt_expression_is_natural(config) || !strchr(config->ops, '/')) return digits;
    return dt_max_size(digits, dt_max_size(dividend, divisor));
}

size_t dt_expression_digits(const dt_config *config) {
    const size_t longest = longest_asked(config);
    if (!dt_expression_is_natural(config)) return 2 * longest + 8;
    return dt_max_size(strchr(config->ops, '*') ? 2 * longest : longest + 1, DT_DECIMALS_MAX + 1);
}

size_t dt_expression_longest(const dt_config *config) {
    /* In the line of a product and the next one, most digits of its first number stand seven times.
     */
    return 48 + 8 * (dt_expression_digits(config) + (size_t)config->operations);
}

/* ---- lines ---- */

/* Replace the line by the next one, if that begins with `becomes`: its mark, and perhaps its
 * letter. False: it does not, or an error. */
static bool follow(dt_drawing *d, dt_text *next, const char *becomes) {
    dt_text *text = d->pen.text;
    dt_pen_char(&d->pen, DT_LINE_END);
    if (d->pen.status == DT_OK) {
        dt_text_clear(next);
        d->pen.status =
            dt_expression_next(next, text->bytes, text->length, dt_line_rules_of(d->config));
    }
    if (d->pen.status != DT_OK) return false;
    text->length--;
    if (strncmp(next->bytes, becomes, strlen(becomes)) != 0) return false;
    dt_text_clear(text);
    dt_pen_bytes(&d->pen, next->bytes + 1, next->length - 2);
    return true;
}

/* Two numbers with decimals, often as many. */
static void put_two_decimals(dt_drawing *d) {
    const size_t most = dt_drawing_digits(d), first = dt_drawing_power(d),
                 second = one_in(d, 3) ? first : dt_drawing_power(d);
    dt_drawing_put_whole(d, most);
    dt_pen_char(&d->pen, ':');
    dt_drawing_put_power(d, '^', first);
    dt_pen_char(&d->pen, dt_drawing_operation(d));
    dt_drawing_put_whole(d, most);
    dt_pen_char(&d->pen, ':');
    dt_drawing_put_power(d, '^', second);
}

/* A number, and 10, 100 … or nearly so, in any order. */
static void put_product_with_power(dt_drawing *d) {
    const bool swap = one_in(d, 2);
    const size_t most = dt_drawing_digits(d);
    if (swap) dt_drawing_put_whole(d, most);
    if (!swap) dt_drawing_put_near_power(d);
    dt_pen_char(&d->pen, '*');
    if (swap) dt_drawing_put_near_power(d);
    if (!swap) dt_drawing_put_whole(d, most);
}

static void put_two(dt_drawing *d, bool fractions) {
    dt_pen_char(&d->pen, 'B');
    if (fractions && one_in(d, 3)) {
        put_two_decimals(d);
        return;
    }
    if (!fractions && one_in(d, 4) && strchr(d->config->ops, '*')) {
        put_product_with_power(d);
        return;
    }
    dt_drawing_put_value(d, fractions && one_in(d, 2));
    dt_pen_char(&d->pen, dt_drawing_operation(d));
    dt_drawing_put_value(d, fractions && one_in(d, 2));
}

static void put_found_value(dt_drawing *d, bool fraction) {
    dt_pen_char(&d->pen, DT_LINE_RETURN);
    if (one_in(d, 30)) {
        dt_pen_char(&d->pen, '!');
    } else {
        dt_drawing_put_value(d, fraction);
    }
}

/* In a fraction of expressions, "(^3*^5):(^7*^2)" or "^51:(^7*^2)", all results are whole. */
static bool is_ratio(const dt_text *text) {
    return strstr(text->bytes, "):") || strstr(text->bytes, ":(");
}

/* Each operation takes one away. */
static size_t count_operations(const dt_text *text) {
    size_t count = 0;
    for (size_t i = 0; i < text->length; i++) count += strchr("+-*/", text->bytes[i]) != NULL;
    return count;
}

/* An expression as it is, or after some operations, with any numbers in the place of results. */
static void put_line_of_expression(dt_drawing *d, dt_text *next) {
    dt_text *text = d->pen.text;
    /* Where numbers and operations repeat, only how many stand before tells what comes next. */
    d->alike = one_in(d, 4);
    dt_drawing_choose_digits(d);
    dt_drawing_choose_operations(d);
    bool made = false;
    while (one_in(d, 3) && !made && d->pen.status == DT_OK) {
        dt_text_clear(text);
        put_two(d, true);
        made = follow(d, next, ">E");
    }
    if (!made) {
        dt_text_clear(text);
        dt_pen_char(&d->pen, 'E');
        dt_drawing_put_expression(d);
    }
    const bool fraction = !is_ratio(text);
    for (size_t i = below(d, dt_max_size(count_operations(text), 1)); i > 0; i--) {
        if (!follow(d, next, ">P")) return;
        dt_pen_char(&d->pen, DT_LINE_RETURN);
        dt_drawing_put_value(d, fraction && one_in(d, 4));
        if (!follow(d, next, ">E")) return;
    }
}

/* With the operation that comes next marked, and perhaps its result. */
static void put_chosen_operation(dt_drawing *d, dt_text *next, bool found) {
    put_line_of_expression(d, next);
    const bool fraction = !is_ratio(d->pen.text);
    if (follow(d, next, ">P") && found) put_found_value(d, fraction && one_in(d, 4));
}

/* What is added up on the way is often longer than what was asked for. */
static size_t longer_digits(dt_drawing *d) {
    return one_in(d, 2) ? dt_drawing_longest(d) - 2 : d->digits;
}

static void put_difference(dt_drawing *d) {
    dt_drawn a, b;
    const bool turned = one_in(d, 3);
    const size_t most = longer_digits(d);
    dt_drawing_number(&a, d, most);
    if (turned || one_in(d, 3)) {
        dt_drawn_below(&b, &d->dice, &a);
    } else {
        dt_drawing_number(&b, d, most);
    }
    if (!turned && one_in(d, 12)) b = a; /* of long numbers chance draws none that are equal */
    const bool swap = !turned && one_in(d, 2);
    dt_pen_char(&d->pen, 'D');
    dt_drawn_write(&d->pen, turned ? '~' : '^', swap ? &b : &a);
    dt_pen_char(&d->pen, '-');
    dt_drawn_write(&d->pen, turned ? '~' : '^', swap ? &a : &b);
}

static void put_sum(dt_drawing *d) {
    const char mark = any_mark(d);
    const size_t most = longer_digits(d);
    dt_pen_char(&d->pen, 'S');
    dt_drawing_put_number(d, mark, most);
    dt_pen_char(&d->pen, '+');
    dt_drawing_put_number(d, mark, most);
}

/* Some digits of the second number are done. */
static void put_product(dt_drawing *d) {
    dt_drawn longer, shorter, sum;
    dt_drawing_number(&longer, d, one_in(d, 3) ? dt_drawing_longest(d) - 4 : d->digits);
    dt_drawn_digits(&shorter, &d->dice, dt_dice_length(&d->dice, longer.count));
    const bool swap = one_in(d, 2);
    const dt_drawn *a = swap ? &shorter : &longer, *b = swap ? &longer : &shorter;
    const size_t done = one_in(d, 4) ? 0 : below(d, b->count);
    dt_pen_char(&d->pen, 'M');
    dt_drawn_write(&d->pen, '^', a);
    dt_pen_char(&d->pen, '*');
    dt_pen_digits(&d->pen, b->digit, b->count - done, false);
    dt_pen_char(&d->pen, '+');
    const char mark = any_mark(d);
    if (done == 0) {
        dt_pen_char(&d->pen, mark);
        return;
    }
    dt_drawn_digits(&sum, &d->dice, a->count + done - one_in(d, 2));
    if (sum.count == 0) dt_drawn_digits(&sum, &d->dice, 1);
    dt_drawn_write(&d->pen, mark, &sum);
}

/* A divisor, and a remainder below it: where decimals were multiplied, both end in zeros. */
static void draw_divisor(dt_drawn *divisor, dt_drawn *rest, dt_drawing *d) {
    dt_drawing_number(divisor, d, one_in(d, 4) ? dt_drawing_longest(d) - 4 : d->digits);
    dt_drawn_below(rest, &d->dice, divisor);
    if (one_in(d, 3)) {
        const size_t zeros = dt_drawing_power(d);
        dt_drawn_shift(divisor, zeros);
        dt_drawn_shift(rest, zeros);
    }
}

static void put_digit(dt_drawing *d) {
    dt_drawn divisor, rest, now;
    draw_divisor(&divisor, &rest, d);
    if (one_in(d, 5)) rest.count = 0; /* by chance few divisions come out even */
    dt_drawn_multiple(&now, &divisor, (unsigned)below(d, 10), &rest);
    dt_pen_char(&d->pen, 'G');
    dt_drawn_write(&d->pen, '^', &now); /* ^0 if there is nothing */
    dt_pen_char(&d->pen, ',');
    dt_drawn_write(&d->pen, '^', &divisor);
}

static void put_digits(dt_drawing *d, const dt_drawn *number) {
    dt_pen_char(&d->pen, '^');
    dt_pen_bytes(&d->pen, number->digit, number->count);
}

/* A digit, and what is left after it. */
static void put_found_digit(dt_drawing *d, const dt_drawn *divisor) {
    dt_drawn rest;
    dt_drawn_below(&rest, &d->dice, divisor);
    if (one_in(d, 6)) rest.count = 0;
    dt_pen_string(&d->pen, "}^");
    dt_pen_char(&d->pen, (char)('0' + below(d, 10)));
    dt_pen_char(&d->pen, ',');
    dt_drawn_write(&d->pen, '^', &rest);
}

static void put_quotient(dt_drawing *d) {
    dt_drawn divisor, rest, left, quotient;
    draw_divisor(&divisor, &rest, d);
    dt_drawing_number(&left, d, one_in(d, 3) ? dt_drawing_longest(d) - 2 : d->digits);
    if (one_in(d, 2)) left.digit[left.count - 1] = (char)('0' + below(d, 10));
    dt_drawn_digits(&quotient, &d->dice,
                    one_in(d, 3) ? 0 : dt_dice_length(&d->dice, dt_drawing_longest(d) - 4));
    dt_pen_char(&d->pen, 'L');
    dt_pen_digits(&d->pen, left.digit, left.count, false);
    dt_pen_char(&d->pen, ',');
    dt_drawn_write(&d->pen, '^', &divisor);
    dt_pen_char(&d->pen, ',');
    put_digits(d, &quotient);
    dt_pen_char(&d->pen, ',');
    put_digits(d, &rest);
    if (one_in(d, 2)) put_found_digit(d, &divisor);
}

/* Digits of which any may be 0. */
static void put_decimals(dt_drawing *d, char mark, size_t count) {
    dt_pen_char(&d->pen, mark);
    while (count-- > 0) dt_pen_char(&d->pen, (char)('0' + below(d, 10)));
}

static void draw_rest(dt_drawn *divisor, dt_drawn *rest, dt_drawing *d) {
    do {
        draw_divisor(divisor, rest, d);
    } while (rest->count == 0 && d->pen.status == DT_OK);
}

static void put_line_of_decimals(dt_drawing *d) {
    dt_drawn divisor, rest;
    draw_rest(&divisor, &rest, d);
    dt_pen_char(&d->pen, 'F');
    put_decimals(d, '^', below(d, DT_DECIMALS_MAX));
    dt_pen_char(&d->pen, ',');
    dt_drawn_write(&d->pen, '^', &divisor);
    dt_pen_char(&d->pen, ',');
    dt_drawn_write(&d->pen, '^', &rest);
    if (one_in(d, 2)) put_found_digit(d, &divisor);
}

static void put_fraction(dt_drawing *d) {
    dt_drawn divisor, rest;
    draw_rest(&divisor, &rest, d);
    dt_pen_char(&d->pen, one_in(d, 2) ? 'W' : 'R');
    if (one_in(d, 2)) {
        dt_drawing_put_value(d, true);
        return;
    }
    dt_drawing_put_number(d, any_mark(d), d->digits);
    dt_pen_char(&d->pen, ':');
    dt_drawn_write(&d->pen, '^', &divisor);
    if (dt_figure_power(&(dt_figure){'^', divisor.digit, divisor.count}) >= 0) return;
    dt_pen_char(&d->pen, DT_LINE_RETURN);
    dt_drawing_put_number(d, '^', d->digits);
    dt_pen_char(&d->pen, ',');
    if (one_in(d, 2)) rest.count = 0;
    dt_drawn_write(&d->pen, '^', &rest);
}

static void put_parts(dt_drawing *d) {
    dt_drawn divisor, rest;
    draw_rest(&divisor, &rest, d);
    dt_pen_char(&d->pen, one_in(d, 2) ? 'A' : 'C');
    dt_pen_char(&d->pen, any_mark(d));
    if (one_in(d, 2)) {
        dt_pen_char(&d->pen, '0');
    } else {
        dt_drawn quotient;
        dt_drawing_number(&quotient, d, dt_drawing_longest(d) - 6);
        dt_pen_bytes(&d->pen, quotient.digit, quotient.count);
    }
    dt_pen_char(&d->pen, ',');
    dt_drawn_write(&d->pen, '^', &rest);
    dt_pen_char(&d->pen, ':');
    dt_drawn_write(&d->pen, '^', &divisor);
    if (one_in(d, 3)) return;
    dt_pen_char(&d->pen, DT_LINE_RETURN);
    const bool endless = !one_in(d, 3);
    const size_t count = endless ? DT_DECIMALS_MAX : 1 + below(d, DT_DECIMALS_MAX),
                 zeros = one_in(d, 2) ? below(d, count) : 0;
    put_decimals(d, endless ? '~' : '^', count - zeros);
    for (size_t i = 0; i < zeros; i++) dt_pen_char(&d->pen, '0');
}

static void put_rounded(dt_drawing *d) {
    const char mark = any_mark(d);
    const bool nothing = one_in(d, 8);
    dt_pen_char(&d->pen, 'H');
    if (nothing) {
        dt_pen_char(&d->pen, mark);
        dt_pen_char(&d->pen, '0');
    } else {
        dt_drawing_put_number(d, mark, dt_drawing_longest(d) - 2);
    }
    if (one_in(d, 2)) return;
    dt_pen_char(&d->pen, DT_LINE_RETURN);
    dt_drawing_put_number(d, mark, dt_drawing_longest(d) - 2);
}

/* 7/2/3 is no quotient of two numbers, which has a remainder. */
static void choose_divisions(dt_drawing *d) {
    d->alike = one_in(d, 3);
    dt_drawing_choose_digits(d);
    dt_drawing_choose_operations(d);
    if (strchr(d->config->ops, '/')) d->operation[0] = '/';
}

/* An answer for a question: a value, or what the lines of answers give. */
static void put_answered_question(dt_drawing *d, dt_text *next) {
    static void (*const given[])(dt_drawing *) = {put_fraction, put_parts, put_parts, put_rounded};
    dt_text *text = d->pen.text;
    bool made = false;
    if (!one_in(d, 3)) {
        (*given[below(d, sizeof given / sizeof *given)])(d);
        made = follow(d, next, "}=");
    }
    dt_text found = {0};
    if (made && d->pen.status == DT_OK)
        d->pen.status = dt_text_append(&found, text->bytes, text->length);
    dt_text_clear(text);
    if (!made) choose_divisions(d);
    dt_drawing_put_question(d);
    if (made) {
        dt_pen_char(&d->pen, DT_LINE_RETURN);
        dt_pen_bytes(&d->pen, found.bytes, found.length);
    } else {
        put_found_value(d, one_in(d, 2));
    }
    dt_text_destroy(&found);
}

/* Any line of the split from a whole calculation, whose beginning will do if it is long: more often
 * one of those that are harder to learn. */
static void put_line_of_calculation(dt_drawing *d, dt_split split) {
    enum { DIGITS = 5, LONG = 4000, HARDER = 3 };
    const char *harder = dt_expression_is_natural(d->config) ? "" : "QEPB";
    dt_text whole = {0}, seen = {0}, *text = d->pen.text;
    dt_status status = DT_OK;
    size_t weights = 0;
    bool ended = false;
    if (!one_in(d, 4)) d->digits = dt_min_size(d->digits, DIGITS);
    dt_drawing_put_question(d);
    DT_TRY_DONE(d->pen.status);
    DT_TRY_DONE(dt_text_append(&whole, text->bytes, text->length));
    DT_TRY_DONE(dt_text_append(&whole, "$", 1));
    while (whole.length < LONG) {
        DT_TRY_DONE(dt_expression_window(&seen, &ended, whole.bytes));
        if (ended) break;
        const size_t weight = strchr(harder, seen.bytes[0]) ? HARDER : 1;
        if (dt_line_split(seen.bytes, seen.length) == split &&
            below(d, weights += weight) < weight) {
            dt_text_clear(text);
            dt_pen_bytes(&d->pen, seen.bytes, seen.length - 1);
        }
        DT_TRY_DONE(
            dt_expression_next(&whole, seen.bytes, seen.length, dt_line_rules_of(d->config)));
    }
done:
    if (d->pen.status == DT_OK) d->pen.status = status;
    dt_text_destroy(&whole);
    dt_text_destroy(&seen);
}

enum { CHOICES = 178 };

/* Which line is drawn: one as it comes up in calculations, or of a kind. What is harder has more of
 * the choices, so that rare lines are learned, too. */
static void put_line(dt_drawing *d, size_t choice, dt_split split, dt_text *next) {
    size_t end = 0;
    if (dt_expression_is_natural(d->config) || choice < (end += 50))
        put_line_of_calculation(d, split);
    else if (choice < (end += 12))
        dt_drawing_put_question(d);
    else if (choice < (end += 8))
        put_answered_question(d, next);
    else if (choice < (end += 22))
        put_line_of_expression(d, next);
    else if (choice < (end += 8))
        put_chosen_operation(d, next, false);
    else if (choice < (end += 30))
        put_chosen_operation(d, next, true);
    else if (choice < (end += 5))
        put_two(d, false);
    else if (choice < (end += 7))
        put_two(d, true);
    else if (choice < (end += 2))
        put_sum(d);
    else if (choice < (end += 4))
        put_difference(d);
    else if (choice < (end += 10))
        put_product(d);
    else if (choice < (end += 8))
        put_digit(d);
    else if (choice < (end += 6))
        put_quotient(d);
    else if (choice < (end += 2))
        put_line_of_decimals(d);
    else if (choice < (end += 1))
        put_fraction(d);
    else if (choice < (end += 2))
        put_parts(d);
    else
        put_rounded(d);
}

/* ---- all ---- */

size_t dt_expression_longest_number(const char *text) {
    dt_digit_run run = {.marked = true, .is_signed = true};
    size_t longest = 1; /* with the mark */
    for (; *text; text++) {
        dt_digit_run_take(&run, *text);
        longest = dt_max_size(longest, run.digits);
    }
    return longest - 1;
}

/* Whether a model of these settings can read it. */
static bool fits(const dt_text *text, const dt_config *config) {
    return dt_utf8_count(text->bytes) <= dt_expression_longest(config) &&
           dt_expression_longest_number(text->bytes) <= dt_expression_digits(config);
}

/* Of the training split, too, lines are drawn until one is of the split, and fits. */
static dt_status sample(dt_text *text, const dt_config *config, dt_split split, uint64_t index,
                        bool question) {
    /* People ask for short numbers more often than for long ones. */
    static const size_t most_digits[4] = {1, 2, 5, SIZE_MAX};
    const uint32_t purpose = DT_RANDOM_PROBLEM + (uint32_t)split;
    dt_text next = {0};
    dt_status status = DT_OK;
    size_t choice = 0;
    for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        dt_drawing d = {.dice = dt_dice_for((uint64_t)config->seed, purpose, index, attempt),
                        .config = config,
                        .pen = {.text = text}};
        const size_t drawn = below(&d, CHOICES);
        if (attempt == 0) choice = drawn;
        d.digits = dt_min_size(most_digits[below(&d, 4)], (size_t)config->digits);
        dt_text_clear(text);
        if (question)
            dt_drawing_put_question(&d);
        else
            put_line(&d, choice, split, &next);
        dt_pen_char(&d.pen, DT_LINE_END);
        DT_TRY_DONE(d.pen.status);
        if (!fits(text, config) || dt_line_split(text->bytes, text->length) != split) continue;
        text->prompt_length = text->length;
        /* From a copy of the prompt, since the text may move while it grows. */
        dt_text_clear(&next);
        DT_TRY_DONE(dt_text_append(&next, text->bytes, text->length));
        DT_TRY_DONE(dt_expression_next(text, next.bytes, next.length, dt_line_rules_of(config)));
        if (fits(text, config)) goto done;
    }
    status = dt_error_raise(DT_ERR_ARG, __FILE__, __LINE__,
                            "no %s line of an expression was found in %d tries; raise --digits",
                            dt_split_name(split), ATTEMPTS);
done:
    dt_text_destroy(&next);
    return status;
}

dt_status dt_line_sample(dt_text *text, const dt_config *config, dt_split split, uint64_t index) {
    return sample(text, config, split, index, false);
}

dt_status dt_question_sample(dt_text *text, const dt_config *config, dt_split split,
                             uint64_t index) {
    return sample(text, config, split, index, true);
}
