/* The working of a problem as the model writes it: small steps, each of which needs only a few
 * digits that stand before it. */
#include "format.h"

/* Exactly `width` digits, so that no step has to find out how long its result will be. */
static void put_padded(dt_draft *text, const dt_number *n, size_t width) {
    dt_number left = *n;
    for (size_t i = 0; i < width; i++)
        dt_draft_char(text, (char)('0' + (int)dt_number_take_digit(&left)));
}

/* a + b: 789+456 gives "onl1". Each digit says whether it carries: else the next one would have to
   find that out from the numbers before as well. */
static void put_sum(dt_draft *text, const dt_number *a, const dt_number *b, size_t width) {
    dt_number x = *a, y = *b;
    unsigned carry = 0;
    for (size_t i = 0; i < width; i++) {
        const unsigned sum = dt_number_take_digit(&x) + dt_number_take_digit(&y) + carry;
        carry = sum / 10;
        dt_draft_char(text, dt_digit_character(sum % 10, carry > 0));
    }
}

/* a - b: 123-45 gives "sq0"; where a < b the last digit borrows. */
static void put_difference(dt_draft *text, const dt_number *a, const dt_number *b, size_t width) {
    dt_number x = *a, y = *b;
    unsigned borrow = 0;
    for (size_t i = 0; i < width; i++) {
        const unsigned from = dt_number_take_digit(&x), taken = dt_number_take_digit(&y) + borrow;
        borrow = from < taken;
        dt_draft_char(text, dt_digit_character(from + 10 * borrow - taken, borrow > 0));
    }
}

/* A negative difference is known by its last digit, which borrows. What is missing in it to what
   was borrowed follows: 45-123 gives "22t,sqj", 922 - 1000 and 78. */
static void put_difference_steps(dt_draft *text, const dt_number *a, const dt_number *b) {
    const bool negative = dt_number_compare(a, b) < 0;
    const size_t width = dt_digit_count(negative ? b : a);
    put_difference(text, a, b, width);
    if (!negative) return;
    const dt_number zero = DT_NUMBER(0), missing = dt_number_difference(b, a),
                    power = dt_power_of_ten(width),
                    borrowed = dt_number_difference(&power, &missing);
    dt_draft_char(text, ',');
    put_difference(text, &zero, &borrowed, width);
}

/* a times a digit: 273 * 4 gives "2bS9cS01". Before each digit but the first and the last, which is
   the last carry, stand what is carried to it, a to i for 0 to 8, and the last digit of the product
   of the two digits, K to T for 0 to 9: to find a product and to add a carry to it are two things.
 */
static void put_partial_product(dt_draft *text, const dt_number *a, unsigned digit) {
    dt_number left = *a;
    unsigned product = dt_number_take_digit(&left) * digit;
    dt_draft_char(text, (char)('0' + (int)(product % 10)));
    while (!dt_number_is_zero(&left)) {
        const unsigned carry = product / 10, plain = dt_number_take_digit(&left) * digit;
        product = plain + carry;
        dt_draft_char(text, (char)('a' + (int)carry));
        dt_draft_char(text, (char)('K' + (int)(plain % 10)));
        dt_draft_char(text, (char)('0' + (int)(product % 10)));
    }
    dt_draft_char(text, (char)('0' + (int)(product / 10)));
}

/* For each digit of b from the right: a times it, shifted, then the sum:
 * "2bS9cS01,01cT1fO91+2j2j2". */
static void put_product_steps(dt_draft *text, const dt_number *a, const dt_number *b) {
    const size_t width = dt_digit_count(a) + 1;
    dt_number left = *b, sum = DT_NUMBER(0), scaled = *a;
    for (size_t k = 0; k == 0 || !dt_number_is_zero(&left); k++) {
        const unsigned digit = dt_number_take_digit(&left);
        const dt_number partial = dt_number_times(&scaled, digit);
        scaled = dt_number_times(&scaled, 10);
        if (k > 0) dt_draft_char(text, ',');
        for (size_t zeros = 0; zeros < k; zeros++) dt_draft_char(text, '0');
        put_partial_product(text, a, digit);
        if (k > 0) {
            dt_draft_char(text, '+');
            put_sum(text, &sum, &partial, width + k);
        }
        sum = dt_number_sum(&sum, &partial);
    }
}

/*
 * A digit of the quotient, found bit by bit: "046,lq0BssqE03tJ100T10". The rest so far, then after
 * taking away 8, 4, 2 and 1 times the divisor the difference, and as a letter the digit as far as
 * it is found: A, B for 0, 8; C, D, E for 0, 4, 8; F to J for 0, 2, 4, 6, 8; K to T for 0 to 9.
 * What would be negative, a borrow out of its last place, is not taken: so the letter says from
 * which of the numbers before it to go on. All four differences stand there also where 8 leaves no
 * room for 4 and 2, so that each of them stands at the same place in every step. At last what is
 * left: to find it and to bring a digit down to it are two things, and one at a time is learned
 * sooner.
 */
static void put_quotient_digit(dt_draft *text, dt_number *rest, const dt_number *b, size_t width) {
    static const char first[] = {'K', 'F', 'C', 'A'}; /* letter, by bit */
    const unsigned digit = (unsigned)dt_number_quotient(NULL, rest, b).limb[0];
    put_padded(text, rest, width);
    dt_draft_char(text, ',');
    for (int bit = 3; bit >= 0; bit--) {
        const dt_number part = dt_number_times(b, UINT64_C(1) << bit);
        put_difference(text, rest, &part, width);
        if (dt_number_compare(rest, &part) >= 0) *rest = dt_number_difference(rest, &part);
        dt_draft_char(text, (char)(first[bit] + (int)(digit >> bit)));
    }
    put_padded(text, rest, width - 1);
}

/* The quotient so far, each digit in the place of the dividend's digit that it belongs to: so the
   token behind it has the place of the digit to be brought down, or of the end of the dividend. */
static void put_quotient(dt_draft *text, const dt_number *taken, const dt_number *b) {
    const dt_number quotient = dt_number_quotient(NULL, taken, b);
    const size_t width = dt_digit_count(taken), digits = dt_digit_count(&quotient);
    for (size_t i = digits; i < width; i++) dt_draft_char(text, '0');
    dt_draft_number(text, &quotient);
}

/* Long division: 2, 4 and 8 times the divisor, then a digit of the quotient a step, then a '/':
   brought down where a digit would be, it ends the dividend in a formula. The first step has as
   many digits of the dividend as the divisor has, though its digit may be 0 then: to find out how
   many give another one would be a comparison of its own. */
static void put_quotient_steps(dt_draft *text, const dt_number *a, const dt_number *b) {
    const size_t digits_a = dt_digit_count(a), digits_b = dt_digit_count(b),
                 width = digits_b + 1; /* holds 9 times b, and each rest */
    const dt_decimal dividend = dt_decimal_of(a);
    for (int bit = 1; bit <= 3; bit++) {
        const dt_number multiple = dt_number_times(b, UINT64_C(1) << bit);
        put_padded(text, &multiple, width);
        dt_draft_char(text, bit < 3 ? ',' : ';');
    }
    dt_number taken = DT_NUMBER(0), rest;
    size_t brought = 0; /* digits of the dividend in `taken` */
    while (brought < digits_b && brought < digits_a)
        dt_number_append_digit(&taken, (unsigned)(dividend.text[brought++] - '0'));
    rest = taken;
    for (;;) {
        put_quotient_digit(text, &rest, b, width);
        dt_draft_char(text, ',');
        put_quotient(text, &taken, b);
        dt_draft_char(text, ';');
        if (brought == digits_a) break;
        const unsigned next = (unsigned)(dividend.text[brought++] - '0');
        dt_number_append_digit(&taken, next);
        dt_number_append_digit(&rest, next);
    }
    dt_draft_char(text, '/');
}

size_t dt_format_result_width(const dt_problem *problem) {
    const size_t digits_a = dt_digit_count(&problem->a), digits_b = dt_digit_count(&problem->b),
                 longer = digits_a > digits_b ? digits_a : digits_b;
    switch (problem->operation) {
    case DT_ADD: return longer + 1;
    case DT_SUBTRACT: return longer;
    case DT_MULTIPLY: return digits_a + digits_b;
    default: return digits_a;
    }
}

void dt_format_put_result(dt_draft *text, const dt_problem *problem) {
    const dt_number *a = &problem->a, *b = &problem->b;
    const size_t width = dt_format_result_width(problem);
    dt_number result;
    switch (problem->operation) {
    case DT_ADD:
        result = dt_number_sum(a, b);
        put_padded(text, &result, width);
        break;
    case DT_SUBTRACT:
        if (dt_number_compare(a, b) < 0) dt_draft_char(text, '-');
        result = dt_number_distance(a, b);
        put_padded(text, &result, width);
        break;
    case DT_MULTIPLY:
        result = dt_number_product(a, b);
        put_padded(text, &result, width);
        break;
    case DT_DIVIDE:
        put_quotient(text, a, b);
        dt_draft_char(text, 'r');
        dt_number_quotient(&result, a, b);
        put_padded(text, &result, dt_digit_count(b));
        break;
    case DT_OPERATIONS: break;
    }
}

bool dt_format_has_working(dt_format format) {
    return format == DT_FORMAT_SCRATCHPAD || format == DT_FORMAT_CHAT;
}

void dt_format_put_steps(dt_draft *text, const dt_problem *problem) {
    const dt_number *a = &problem->a, *b = &problem->b;
    switch (problem->operation) {
    case DT_ADD: put_sum(text, a, b, dt_format_result_width(problem)); break;
    case DT_SUBTRACT: put_difference_steps(text, a, b); break;
    case DT_MULTIPLY: put_product_steps(text, a, b); break;
    case DT_DIVIDE: put_quotient_steps(text, a, b); break;
    case DT_OPERATIONS: break;
    }
}
