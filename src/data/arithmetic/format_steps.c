/* The working of a problem as the model writes it: small steps, each of which needs only a few
 * digits that stand before it. */
#include "format.h"

/* Exactly `width` digits, so that no step has to find out how long its result will be. */
static void put_padded(dt_draft *text, dt_number n, size_t width) {
    for (size_t i = 0; i < width; i++) {
        dt_draft_char(text, (char)('0' + (int)(n % 10)));
        n /= 10;
    }
}

/* a + b: 789+456 gives "onl1". Each digit says whether it carries: else the next one would have to
   find that out from the numbers before as well. */
static void put_sum(dt_draft *text, dt_number a, dt_number b, size_t width) {
    unsigned carry = 0;
    for (size_t i = 0; i < width; i++) {
        const unsigned sum = (unsigned)(a % 10 + b % 10) + carry;
        carry = sum / 10;
        dt_draft_char(text, dt_digit_character(sum % 10, carry > 0));
        a /= 10;
        b /= 10;
    }
}

/* a - b: 123-45 gives "sq0"; where a < b the last digit borrows. */
static void put_difference(dt_draft *text, dt_number a, dt_number b, size_t width) {
    unsigned borrow = 0;
    for (size_t i = 0; i < width; i++) {
        const unsigned from = (unsigned)(a % 10), taken = (unsigned)(b % 10) + borrow;
        borrow = from < taken;
        dt_draft_char(text, dt_digit_character(from + 10 * borrow - taken, borrow > 0));
        a /= 10;
        b /= 10;
    }
}

/* A negative difference is known by its last digit, which borrows. What is missing in it to what
   was borrowed follows: 45-123 gives "22t,sqj", 922 - 1000 and 78. */
static void put_difference_steps(dt_draft *text, dt_number a, dt_number b) {
    const size_t width = dt_digit_count(a > b ? a : b);
    put_difference(text, a, b, width);
    if (a >= b) return;
    dt_draft_char(text, ',');
    put_difference(text, 0, dt_power_of_ten(width) - (b - a), width);
}

/* a times a digit: 273 * 4 gives "2bS9cS01". Before each digit but the first and the last, which is
   the last carry, stand what is carried to it, a to i for 0 to 8, and the last digit of the product
   of the two digits, K to T for 0 to 9: to find a product and to add a carry to it are two things.
 */
static void put_partial_product(dt_draft *text, dt_number a, unsigned digit) {
    unsigned product = (unsigned)(a % 10) * digit;
    dt_draft_char(text, (char)('0' + (int)(product % 10)));
    while ((a /= 10) > 0) {
        const unsigned carry = product / 10, plain = (unsigned)(a % 10) * digit;
        product = plain + carry;
        dt_draft_char(text, (char)('a' + (int)carry));
        dt_draft_char(text, (char)('K' + (int)(plain % 10)));
        dt_draft_char(text, (char)('0' + (int)(product % 10)));
    }
    dt_draft_char(text, (char)('0' + (int)(product / 10)));
}

/* For each digit of b from the right: a times it, shifted, then the sum:
 * "2bS9cS01,01cT1fO91+2j2j2". */
static void put_product_steps(dt_draft *text, dt_number a, dt_number b) {
    const size_t width = dt_digit_count(a) + 1;
    dt_number sum = 0, scale = 1;
    for (size_t k = 0; k == 0 || b > 0; k++) {
        const unsigned digit = (unsigned)(b % 10);
        const dt_number partial = a * digit * scale;
        b /= 10;
        scale *= 10;
        if (k > 0) dt_draft_char(text, ',');
        for (size_t zeros = 0; zeros < k; zeros++) dt_draft_char(text, '0');
        put_partial_product(text, a, digit);
        if (k > 0) {
            dt_draft_char(text, '+');
            put_sum(text, sum, partial, width + k);
        }
        sum += partial;
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
static void put_quotient_digit(dt_draft *text, dt_number *rest, dt_number b, size_t width) {
    static const char first[] = {'K', 'F', 'C', 'A'}; /* letter, by bit */
    const dt_number digit = *rest / b;
    put_padded(text, *rest, width);
    dt_draft_char(text, ',');
    for (int bit = 3; bit >= 0; bit--) {
        const dt_number part = b << bit;
        put_difference(text, *rest, part, width);
        if (*rest >= part) *rest -= part;
        dt_draft_char(text, (char)(first[bit] + (int)(digit >> bit)));
    }
    put_padded(text, *rest, width - 1);
}

/* The quotient so far, each digit in the place of the dividend's digit that it belongs to: so the
   token behind it has the place of the digit to be brought down, or of the end of the dividend. */
static void put_quotient(dt_draft *text, dt_number taken, dt_number b) {
    const size_t width = dt_digit_count(taken), digits = dt_digit_count(taken / b);
    for (size_t i = digits; i < width; i++) dt_draft_char(text, '0');
    dt_draft_number(text, taken / b);
}

/* Long division: 2, 4 and 8 times the divisor, then a digit of the quotient a step, then a '/':
   brought down where a digit would be, it ends the dividend in a formula. The first step has as
   many digits of the dividend as the divisor has, though its digit may be 0 then: to find out how
   many give another one would be a comparison of its own. */
static void put_quotient_steps(dt_draft *text, dt_number a, dt_number b) {
    const size_t digits_a = dt_digit_count(a), digits_b = dt_digit_count(b),
                 width = digits_b + 1; /* holds 9 times b, and each rest */
    dt_number place = digits_a > digits_b ? dt_power_of_ten(digits_a - digits_b) : 1;
    for (int bit = 1; bit <= 3; bit++) {
        put_padded(text, b << bit, width);
        dt_draft_char(text, bit < 3 ? ',' : ';');
    }
    dt_number rest = a / place;
    for (;;) {
        put_quotient_digit(text, &rest, b, width);
        dt_draft_char(text, ',');
        put_quotient(text, a / place, b);
        dt_draft_char(text, ';');
        if (place == 1) break;
        place /= 10; /* of the digit brought down */
        rest = rest * 10 + a / place % 10;
    }
    dt_draft_char(text, '/');
}

size_t dt_format_result_width(const dt_problem *problem) {
    const size_t digits_a = dt_digit_count(problem->a), digits_b = dt_digit_count(problem->b),
                 longer = digits_a > digits_b ? digits_a : digits_b;
    switch (problem->operation) {
    case DT_ADD: return longer + 1;
    case DT_SUBTRACT: return longer;
    case DT_MULTIPLY: return digits_a + digits_b;
    default: return digits_a;
    }
}

void dt_format_put_result(dt_draft *text, const dt_problem *problem) {
    const dt_number a = problem->a, b = problem->b;
    const size_t width = dt_format_result_width(problem);
    switch (problem->operation) {
    case DT_ADD: put_padded(text, a + b, width); break;
    case DT_SUBTRACT:
        if (a < b) dt_draft_char(text, '-');
        put_padded(text, a < b ? b - a : a - b, width);
        break;
    case DT_MULTIPLY: put_padded(text, a * b, width); break;
    case DT_DIVIDE:
        put_quotient(text, a, b);
        dt_draft_char(text, 'r');
        put_padded(text, a % b, dt_digit_count(b));
        break;
    case DT_OPERATIONS: break;
    }
}

bool dt_format_has_working(dt_format format) {
    return format == DT_FORMAT_SCRATCHPAD || format == DT_FORMAT_CHAT;
}

void dt_format_put_steps(dt_draft *text, const dt_problem *problem) {
    const dt_number a = problem->a, b = problem->b;
    switch (problem->operation) {
    case DT_ADD: put_sum(text, a, b, dt_format_result_width(problem)); break;
    case DT_SUBTRACT: put_difference_steps(text, a, b); break;
    case DT_MULTIPLY: put_product_steps(text, a, b); break;
    case DT_DIVIDE: put_quotient_steps(text, a, b); break;
    case DT_OPERATIONS: break;
    }
}
