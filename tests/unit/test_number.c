/* Long numbers: the same as school arithmetic on their decimal digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dtrain/arithmetic/number.h"
#include "dtrain/core/random.h"

/* ---- school arithmetic ---- */

/* Digits, the lowest first; those behind the count are 0. */
enum { ROOM = 512 };
typedef struct {
    int digit[ROOM];
    size_t count; /* 0 has one */
} written;

static void strip(written *x) {
    x->count = ROOM;
    while (x->count > 1 && x->digit[x->count - 1] == 0) x->count--;
}

static written add(const written *x, const written *y) {
    written sum = {{0}, 0};
    int carry = 0;
    for (size_t i = 0; i < ROOM; i++) {
        const int digit = x->digit[i] + y->digit[i] + carry;
        sum.digit[i] = digit % 10;
        carry = digit / 10;
    }
    strip(&sum);
    return sum;
}

/* x >= y */
static written subtract(const written *x, const written *y) {
    written difference = {{0}, 0};
    int borrow = 0;
    for (size_t i = 0; i < ROOM; i++) {
        const int digit = x->digit[i] - y->digit[i] - borrow;
        borrow = digit < 0;
        difference.digit[i] = digit + 10 * borrow;
    }
    strip(&difference);
    return difference;
}

static written multiply(const written *x, const written *y) {
    written product = {{0}, 0};
    for (size_t i = 0; i < x->count; i++) {
        int carry = 0;
        for (size_t k = 0; i + k < ROOM; k++) {
            const int digit = product.digit[i + k] + x->digit[i] * y->digit[k] + carry;
            product.digit[i + k] = digit % 10;
            carry = digit / 10;
        }
    }
    strip(&product);
    return product;
}

static int compare(const written *x, const written *y) {
    for (size_t i = ROOM; i-- > 0;) {
        if (x->digit[i] != y->digit[i]) return x->digit[i] < y->digit[i] ? -1 : 1;
    }
    return 0;
}

/* ---- both ways ---- */

static dt_number number_of(const written *x) {
    dt_number n = DT_NUMBER(0);
    for (size_t i = x->count; i-- > 0;) dt_number_append_digit(&n, (unsigned)x->digit[i]);
    return n;
}

/* Compared as text, and digit by digit. */
static void assert_is(dt_number n, const written *expected) {
    char text[ROOM + 1];
    for (size_t i = 0; i < expected->count; i++) {
        text[i] = (char)('0' + expected->digit[expected->count - 1 - i]);
    }
    text[expected->count] = '\0';
    assert_string_equal(dt_decimal_of(&n).text, text);
    assert_int_equal(dt_digit_count(&n), expected->count);
    for (size_t i = 0; i < expected->count; i++) {
        assert_int_equal(dt_number_take_digit(&n), expected->digit[i]);
    }
    assert_true(dt_number_is_zero(&n));
}

/* ---- numbers to try ---- */

/* With long runs of 0 and of 9, where carries and borrows go far. */
static written draw(size_t digits, uint64_t index) {
    written x = {{0}, digits};
    for (size_t i = 0; i < digits; i++) {
        uint32_t block[4];
        dt_random_block(block, 5, 0, (uint32_t)i, index);
        const int run[] = {0, 9, (int)(block[0] % 10)};
        x.digit[i] = run[index % 4 < 2 && block[1] % 16 > 0 ? index % 4 : 2];
    }
    if (x.digit[digits - 1] == 0) x.digit[digits - 1] = 1;
    return x;
}

/* Around the ends of limbs, and the longest. */
static const size_t lengths[] = {1,  2,  9,  18, 19,  20,  24,  38, 39,
                                 40, 57, 58, 77, 100, 154, 199, 200};
enum { LENGTHS = sizeof lengths / sizeof *lengths, DRAWS = 4 };

typedef void check_pair(const written *x, const written *y, dt_number a, dt_number b);

/* Each pair of lengths up to `longest`, several times. */
static void check_pairs(size_t longest, check_pair *check) {
    for (size_t i = 0; i < LENGTHS && lengths[i] <= longest; i++) {
        for (size_t k = 0; k < LENGTHS && lengths[k] <= longest; k++) {
            for (uint64_t n = 0; n < DRAWS * DRAWS; n++) {
                const written x = draw(lengths[i], n / DRAWS), y = draw(lengths[k], 8 + n % DRAWS);
                check(&x, &y, number_of(&x), number_of(&y));
            }
        }
    }
}

/* ---- tests ---- */

static void digits_come_back(void **state) {
    (void)state;
    for (size_t digits = 1; digits < DT_NUMBER_DIGITS; digits++) {
        const written x = draw(digits, digits);
        written power = {{0}, digits};
        assert_is(number_of(&x), &x);
        power.digit[digits - 1] = 1;
        assert_is(dt_power_of_ten(digits - 1), &power);
    }
    const written zero = {{0}, 1};
    assert_is(dt_number_of(0), &zero);
}

static void check_sum(const written *x, const written *y, dt_number a, dt_number b) {
    const written sum = add(x, y);
    const int order = compare(x, y);
    const written difference = order < 0 ? subtract(y, x) : subtract(x, y);
    assert_is(dt_number_sum(&a, &b), &sum);
    assert_is(dt_number_distance(&a, &b), &difference);
    if (order >= 0) assert_is(dt_number_difference(&a, &b), &difference);
    const int found = dt_number_compare(&a, &b);
    assert_int_equal((found > 0) - (found < 0), order);
}

static void sums_and_differences(void **state) {
    (void)state;
    check_pairs(200, check_sum);
}

static void check_product(const written *x, const written *y, dt_number a, dt_number b) {
    const written product = multiply(x, y);
    if (product.count < DT_NUMBER_DIGITS) assert_is(dt_number_product(&a, &b), &product);
    if (y->count < 20 && product.count < DT_NUMBER_DIGITS)
        assert_is(dt_number_times(&a, b.limb[0]), &product);
}

static void products(void **state) {
    (void)state;
    check_pairs(100, check_product);
}

/* a = quotient b + rest, rest < b */
static void check_quotient(const written *x, const written *y, dt_number a, dt_number b) {
    dt_number rest;
    const dt_number quotient = dt_number_quotient(&rest, &a, &b);
    const dt_number alone = dt_number_quotient(NULL, &a, &b);
    written q = {{0}, dt_digit_count(&quotient)}, r = {{0}, dt_digit_count(&rest)};
    assert_memory_equal(&alone, &quotient, sizeof quotient);
    dt_number left = quotient;
    for (size_t i = 0; i < q.count; i++) q.digit[i] = (int)dt_number_take_digit(&left);
    for (size_t i = 0; i < r.count; i++) r.digit[i] = (int)dt_number_take_digit(&rest);
    assert_true(compare(&r, y) < 0);
    const written product = multiply(&q, y), again = add(&product, &r);
    assert_int_equal(compare(&again, x), 0);
}

static void quotients_and_rests(void **state) {
    (void)state;
    check_pairs(200, check_quotient);
}

static void small_numbers_fit(void **state) {
    (void)state;
    const dt_number small = dt_number_of(18), large = dt_power_of_ten(100);
    assert_true(dt_number_fits(&small, 18) && !dt_number_fits(&small, 17));
    assert_false(dt_number_fits(&large, UINT64_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_come_back),  cmocka_unit_test(sums_and_differences),
        cmocka_unit_test(products),          cmocka_unit_test(quotients_and_rests),
        cmocka_unit_test(small_numbers_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
