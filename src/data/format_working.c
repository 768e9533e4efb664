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

/* "0645000" -> "5460". */
static void put_stripped(dt_text *text, dt_span padded) {
    while (padded.count > 1 && padded.at[padded.count - 1] == '0') padded.count--;
    dt_text_span_reversed(text, padded);
}

/* a - b where a < b: "229" -> "45 - 123 = 922 - 1000"; otherwise "870" -> "123 - 45 = 78". */
static bool put_difference(dt_text *text, dt_span digits, dt_number a, dt_number b) {
    if (!is_padded(digits)) return false;
    dt_text_number(text, a);
    dt_text_string(text, " - ");
    dt_text_number(text, b);
    dt_text_string(text, " = ");
    put_stripped(text, digits);
    if (a >= b) return true;
    dt_text_string(text, " - 1");
    for (size_t i = 0; i < digits.count; i++) dt_text_char(text, '0');
    return true;
}

/* A difference the other way round: "321-54,870" -> "123 - 45 = 78". */
static bool put_swapped(dt_text *text, dt_span step) {
    dt_span larger, smaller, digits;
    dt_span_cut(&larger, &digits, step, '-');
    if (!dt_span_cut(&smaller, &digits, digits, ',')) return false;
    if (!is_padded(larger) || !is_padded(smaller) || !is_padded(digits)) return false;
    put_stripped(text, larger);
    dt_text_string(text, " - ");
    put_stripped(text, smaller);
    dt_text_string(text, " = ");
    put_stripped(text, digits);
    return true;
}

/* Step k of a product: "01191+20202" -> "273 * 70 = 19110, sum 20202". */
static bool put_product_step(dt_text *text, dt_span step, const dt_problem *problem, size_t k) {
    dt_span partial, sum;
    if (k >= dt_digit_count(problem->b)) return false;
    const bool has_sum = dt_span_cut(&partial, &sum, step, '+');
    if (has_sum != (k > 0) || (has_sum && !is_padded(sum)) || !is_padded(partial)) return false;
    for (size_t i = 0; i < k; i++) {
        if (i + 1 >= partial.count || partial.at[i] != '0') return false;
    }
    dt_text_number(text, problem->a);
    dt_text_string(text, " * ");
    const dt_number scale = dt_power_of_ten(k);
    dt_text_number(text, problem->b / scale % 10 * scale);
    dt_text_string(text, " = ");
    put_stripped(text, partial);
    if (has_sum) {
        dt_text_string(text, ", sum ");
        put_stripped(text, sum);
    }
    return true;
}

/* "241,482,865" -> "2 * 71 = 142, 4 * 71 = 284, 8 * 71 = 568". */
static bool put_multiples(dt_text *text, dt_span step, const dt_problem *problem) {
    static const char *const factor[] = {"2 * ", ", 4 * ", ", 8 * "};
    for (size_t i = 0; i < 3; i++) {
        dt_span multiple;
        if (dt_span_cut(&multiple, &step, step, ',') != (i < 2) || !is_padded(multiple))
            return false;
        dt_text_string(text, factor[i]);
        dt_text_number(text, problem->b);
        dt_text_string(text, " = ");
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

/* "0029" -> "29". */
static void put_quotient(dt_text *text, dt_span digits) {
    while (digits.count > 1 && digits.at[0] == '0')
        digits = (dt_span){digits.at + 1, digits.count - 1};
    dt_text_span(text, digits);
}

/* Differences of a step of 71, and the quotient so far: "270B887E039J100T0029" -> " - 568 = 72 - 71
 * = 1: 9, quotient 29". */
static bool put_differences(dt_text *text, dt_span differences, const dt_problem *problem) {
    int found = 0;
    for (int bit = 3; bit >= 0; bit--) {
        size_t width = 0;
        while (width < differences.count && differences.at[width] >= '0' &&
               differences.at[width] <= '9') {
            width++;
        }
        if (width == 0 || width == differences.count) return false;
        const int before = found;
        found = found_digit(differences.at[width], bit);
        if (found < before || found > before + (1 << bit)) return false;
        if (found > before) {
            dt_text_string(text, " - ");
            dt_text_number(text, problem->b << bit);
            dt_text_string(text, " = ");
            put_stripped(text, (dt_span){differences.at, width});
        }
        differences = (dt_span){differences.at + width + 1, differences.count - width - 1};
    }
    dt_text_string(text, ": ");
    dt_text_number(text, (dt_number)found);
    if (!is_padded(differences)) return false;
    dt_text_string(text, ", quotient ");
    put_quotient(text, differences);
    return true;
}

/* Step of a division: "046,270B887E039J100T0029" -> "640 - 568 = 72 - 71 = 1: 9, quotient 29"; what
 * is left, with the end of the dividend brought down: "/10" -> "remainder 1". */
static bool put_quotient_step(dt_text *text, dt_span step, const dt_problem *problem, bool last) {
    dt_span rest, differences;
    if (dt_span_cut(&rest, &differences, step, ',')) {
        if (!is_padded(rest)) return false;
        put_stripped(text, rest);
        return put_differences(text, differences, problem);
    }
    if (!last || step.count == 0 || step.at[0] != '/') return false;
    const dt_span remainder = {step.at + 1, step.count - 1};
    if (!is_padded(remainder)) return false;
    dt_text_string(text, "remainder ");
    put_stripped(text, remainder);
    return true;
}

/* Step k, counted from 0; last: the answer follows it. */
static bool put_step(dt_text *text, dt_span step, const dt_problem *problem, size_t k, bool last) {
    switch (problem->operation) {
    case DT_SUBTRACT:
        return k == 0 ? put_difference(text, step, problem->a, problem->b)
                      : k == 1 && put_swapped(text, step);
    case DT_MULTIPLY: return put_product_step(text, step, problem, k);
    default:
        return k == 0 ? put_multiples(text, step, problem)
                      : put_quotient_step(text, step, problem, last);
    }
}

/* whole: the answer follows. */
static void put_steps(dt_text *text, dt_span steps, const dt_problem *problem, bool whole) {
    char between = problem->operation == DT_DIVIDE ? ';' : ',';
    bool more = steps.count > 0;
    for (size_t k = 0; more; k++) {
        dt_span step;
        more = dt_span_cut(&step, &steps, steps, between);
        if (problem->operation == DT_SUBTRACT) between = '\0'; /* the second is the last */
        if (k > 0) dt_text_char(text, '\n');
        const size_t line_start = text->length;
        if (!put_step(text, step, problem, k, whole && !more)) {
            dt_text_rewind(text, line_start);
            dt_text_span(text, step);
        }
    }
}

/* Without working of its own the problem and its answer are the one step. */
static void put_whole(dt_text *text, const char *produced, const dt_problem *problem,
                      dt_format format) {
    char answer[DT_TEXT_MAX];
    if (dt_format_answer(answer, sizeof answer, produced, problem, format) != DT_OK) {
        dt_error_clear();
        dt_text_span(text, dt_format_produced(produced));
        return;
    }
    const char sign[] = {' ', dt_operation_symbol(problem->operation), ' ', '\0'};
    dt_text_number(text, problem->a);
    dt_text_string(text, sign);
    dt_text_number(text, problem->b);
    dt_text_string(text, " = ");
    dt_text_string(text, answer);
}

void dt_format_working(char *text, size_t size, const char *produced, const dt_problem *problem,
                       dt_format format) {
    if (size == 0) return;
    dt_text out = dt_text_begin(text, size);
    if (!dt_format_has_working(problem, format)) {
        put_whole(&out, produced, problem, format);
        return;
    }
    dt_span steps = dt_format_produced(produced);
    size_t end = steps.count;
    while (end > 0 && steps.at[end - 1] != '=') end--;
    if (end > 0) steps.count = end - 1;
    put_steps(&out, steps, problem, end > 0);
}
