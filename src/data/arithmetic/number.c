/* Natural numbers of a fixed room, by GMP's functions on limbs. */
#include "dtrain/arithmetic/number.h"

#include <gmp.h>
#include <string.h>

_Static_assert(sizeof(mp_limb_t) == sizeof(uint64_t) && GMP_NUMB_BITS == 64,
               "GMP counts in limbs of 64 bits");

/* GMP's type has the same 64 bits, and may be another one for the compiler. */
static mp_limb_t *limbs(dt_number *n) { return (mp_limb_t *)(void *)n->limb; }
static const mp_limb_t *limbs_of(const dt_number *n) {
    return (const mp_limb_t *)(const void *)n->limb;
}

/* How many limbs there are up to the highest that is not 0. */
static size_t used(const dt_number *n) {
    size_t count = DT_NUMBER_LIMBS;
    while (count > 0 && n->limb[count - 1] == 0) count--;
    return count;
}

dt_number dt_number_of(uint64_t x) { return (dt_number)DT_NUMBER(x); }

int dt_number_compare(const dt_number *a, const dt_number *b) {
    return mpn_cmp(limbs_of(a), limbs_of(b), DT_NUMBER_LIMBS);
}

bool dt_number_is_zero(const dt_number *n) { return used(n) == 0; }

bool dt_number_fits(const dt_number *n, uint64_t most) {
    return used(n) <= 1 && n->limb[0] <= most;
}

dt_number dt_number_sum(const dt_number *a, const dt_number *b) {
    dt_number sum;
    mpn_add_n(limbs(&sum), limbs_of(a), limbs_of(b), DT_NUMBER_LIMBS);
    return sum;
}

dt_number dt_number_difference(const dt_number *a, const dt_number *b) {
    dt_number difference;
    mpn_sub_n(limbs(&difference), limbs_of(a), limbs_of(b), DT_NUMBER_LIMBS);
    return difference;
}

dt_number dt_number_distance(const dt_number *a, const dt_number *b) {
    return dt_number_compare(a, b) < 0 ? dt_number_difference(b, a) : dt_number_difference(a, b);
}

dt_number dt_number_times(const dt_number *a, uint64_t factor) {
    dt_number product = {{0}};
    const size_t count = used(a);
    if (count == 0) return product;
    const mp_limb_t carry = mpn_mul_1(limbs(&product), limbs_of(a), (mp_size_t)count, factor);
    if (count < DT_NUMBER_LIMBS) product.limb[count] = carry;
    return product;
}

dt_number dt_number_product(const dt_number *a, const dt_number *b) {
    uint64_t whole[2 * DT_NUMBER_LIMBS] = {0};
    dt_number product;
    mpn_mul_n((mp_limb_t *)(void *)whole, limbs_of(a), limbs_of(b), DT_NUMBER_LIMBS);
    memcpy(product.limb, whole, sizeof product.limb);
    return product;
}

dt_number dt_number_quotient(dt_number *rest, const dt_number *a, const dt_number *b) {
    dt_number quotient = {{0}}, left = {{0}};
    const size_t a_limbs = used(a), b_limbs = used(b);
    if (a_limbs < b_limbs) {
        left = *a;
    } else if (b_limbs == 1) {
        left.limb[0] =
            mpn_divrem_1(limbs(&quotient), 0, limbs_of(a), (mp_size_t)a_limbs, b->limb[0]);
    } else {
        mpn_tdiv_qr(limbs(&quotient), limbs(&left), 0, limbs_of(a), (mp_size_t)a_limbs, limbs_of(b),
                    (mp_size_t)b_limbs);
    }
    if (rest) *rest = left;
    return quotient;
}

unsigned dt_number_take_digit(dt_number *n) {
    const size_t count = used(n);
    if (count > 1) return (unsigned)mpn_divrem_1(limbs(n), 0, limbs(n), (mp_size_t)count, 10);
    const uint64_t value = n->limb[0];
    n->limb[0] = value / 10;
    return (unsigned)(value % 10);
}

void dt_number_append_digit(dt_number *n, unsigned digit) {
    const dt_number ten_times = dt_number_times(n, 10), more = dt_number_of(digit);
    *n = dt_number_sum(&ten_times, &more);
}

dt_number dt_power_of_ten(size_t n) {
    dt_number power = DT_NUMBER(1);
    while (n-- > 0) power = dt_number_times(&power, 10);
    return power;
}

size_t dt_digit_count(const dt_number *n) {
    dt_number left = *n;
    size_t count = 1;
    dt_number_take_digit(&left);
    while (!dt_number_is_zero(&left)) {
        dt_number_take_digit(&left);
        count++;
    }
    return count;
}

dt_decimal dt_decimal_of(const dt_number *n) {
    dt_decimal decimal;
    dt_number left = *n;
    size_t at = dt_digit_count(n);
    decimal.text[at] = '\0';
    while (at > 0) decimal.text[--at] = (char)('0' + (int)dt_number_take_digit(&left));
    return decimal;
}
