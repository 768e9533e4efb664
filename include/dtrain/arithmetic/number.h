/* Natural numbers of more digits than any operand or answer has. */
#ifndef DTRAIN_NUMBER_H
#define DTRAIN_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 768 bits hold 231 digits. */
enum { DT_NUMBER_LIMBS = 12, DT_NUMBER_DIGITS = 231 };

/* Limb i counts 2^(64 i). Plain data: {{7}} is 7, and equal numbers have equal bytes. */
typedef struct {
    uint64_t limb[DT_NUMBER_LIMBS];
} dt_number;

/* x, which has at most 64 bits, as an initialiser. */
#define DT_NUMBER(x)                                                                               \
    {                                                                                              \
        { (x) }                                                                                    \
    }

dt_number dt_number_of(uint64_t x);

/* 10^n, n < DT_NUMBER_DIGITS. */
dt_number dt_power_of_ten(size_t n);

/* Digits of n as written; 0 has one. */
size_t dt_digit_count(const dt_number *n);

/* Below 0, 0 or above 0, as a is less than, equal to or greater than b. */
int dt_number_compare(const dt_number *a, const dt_number *b);
bool dt_number_is_zero(const dt_number *n);
bool dt_number_fits(const dt_number *n, uint64_t most); /* n <= most */

/* A result that does not fit loses its highest bits. */
dt_number dt_number_sum(const dt_number *a, const dt_number *b);
dt_number dt_number_difference(const dt_number *a, const dt_number *b); /* a >= b */
dt_number dt_number_product(const dt_number *a, const dt_number *b);
dt_number dt_number_times(const dt_number *a, uint64_t factor);

dt_number dt_number_distance(const dt_number *a, const dt_number *b); /* |a - b| */

/* a / b, b > 0. rest: a % b; NULL: not wanted. */
dt_number dt_number_quotient(dt_number *rest, const dt_number *a, const dt_number *b);

/* The lowest digit, which is taken off: n becomes n / 10. */
unsigned dt_number_take_digit(dt_number *n);

/* n becomes 10 n + digit. */
void dt_number_append_digit(dt_number *n, unsigned digit);

/* A number in decimal, to be printed at once: dt_decimal_of(&n).text. */
typedef struct {
    char text[DT_NUMBER_DIGITS + 2];
} dt_decimal;

dt_decimal dt_decimal_of(const dt_number *n);

#endif
