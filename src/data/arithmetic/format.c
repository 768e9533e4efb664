/* How a problem is written for the model, how its answer is read back, and how long it can get. */
#include "format.h"

#include <string.h>

#include "chat.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "marks.h"

dt_digit_order dt_format_order(dt_format format) {
    return format == DT_FORMAT_PLAIN ? DT_MOST_FIRST : DT_LEAST_FIRST;
}

/* ---- writing ---- */

static void put_ordered(dt_draft *text, const dt_number *n, dt_digit_order order) {
    if (order == DT_LEAST_FIRST) {
        dt_draft_number_reversed(text, n);
    } else {
        dt_draft_number(text, n);
    }
}

static void put_answer(dt_draft *text, const dt_problem *problem, dt_format format) {
    const dt_number *a = &problem->a, *b = &problem->b;
    const dt_digit_order order = dt_format_order(format);
    dt_number result, rest;
    if (dt_format_has_working(format)) {
        dt_format_put_result(text, problem);
        return;
    }
    switch (problem->operation) {
    case DT_ADD:
        result = dt_number_sum(a, b);
        put_ordered(text, &result, order);
        break;
    case DT_SUBTRACT:
        if (dt_number_compare(a, b) < 0) dt_draft_char(text, '-');
        result = dt_number_distance(a, b);
        put_ordered(text, &result, order);
        break;
    case DT_MULTIPLY:
        result = dt_number_product(a, b);
        put_ordered(text, &result, order);
        break;
    case DT_DIVIDE:
        result = dt_number_quotient(&rest, a, b);
        dt_draft_number(text, &result);
        dt_draft_char(text, 'r');
        put_ordered(text, &rest, order);
        break;
    case DT_OPERATIONS: break;
    }
}

static void put_question(dt_draft *text, const dt_problem *problem, dt_format format,
                         size_t phrasing) {
    if (format == DT_FORMAT_CHAT) {
        dt_chat_put_question(text, problem, phrasing);
        return;
    }
    const dt_digit_order order = dt_format_order(format);
    put_ordered(text, &problem->a, problem->operation == DT_DIVIDE ? DT_MOST_FIRST : order);
    dt_draft_char(text, dt_operation_symbol(problem->operation));
    put_ordered(text, &problem->b, order);
    dt_draft_char(text, '=');
}

static void put_final(dt_draft *text, const dt_problem *problem, dt_format format,
                      size_t phrasing) {
    if (format != DT_FORMAT_CHAT) {
        put_answer(text, problem, format);
        return;
    }
    char short_form[DT_ANSWER_SIZE];
    dt_draft answer = dt_draft_begin(short_form, sizeof short_form);
    put_answer(&answer, problem, format);
    dt_chat_put_answer(text, (dt_span){short_form, answer.length}, problem->operation, phrasing);
}

dt_status dt_format_write_as(char *text, size_t size, size_t *prompt_length,
                             const dt_problem *problem, dt_format format, size_t phrasing) {
    DT_TRY(dt_problem_check(problem));
    DT_REQUIRE(size > 0, DT_ERR_INTERNAL, "no room for a problem: a buffer of 0 bytes");
    DT_REQUIRE(phrasing < DT_PHRASINGS, DT_ERR_INTERNAL, "there is no phrasing %zu", phrasing);
    dt_draft out = dt_draft_begin(text, size);
    put_question(&out, problem, format, phrasing);
    *prompt_length = out.length;
    if (dt_format_has_working(format)) {
        dt_format_put_steps(&out, problem);
        dt_draft_char(&out, '=');
    }
    put_final(&out, problem, format, phrasing);
    dt_draft_char(&out, '$');
    DT_REQUIRE(!out.full, DT_ERR_INTERNAL, "%s%c%s written out does not fit into %zu bytes",
               dt_decimal_of(&problem->a).text, dt_operation_symbol(problem->operation),
               dt_decimal_of(&problem->b).text, size);
    return DT_OK;
}

dt_status dt_format_write(char *text, size_t size, size_t *prompt_length, const dt_problem *problem,
                          dt_format format) {
    return dt_format_write_as(text, size, prompt_length, problem, format, 0);
}

static dt_status write_plain(dt_text *text, const dt_problem *problem, dt_format format,
                             size_t phrasing) {
    dt_text_clear(text);
    DT_TRY(dt_text_reserve(text, DT_PROBLEM_TEXT_MAX));
    DT_TRY(dt_format_write_as(text->bytes, text->capacity, &text->prompt_length, problem, format,
                              phrasing));
    text->length = strlen(text->bytes);
    return DT_OK;
}

dt_status dt_format_write_text(dt_text *text, const dt_problem *problem, dt_format format,
                               dt_marks marks, size_t phrasing) {
    dt_text plain = {0};
    if (marks == DT_MARKS_NONE) return write_plain(text, problem, format, phrasing);
    dt_status status = write_plain(&plain, problem, format, phrasing);
    if (status == DT_OK) status = dt_marks_insert(text, &plain, format);
    dt_text_destroy(&plain);
    return status;
}

/* ---- reading ---- */

dt_span dt_format_produced(const char *produced) {
    size_t length = strlen(produced);
    if (length > 0 && produced[length - 1] == '$') length--;
    return (dt_span){produced, length};
}

static void put_people(dt_draft *text, dt_span number, dt_digit_order order) {
    if (order == DT_LEAST_FIRST) {
        dt_draft_span_reversed(text, number);
    } else {
        dt_draft_span(text, number);
    }
}

/* A number as plain formats write it, or behind a working with exactly `width` digits. */
static bool take_number(dt_span *number, size_t width, dt_digit_order order, dt_format format) {
    if (dt_format_has_working(format)) {
        if (number->count != width) return false;
        *number = dt_span_stripped(*number, order);
    }
    return dt_span_is_number(*number, order);
}

/* A number, after a minus sign where the answer may have one. False if it is anything else. */
static bool put_number_answer(dt_draft *text, dt_span answer, const dt_problem *problem,
                              dt_format format) {
    const dt_digit_order order = dt_format_order(format);
    const bool negative =
        problem->operation == DT_SUBTRACT && answer.count > 0 && answer.at[0] == '-';
    if (negative) answer = (dt_span){answer.at + 1, answer.count - 1};
    if (!take_number(&answer, dt_format_result_width(problem), order, format)) return false;
    if (negative && answer.at[0] == '0' && answer.count == 1) return false;
    if (negative) dt_draft_char(text, '-');
    put_people(text, answer, order);
    return true;
}

static bool put_division_answer(dt_draft *text, dt_span answer, const dt_problem *problem,
                                dt_format format) {
    const dt_digit_order order = dt_format_order(format);
    dt_span quotient, remainder;
    if (!dt_span_cut(&quotient, &remainder, answer, 'r')) return false;
    if (!take_number(&quotient, dt_format_result_width(problem), DT_MOST_FIRST, format))
        return false;
    if (!take_number(&remainder, dt_digit_count(&problem->b), order, format)) return false;
    dt_draft_span(text, quotient);
    dt_draft_string(text, " r ");
    put_people(text, remainder, order);
    return true;
}

/* What follows the working, as people write it. */
static bool put_people_answer(dt_draft *text, dt_span written, const dt_problem *problem,
                              dt_format format) {
    char short_form[DT_ANSWER_SIZE];
    if (format == DT_FORMAT_CHAT) {
        dt_draft taken = dt_draft_begin(short_form, sizeof short_form);
        if (!dt_chat_take_answer(&taken, written, problem->operation)) return false;
        written = (dt_span){short_form, taken.length};
    }
    return problem->operation == DT_DIVIDE ? put_division_answer(text, written, problem, format)
                                           : put_number_answer(text, written, problem, format);
}

dt_status dt_format_answer(char *answer, size_t size, const char *produced,
                           const dt_problem *problem, dt_format format) {
    DT_REQUIRE(size > 0, DT_ERR_INTERNAL, "no room for an answer: a buffer of 0 bytes");
    dt_draft out = dt_draft_begin(answer, size);
    dt_span written = dt_format_produced(produced);
    if (dt_format_has_working(format)) {
        dt_span working;
        DT_REQUIRE(dt_span_cut(&working, &written, written, '='), DT_ERR_DATA,
                   "the model's text \"%.60s\" has no '=' between its working and an answer",
                   produced);
    }
    const bool understood = put_people_answer(&out, written, problem, format);
    if (!understood || out.full) answer[0] = '\0';
    DT_REQUIRE(understood, DT_ERR_DATA,
               "the model's text \"%.60s\" is no answer to a problem with '%c'", produced,
               dt_operation_symbol(problem->operation));
    DT_REQUIRE(!out.full, DT_ERR_DATA, "the model's answer, \"%.60s\", does not fit into %zu bytes",
               written.at, size);
    return DT_OK;
}

/* ---- sizes ---- */

typedef struct {
    size_t length; /* characters, which are tokens; in UTF-8 a byte or more each */
    size_t run;    /* digits in a row */
} extent;

/* What is wide, as the settings have it written. */
typedef struct {
    dt_format format;
    dt_marks marks;
} writing;

static void widen_as(extent *widest, const dt_problem *problem, const writing *how,
                     size_t phrasing) {
    dt_text text = {0};
    dt_digit_run run = {.marked = how->marks == DT_MARKS_START};
    if (dt_format_write_text(&text, problem, how->format, how->marks, phrasing) != DT_OK) {
        widest->length = DT_PROBLEM_TEXT_MAX;
        dt_text_destroy(&text);
        return;
    }
    for (const char *at = text.bytes; *at; at++) {
        dt_digit_run_take(&run, *at);
        if (run.digits > widest->run) widest->run = run.digits;
    }
    widest->length = dt_max_size(widest->length, dt_utf8_count(text.bytes));
    dt_text_destroy(&text);
}

static void widen(extent *widest, const dt_problem *problem, const writing *how) {
    const size_t phrasings = how->format == DT_FORMAT_CHAT ? DT_PHRASINGS : 1;
    for (size_t i = 0; i < phrasings; i++) widen_as(widest, problem, how, i);
}

static dt_number nines(int64_t digits) {
    const dt_number power = dt_power_of_ten((size_t)digits), one = DT_NUMBER(1);
    return dt_number_difference(&power, &one);
}

static dt_number least_of(int64_t digits) {
    return digits > 1 ? dt_power_of_ten((size_t)digits - 1) : dt_number_of(0);
}

static dt_number sevens(int64_t digits) {
    dt_number n = DT_NUMBER(0);
    for (int64_t i = 0; i < digits; i++) dt_number_append_digit(&n, 7);
    return n;
}

/*
 * The widest problem of each operation is known, so that writing it gives the exact bound. All
 * nines carry at every place of a sum or product. 10…0 - 9…9 is negative with a full-length result.
 * Each digit of a quotient is a step, whatever it is; the smallest divisor of a length leaves
 * room for most of them and for a remainder of that length.
 */
static dt_problem widest_division(int64_t dividend_digits, int64_t divisor_digits) {
    const dt_number power = dt_power_of_ten((size_t)divisor_digits - 1), one = DT_NUMBER(1);
    const int64_t steps = dividend_digits - divisor_digits + 1;
    if (steps < 1) return (dt_problem){DT_DIVIDE, nines(dividend_digits), power};
    const dt_number quotient = sevens(steps), divisor = dt_number_sum(&power, &one);
    if (divisor_digits == 1) return (dt_problem){DT_DIVIDE, quotient, one};
    const dt_number product = dt_number_product(&quotient, &divisor);
    return (dt_problem){DT_DIVIDE, dt_number_sum(&product, &power), divisor};
}

static extent widest(const dt_config *config) {
    const writing how = {(dt_format)config->format, (dt_marks)config->marks};
    const int64_t digits = config->digits;
    extent most = {0};
    for (const char *op = config->ops; *op; op++) {
        switch (*op) {
        case '+': widen(&most, &(dt_problem){DT_ADD, nines(digits), nines(digits)}, &how); break;
        case '-':
            widen(&most, &(dt_problem){DT_SUBTRACT, least_of(digits), nines(digits)}, &how);
            break;
        case '*':
            widen(&most, &(dt_problem){DT_MULTIPLY, nines(digits), nines(digits)}, &how);
            break;
        case '/':
            for (int64_t n = 1; n <= config->divisor_digits; n++) {
                const dt_problem division = widest_division(config->dividend_digits, n);
                widen(&most, &division, &how);
            }
            break;
        default: break;
        }
    }
    return most;
}

size_t dt_format_longest(const dt_config *config) { return widest(config).length; }

size_t dt_format_places(const dt_config *config) { return widest(config).run + 1; }
