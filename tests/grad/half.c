/* bfloat16 for the tests. */
#include "half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"

uint32_t float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float float_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

uint16_t half_of(float x) {
    if (isnan(x)) return (uint16_t)(float_bits(x) >> 16 | 0x40);
    if (!isnormal(x) && !isinf(x)) return (uint16_t)(signbit(x) ? 0x8000 : 0);
    if (isinf(x)) return (uint16_t)(float_bits(x) >> 16);
    const uint32_t bits = float_bits(x), low = bits & 0xffff;
    uint32_t high = bits >> 16;
    if (low > 0x8000 || (low == 0x8000 && high % 2 == 1)) high++;
    return (uint16_t)high;
}

double half_value(uint16_t x) { return (double)float_from_bits((uint32_t)x << 16); }

double half_nearest(double x) { return half_value(half_of((float)x)); }

half_tensor half_create(dt_backend *backend, const double *values, size_t count) {
    half_tensor t = {.count = count};
    uint16_t *words = reference_alloc(count, sizeof *words);
    for (size_t i = 0; values && i < count; i++) words[i] = half_of((float)values[i]);
    expect_ok(backend->op->buffer_create(&t.buffer, backend, count * sizeof *words, "rounded"));
    t.at = (dt_tensor){t.buffer, 0, DT_ELEMENT_BFLOAT16};
    expect_ok(backend->op->upload(backend, t.at, words, count));
    free(words);
    return t;
}

double *half_read(dt_backend *backend, const half_tensor *t) {
    uint16_t *words = reference_alloc(t->count, sizeof *words);
    double *values = reference_doubles(t->count);
    expect_ok(backend->op->download(backend, words, t->at, t->count));
    for (size_t i = 0; i < t->count; i++) values[i] = half_value(words[i]);
    free(words);
    return values;
}

double *half_values(size_t count, double scale, fixture_random *random) {
    double *x = fixture_values(count, 0, scale, random);
    for (size_t i = 0; i < count; i++) x[i] = half_nearest(x[i]);
    return x;
}
