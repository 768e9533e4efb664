/* The model's working for people, line by line; what cannot be understood stands as produced. */
#include <string.h>

#include "format.h"

/* Digits, perhaps with zeros that a fixed width asks for. */
static bool is_padded(dt_span span) {
    for (size_t i = 0; i < span.count; i++) {
        if (span.at[i] < '0' || span.at[i] > '9') return false;
    }
    return span.count > 0;
}

/* How many digits it begins with, those that carry or borrow among them. */
static size_t carried_digits(dt_span span) {
    size_t count = 0;
    while (count < span.count && dt_digit_value(span.at[count]) >= 0) count++;
    return count;
}

static bool is_carried(dt_span span) {
    return span.count > 0 && carried_digits(span) == span.count;
}

/* "0645000" -> "5460", "sq0" -> "78". */
static void put_stripped(dt_draft *text, dt_span padded) {
    bool significant = false;
    for (size_t i = padded.count; i > 0; i--) {
        const int digit = dt_digit_value(padded.at[i - 1]);
        significant |= digit > 0 || i == 1;
        if (significant) dt_draft_char(text, dt_digit_character((unsigned)digit, false));
    }
}

/* "789 + 456 = ". */
static void put_problem(dt_draft *text, const dt_problem *problem) {
    const char spaced[] = {' ', dt_operation_symbol(problem->operation), ' ', '\0'};
    dt_draft_number(text, &problem->a);
    dt_draft_string(text, spaced);
    dt_draft_number(text, &problem->b);
    dt_draft_string(text, " = ");
}

/* "onl1" -> "789 + 456 = 1245". */
static bool put_sum(dt_draft *text, dt_span digits, const dt_problem *problem) {
    if (!is_carried(digits)) return false;
    put_problem(text, problem);
    put_stripped(text, digits);
    return true;
}

static void put_power_of_ten(dt_draft *text, size_t zeros) {
    dt_draft_char(text, '1');
    for (size_t i = 0; i < zeros; i++) dt_draft_char(text, '0');
}

/* a - b where a < b: "22t" -> "45 - 123 = 922 - 1000"; otherwise "sq0" -> "123 - 45 = 78". */
static bool put_difference(dt_draft *text, dt_span digits, const dt_problem *problem) {
    if (!is_carried(digits)) return false;
    put_problem(text, problem);
    put_stripped(text, digits);
    if (dt_number_compare(&problem->a, &problem->b) >= 0) return true;
    dt_draft_string(text, " - ");
    put_power_of_ten(text, digits.count);
    return true;
}

/* What is missing in a difference to what was borrowed: "sqj" behind "22t" -> "1000 - 922 = 78". */
static bool put_complement(dt_draft *text, dt_span digits, dt_span difference) {
    if (!is_carried(digits) || !is_carried(difference)) return false;
    put_power_of_ten(text, difference.count);
    dt_draft_string(text, " - ");
    put_stripped(text, difference);
    dt_draft_string(text, " = ");
    put_stripped(text, digits);
    return true;
}

/* Whether these are digits, between some of them a carry and what it is added to: "2bS9cS01". */
static bool is_partial(dt_span partial) {
    for (size_t i = 0; i < partial.count; i++) {
        const char *at = partial.at + i;
        if (*at >= '0' && *at <= '9') continue;
        if (*at < 'a' || *at > 'i' || i == 0 || i + 2 >= partial.count) return false;
        if (at[1] < 'K' || at[1] > 'T' || !is_padded((dt_span){at + 2, 1})) return false;
        i++;
    }
    return partial.count > 0;
}

/* "2bS9cS01" -> "1092": without the letters. */
static bool put_partial(dt_draft *text, dt_span partial) {
    if (!is_partial(partial)) return false;
    bool significant = false;
    for (size_t i = partial.count; i > 0; i--) {
        const char digit = partial.at[i - 1];
        if (digit < '0' || digit > '9') continue;
        significant |= digit > '0' || i == 1;
        if (significant) dt_draft_char(text, digit);
    }
    return true;
}

/* Digit k of a number, counted from the lowest, times 10^k: "70". */
static void put_digit_and_zeros(dt_draft *text, const dt_number *number, size_t k) {
    dt_number left = *number;
    unsigned digit = dt_number_take_digit(&left);
    for (size_t i = 0; i < k; i++) digit = dt_number_take_digit(&left);
    dt_draft_char(text, (char)('0' + (int)digit));
    for (size_t i = 0; i < k && digit > 0; i++) dt_draft_char(text, '0');
}

/* Step k of a product: "01cT1fO91+2j2j2" -> "273 * 70 = 19110, sum 20202". */
static bool put_product_step(dt_draft *text, dt_span step, const dt_problem *problem, size_t k) {
    const size_t digits = dt_digit_count(&problem->b);
    dt_span partial, sum;
    if (k >= digits) return false;
    const bool has_sum = dt_span_cut(&partial, &sum, step, '+');
    if (has_sum != (k > 0) || (has_sum && !is_carried(sum))) return false;
    for (size_t i = 0; i < k; i++) {
        if (i + 1 >= partial.count || partial.at[i] != '0') return false;
    }
    dt_draft_number(text, &problem->a);
    dt_draft_string(text, " * ");
    put_digit_and_zeros(text, &problem->b, k);
    dt_draft_string(text, " = ");
    if (!put_partial(text, partial)) return false;
    if (has_sum) {
        dt_draft_string(text, ", sum ");
        put_stripped(text, sum);
    }
    return true;
}

/* "241,482,865" -> "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568". */
static bool put_multiples(dt_draft *text, dt_span step, const dt_problem *problem) {
    static const char *const factor[] = {"2 * ", ", 4 * ", ", 8 * "};
    for (size_t i = 0; i < 3; i++) {
        dt_span multiple;
        if (dt_span_cut(&multiple, &step, step, ',') != (i < 2) || !is_padded(multiple))
            return false;
        dt_draft_string(text, factor[i]);
        dt_draft_number(text, &problem->b);
        dt_draft_string(text, " = ");
        put_stripped(text, multiple);
    }
    return true;
}

/* The digit of the quotient as far as `letter` after `bit` says it; -1: it cannot stand there. */
static int found_digit(char letter, int bit) {
    const char *const letters[] = {"KLMNOPQRST", "FGHIJ", "CDE", "AB"};
    const char *at = letter ? strchr(letters[bit], letter) : NULL;
    return at ? (int)(at - letters[bit]) << bit : -1;
}

/* What is left of a step, and the quotient so far: "10,0029" -> ", quotient 29, remainder 1". */
static bool put_result(dt_draft *text, dt_span result) {
    dt_span rest, quotient;
    if (!dt_span_cut(&rest, &quotient, result, ',')) return false;
    if (!is_padded(rest) || !is_padded(quotient)) return false;
    dt_draft_string(text, ", quotient ");
    dt_draft_span(text, dt_span_stripped(quotient, DT_MOST_FIRST));
    dt_draft_string(text, ", remainder ");
    put_stripped(text, rest);
    return true;
}

/* Differences of a step of 71, and what comes of them: "lq0BssqE03tJ100T10,0029" -> " - 568 = 72 -
 * 71 = 1: 9, quotient 29, remainder 1". */
static bool put_differences(dt_draft *text, dt_span differences, const dt_problem *problem) {
    int found = 0;
    for (int bit = 3; bit >= 0; bit--) {
        const size_t width = carried_digits(differences);
        if (width == 0 || width == differences.count) return false;
        const int before = found;
        found = found_digit(differences.at[width], bit);
        if (found < before || found > before + (1 << bit)) return false;
        if (found > before) {
            dt_draft_string(text, " - ");
            const dt_number part = dt_number_times(&problem->b, UINT64_C(1) << bit);
            dt_draft_number(text, &part);
            dt_draft_string(text, " = ");
            put_stripped(text, (dt_span){differences.at, width});
        }
        differences = (dt_span){differences.at + width + 1, differences.count - width - 1};
    }
    dt_draft_string(text, ": ");
    dt_draft_char(text, (char)('0' + found));
    return put_result(text, differences);
}

/* Step of a division: "046,lq0BssqE03tJ100T10,0029" -> "640 - 568 = 72 - 71 = 1: 9, quotient 29,
 * remainder 1". */
static bool put_quotient_step(dt_draft *text, dt_span step, const dt_problem *problem) {
    dt_span rest, differences;
    if (!dt_span_cut(&rest, &differences, step, ',') || !is_padded(rest)) return false;
    put_stripped(text, rest);
    return put_differences(text, differences, problem);
}

/* Step k, counted from 0, and the one before it. */
static bool put_step(dt_draft *text, dt_span step, dt_span before, const dt_problem *problem,
                     size_t k) {
    switch (problem->operation) {
    case DT_ADD: return k == 0 && put_sum(text, step, problem);
    case DT_SUBTRACT:
        if (k == 0) return put_difference(text, step, problem);
        return k == 1 && dt_number_compare(&problem->a, &problem->b) < 0 &&
               put_complement(text, step, before);
    case DT_MULTIPLY: return put_product_step(text, step, problem, k);
    default:
        return k == 0 ? put_multiples(text, step, problem) : put_quotient_step(text, step, problem);
    }
}

static void put_steps(dt_draft *text, dt_span steps, const dt_problem *problem) {
    const char between = problem->operation == DT_DIVIDE ? ';' : ',';
    bool more = steps.count > 0;
    dt_span step = {0};
    for (size_t k = 0; more; k++) {
        const dt_span before = step;
        more = dt_span_cut(&step, &steps, steps, between);
        if (k > 0) dt_draft_char(text, '\n');
        const size_t line_start = text->length;
        if (!put_step(text, step, before, problem, k)) {
            dt_draft_rewind(text, line_start);
            dt_draft_span(text, step);
        }
    }
}

/* Without working of its own the problem and its answer are the one step. */
static void put_whole(dt_draft *text, const char *produced, const dt_problem *problem,
                      dt_format format) {
    put_problem(text, problem);
    char *answer = text->buffer + text->length;
    if (dt_format_answer(answer, text->size - text->length, produced, problem, format) == DT_OK) {
        text->length += strlen(answer);
        return;
    }
    dt_error_clear();
    dt_draft_rewind(text, 0);
    dt_draft_span(text, dt_format_produced(produced));
}

void dt_format_working(char *text, size_t size, const char *produced, const dt_problem *problem,
                       dt_format format) {
    if (size == 0) return;
    dt_draft out = dt_draft_begin(text, size);
    if (!dt_format_has_working(format)) {
        put_whole(&out, produced, problem, format);
        return;
    }
    dt_span steps = dt_format_produced(produced);
    size_t end = steps.count;
    while (end > 0 && steps.at[end - 1] != '=') end--;
    if (end > 0) steps.count = end - 1;
    /* The "/" for the end of the dividend is no step. */
    if (end > 2 && strncmp(steps.at + end - 3, ";/", 2) == 0) steps.count -= 2;
    put_steps(&out, steps, problem);
}
