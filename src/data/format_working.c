/* The model's working for people, line by line; what cannot be understood stands as produced. */
#include "format.h"

/* "00645" -> 54600; shifted partial products of nothing are zeros alone. */
static bool put_shifted(dt_text *text, dt_span partial, size_t zeros) {
    if (partial.count <= zeros) return false;
    for (size_t i = 0; i < zeros; i++) {
        if (partial.at[i] != '0') return false;
    }
    const dt_span digits = {partial.at + zeros, partial.count - zeros};
    if (!dt_span_is_number(digits, DT_LEAST_FIRST)) return false;
    if (digits.count == 1 && digits.at[0] == '0') {
        dt_text_char(text, '0');
    } else {
        dt_text_span_reversed(text, partial);
    }
    return true;
}

/* Step k of a product: "01191+20202" -> "273 * 70 = 19110, sum 20202". */
static bool put_product_step(dt_text *text, dt_span step, const dt_problem *problem, size_t k) {
    dt_span partial, sum;
    if (k >= dt_digit_count(problem->b)) return false;
    const bool has_sum = dt_span_cut(&partial, &sum, step, '+');
    if (has_sum != (k > 0) || (has_sum && !dt_span_is_number(sum, DT_LEAST_FIRST))) return false;
    const dt_number scale = dt_power_of_ten(k);
    dt_text_number(text, problem->a);
    dt_text_string(text, " * ");
    dt_text_number(text, problem->b / scale % 10 * scale);
    dt_text_string(text, " = ");
    if (!put_shifted(text, partial, k)) return false;
    if (has_sum) {
        dt_text_string(text, ", sum ");
        dt_text_span_reversed(text, sum);
    }
    return true;
}

/* Step of a division: "602:2,241,46" -> "206 / 71 = 2, 2 * 71 = 142, rest 64". */
static bool put_quotient_step(dt_text *text, dt_span step, const dt_problem *problem) {
    dt_span before, digit, product, rest;
    if (!dt_span_cut(&before, &rest, step, ':') || !dt_span_cut(&digit, &rest, rest, ',') ||
        !dt_span_cut(&product, &rest, rest, ',')) {
        return false;
    }
    if (!dt_span_is_number(before, DT_LEAST_FIRST) || digit.count != 1 ||
        !dt_span_is_number(digit, DT_MOST_FIRST) || !dt_span_is_number(product, DT_LEAST_FIRST) ||
        !dt_span_is_number(rest, DT_LEAST_FIRST)) {
        return false;
    }
    dt_text_span_reversed(text, before);
    dt_text_string(text, " / ");
    dt_text_number(text, problem->b);
    dt_text_string(text, " = ");
    dt_text_span(text, digit);
    dt_text_string(text, ", ");
    dt_text_span(text, digit);
    dt_text_string(text, " * ");
    dt_text_number(text, problem->b);
    dt_text_string(text, " = ");
    dt_text_span_reversed(text, product);
    dt_text_string(text, ", rest ");
    dt_text_span_reversed(text, rest);
    return true;
}

static void put_steps(dt_text *text, dt_span steps, const dt_problem *problem) {
    const bool multiplies = problem->operation == DT_MULTIPLY;
    bool more = steps.count > 0;
    for (size_t k = 0; more; k++) {
        dt_span step;
        more = dt_span_cut(&step, &steps, steps, multiplies ? ',' : ';');
        if (k > 0) dt_text_char(text, '\n');
        const size_t line_start = text->length;
        const bool understood = multiplies ? put_product_step(text, step, problem, k)
                                           : put_quotient_step(text, step, problem);
        if (!understood) {
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
    put_steps(&out, steps, problem);
}
