/* Numbers of 16 bits, by integers alone, so that every processor gives the same bits. */
#include "dtrain/core/half.h"

#include <string.h>

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Divide by 2^shift, to nearest, ties to even. */
static uint32_t shift_rounded(uint32_t value, uint32_t shift) {
    const uint32_t half = 1u << (shift - 1), rest = value & ((1u << shift) - 1);
    const uint32_t cut = value >> shift;
    return cut + (rest > half || (rest == half && (cut & 1)));
}

uint16_t dt_half(float x) {
    enum { BIAS = 127 - 15, DROPPED = 23 - 10, LARGEST = 31 };
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t exponent = bits >> 23 & 0xff, mantissa = bits & 0x7fffff;
    if (exponent == 0xff) return (uint16_t)(sign | 0x7c00 | (mantissa ? 0x200 : 0));
    if (exponent >= BIAS + LARGEST) return (uint16_t)(sign | 0x7c00);
    /* A mantissa that is rounded up to 2 raises the exponent, as it should. */
    if (exponent > BIAS)
        return (uint16_t)(sign | shift_rounded((exponent - BIAS) << 23 | mantissa, DROPPED));
    /* Subnormal: the leading 1 becomes a digit like others. */
    const uint32_t shift = DROPPED + 1 + BIAS - exponent;
    return (uint16_t)(sign | (shift > 24 ? 0 : shift_rounded(mantissa | 0x800000, shift)));
}

float dt_half_value(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, mantissa = (uint32_t)(half & 0x3ff);
    if (exponent == 31) return float_of(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0) {
        const float x = (float)mantissa * 0x1p-24f;
        return sign ? -x : x;
    }
    return float_of(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

float dt_bfloat16_value(uint16_t half) { return float_of((uint32_t)half << 16); }
