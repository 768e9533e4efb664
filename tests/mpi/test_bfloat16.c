/* Rounding to bfloat16, compared with the same in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bfloat16.h"

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Rounds to eight significant bits, or to multiples of 2^-133 for subnormal numbers; ties to even,
 * as the processor does. */
static float rounded(float x) {
    int exponent;
    frexp((double)x, &exponent);
    const int unit = exponent - 8 > -133 ? exponent - 8 : -133;
    return (float)ldexp(nearbyint(ldexp(x, -unit)), unit);
}

static float there_and_back(float x) {
    uint16_t half;
    float y;
    dt_bfloat16_pack(&half, &x, 1);
    dt_bfloat16_unpack(&y, &half, 1);
    return y;
}

static void check(uint32_t bits) {
    const float x = float_of(bits), y = there_and_back(x);
    if (isnan(x)) {
        if (!isnan(y)) fail_msg("NaN %08x became %08x", bits, bits_of(y));
    } else if (bits_of(y) != bits_of(isinf(x) ? x : rounded(x))) {
        fail_msg("%.9g (%08x) became %.9g instead of %.9g", (double)x, bits, (double)y,
                 (double)rounded(x));
    }
}

static void numbers_are_rounded_to_the_nearest(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 1000000; i++) check(i * 2654435761u);
}

/* Every upper half, with lower halves near the tie and both ends. */
static void ties_and_limits_are_right(void **state) {
    (void)state;
    static const uint32_t LOWER[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    for (uint32_t upper = 0; upper < 65536; upper++) {
        for (size_t i = 0; i < sizeof LOWER / sizeof *LOWER; i++) check(upper << 16 | LOWER[i]);
    }
}

static void long_rows_are_like_single_numbers(void **state) {
    (void)state;
    enum { N = 1003 };
    float x[N], y[N];
    uint16_t half[N];
    for (uint32_t i = 0; i < N; i++) x[i] = float_of(i * 2246822519u);
    dt_bfloat16_pack(half, x, N);
    dt_bfloat16_unpack(y, half, N);
    for (size_t i = 0; i < N; i++) assert_true(bits_of(y[i]) == bits_of(there_and_back(x[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_rounded_to_the_nearest),
        cmocka_unit_test(ties_and_limits_are_right),
        cmocka_unit_test(long_rows_are_like_single_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
