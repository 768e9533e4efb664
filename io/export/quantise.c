/* Scale in binary16, little-endian, then the values. Source: ggml's quantize_row_q8_0_ref and
 * quantize_row_q4_0_ref. */
#include "quantise.h"

#include <math.h>

#include "half.h"

static void put_scale(unsigned char *bytes, float scale) {
    const uint16_t half = export_half(scale);
    bytes[0] = (unsigned char)(half & 0xff);
    bytes[1] = (unsigned char)(half >> 8);
}

/* The value of largest magnitude, the first of several. */
static float largest_of(const float *x) {
    float largest = x[0];
    for (size_t i = 1; i < EXPORT_BLOCK; i++) {
        if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    }
    return largest;
}

void export_q8_0(unsigned char bytes[EXPORT_Q8_0_BYTES], const float *x) {
    const float scale = fabsf(largest_of(x)) / 127;
    const float inverse = scale > 0 ? 1 / scale : 0;
    put_scale(bytes, scale);
    for (size_t i = 0; i < EXPORT_BLOCK; i++)
        bytes[2 + i] = (unsigned char)(int)roundf(x[i] * inverse);
}

/* The sum is rounded to float32 once, as by a fused multiply-add. */
static unsigned nibble_of(float x, float inverse) {
    const float value = (float)((double)x * (double)inverse + 8.5);
    return value >= 15 ? 15 : value <= 0 ? 0 : (unsigned)value;
}

/* The value of largest magnitude becomes -8. */
void export_q4_0(unsigned char bytes[EXPORT_Q4_0_BYTES], const float *x) {
    enum { HALF = EXPORT_BLOCK / 2 };
    const float scale = largest_of(x) / -8;
    const float inverse = scale != 0 ? 1 / scale : 0;
    put_scale(bytes, scale);
    for (size_t i = 0; i < HALF; i++) {
        bytes[2 + i] =
            (unsigned char)(nibble_of(x[i], inverse) | nibble_of(x[i + HALF], inverse) << 4);
    }
}
