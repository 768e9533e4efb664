/* The working of a problem as the model writes it: small steps, each of which needs only a few
 * digits that stand before it. */
#include "format.h"

/* Exactly `width` digits, so that no step has to find out how long its result will be. */
static void put_padded(dt_text *text, dt_number n, size_t width) {
    for (size_t i = 0; i < width; i++) {
        dt_text_char(text, (char)('0' + (int)(n % 10)));
        n /= 10;
    }
}

/* a - b as digits. Where a < b they have a borrow out of the last place; only then is the sign
   known, which the answer begins with, and b - a follows: 45-123 gives "229,321-54,870". */
static void put_difference(dt_text *text, dt_number a, dt_number b) {
    const size_t width = dt_digit_count(a > b ? a : b);
    const dt_number modulus = dt_power_of_ten(width);
    put_padded(text, (a + modulus - b) % modulus, width);
    if (a >= b) return;
    dt_text_char(text, ',');
    dt_text_number_reversed(text, b);
    dt_text_char(text, '-');
    dt_text_number_reversed(text, a);
    dt_text_char(text, ',');
    put_padded(text, b - a, width);
}

/* a times a digit. Before each digit but the first and the last stands what is carried to it, as a
   letter, a to i for 0 to 8: else the model would have to find it out from the digit before. */
static void put_partial_product(dt_text *text, dt_number a, unsigned digit) {
    unsigned carry = 0;
    for (;;) {
        const unsigned product = (unsigned)(a % 10) * digit + carry;
        dt_text_char(text, (char)('0' + (int)(product % 10)));
        carry = product / 10;
        a /= 10;
        if (a == 0) break;
        dt_text_char(text, (char)('a' + (int)carry));
    }
    dt_text_char(text, (char)('0' + (int)carry));
}

/* For each digit of b from the right: a times it, shifted, then the sum: "2b9c01,01c1f91+20202",
   the last time without it, as that sum is the answer. */
static void put_product_steps(dt_text *text, dt_number a, dt_number b) {
    const size_t width = dt_digit_count(a) + 1;
    dt_number sum = 0, scale = 1;
    for (size_t k = 0; k == 0 || b > 0; k++) {
        const unsigned digit = (unsigned)(b % 10);
        sum += a * digit * scale;
        b /= 10;
        scale *= 10;
        if (k > 0) dt_text_char(text, ',');
        for (size_t zeros = 0; zeros < k; zeros++) dt_text_char(text, '0');
        put_partial_product(text, a, digit);
        if (k > 0 && b > 0) {
            dt_text_char(text, '+');
            put_padded(text, sum, width + k);
        }
    }
}

/*
 * A digit of the quotient, found bit by bit: "046,270B887E039J100T10". The rest so far, then after
 * taking away 8, 4, 2 and 1 times the divisor the difference, and as a letter the digit as far as
 * it is found: A, B for 0, 8; C, D, E for 0, 4, 8; F to J for 0, 2, 4, 6, 8; K to T for 0 to 9.
 * What would be negative, a borrow out of its last place, is not taken: so the letter says from
 * which of the numbers before it to go on. All four differences stand there also where 8 leaves no
 * room for 4 and 2, so that each of them stands at the same place in every step. At last what is
 * left: to find it and to bring a digit down to it are two things, and one at a time is learned
 * sooner.
 */
static void put_quotient_digit(dt_text *text, dt_number *rest, dt_number b, size_t width) {
    static const char first[] = {'K', 'F', 'C', 'A'}; /* letter, by bit */
    const dt_number modulus = dt_power_of_ten(width), digit = *rest / b;
    put_padded(text, *rest, width);
    dt_text_char(text, ',');
    for (int bit = 3; bit >= 0; bit--) {
        const dt_number part = b << bit;
        put_padded(text, (*rest + modulus - part) % modulus, width);
        if (*rest >= part) *rest -= part;
        dt_text_char(text, (char)(first[bit] + (int)(digit >> bit)));
    }
    put_padded(text, *rest, width - 1);
}

/* The quotient so far, each digit in the place of the dividend's digit that it belongs to: so the
   sign behind it has the place of the digit to be brought down, or of the end of the dividend. */
static void put_quotient(dt_text *text, dt_number taken, dt_number b) {
    const size_t width = dt_digit_count(taken), digits = dt_digit_count(taken / b);
    for (size_t i = digits; i < width; i++) dt_text_char(text, '0');
    dt_text_number(text, taken / b);
}

/* Long division: 2, 4 and 8 times the divisor, then a digit of the quotient a step, then a '/':
   brought down where a digit would be, it ends the dividend in a formula. The first step has as
   many digits of the dividend as the divisor has, though its digit may be 0 then: to find out how
   many give another one would be a comparison of its own. */
static void put_quotient_steps(dt_text *text, dt_number a, dt_number b) {
    const size_t digits_a = dt_digit_count(a), digits_b = dt_digit_count(b),
                 width = digits_b + 1; /* holds 9 times b, and each rest */
    dt_number place = digits_a > digits_b ? dt_power_of_ten(digits_a - digits_b) : 1;
    for (int bit = 1; bit <= 3; bit++) {
        put_padded(text, b << bit, width);
        dt_text_char(text, bit < 3 ? ',' : ';');
    }
    dt_number rest = a / place;
    for (;;) {
        put_quotient_digit(text, &rest, b, width);
        dt_text_char(text, ',');
        put_quotient(text, a / place, b);
        dt_text_char(text, ';');
        if (place == 1) break;
        place /= 10; /* of the digit brought down */
        rest = rest * 10 + a / place % 10;
    }
    dt_text_char(text, '/');
}

void dt_format_put_result(dt_text *text, const dt_problem *problem) {
    put_quotient(text, problem->a, problem->b);
    dt_text_char(text, 'r');
    put_padded(text, problem->a % problem->b, dt_digit_count(problem->b));
}

bool dt_format_has_working(const dt_problem *problem, dt_format format) {
    return (format == DT_FORMAT_SCRATCHPAD || format == DT_FORMAT_CHAT) &&
           problem->operation != DT_ADD;
}

void dt_format_put_steps(dt_text *text, const dt_problem *problem) {
    switch (problem->operation) {
    case DT_SUBTRACT: put_difference(text, problem->a, problem->b); break;
    case DT_MULTIPLY: put_product_steps(text, problem->a, problem->b); break;
    case DT_DIVIDE: put_quotient_steps(text, problem->a, problem->b); break;
    case DT_ADD:
    case DT_OPERATIONS: break;
    }
}
