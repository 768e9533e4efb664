/* Random numbers as a function of what they are for, so that any rank can compute any of them. */
#include "dtrain/core/random.h"

#include <math.h>

#include <Random123/philox.h>

void dt_random_block(uint32_t out[4], uint64_t seed, uint32_t purpose, uint32_t major,
                     uint64_t minor) {
    const philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    const philox4x32_ctr_t counter = {{(uint32_t)minor, (uint32_t)(minor >> 32), major, purpose}};
    const philox4x32_ctr_t result = philox4x32_R(10, counter, key);
    for (size_t i = 0; i < 4; i++) out[i] = result.v[i];
}

uint64_t dt_random_below(const uint32_t word[2], uint64_t n) {
    const uint64_t x = (uint64_t)word[1] << 32 | word[0];
    return (uint64_t)((unsigned __int128)x * n >> 64);
}

float dt_random_unit(uint32_t word) {
    /* 23 bits and a half: one bit more would round the largest value up to 1. */
    return ((float)(word >> 9) + 0.5f) * 0x1p-23f;
}

/* Four normal numbers from one block. Source: Box and Muller 1958. */
static void normal_block(double out[4], uint64_t seed, uint32_t purpose, uint32_t major,
                         uint64_t minor) {
    uint32_t word[4];
    dt_random_block(word, seed, purpose, major, minor);
    for (size_t pair = 0; pair < 4; pair += 2) {
        const double radius = sqrt(-2 * log(((double)word[pair] + 0.5) * 0x1p-32));
        const double angle = 2 * 3.14159265358979323846 * ((double)word[pair + 1] * 0x1p-32);
        out[pair] = radius * cos(angle);
        out[pair + 1] = radius * sin(angle);
    }
}

void dt_random_normal(float *out, uint64_t n, double deviation, uint64_t seed, uint32_t purpose,
                      uint32_t major) {
    for (uint64_t i = 0; i < n; i += 4) {
        double normal[4];
        normal_block(normal, seed, purpose, major, i / 4);
        for (uint64_t j = 0; j < 4 && i + j < n; j++) out[i + j] = (float)(deviation * normal[j]);
    }
}

void dt_random_uniform(float *out, uint64_t n, double bound, uint64_t seed, uint32_t purpose,
                       uint32_t major) {
    for (uint64_t i = 0; i < n; i += 4) {
        uint32_t word[4];
        dt_random_block(word, seed, purpose, major, i / 4);
        for (uint64_t j = 0; j < 4 && i + j < n; j++)
            out[i + j] = (float)(bound * (2.0 * (double)dt_random_unit(word[j]) - 1.0));
    }
}

/* One random order of the 4^half_bits values of two halves. Eight rounds: small domains mix slowly.
 */
static uint64_t feistel(uint64_t value, uint32_t half_bits, uint64_t seed, uint32_t major) {
    const uint64_t mask = (UINT64_C(1) << half_bits) - 1;
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint64_t round = 0; round < 8; round++) {
        uint32_t word[4];
        dt_random_block(word, seed, DT_RANDOM_ORDER, major, round << 32 | right);
        const uint64_t mixed = (left ^ word[0]) & mask;
        left = right;
        right = mixed;
    }
    return left << half_bits | right;
}

uint64_t dt_random_permute(uint64_t index, uint64_t n, uint64_t seed, uint32_t major) {
    if (n < 2) return 0;
    uint32_t half_bits = 1;
    while (half_bits < 32 && (n - 1) >> (2 * half_bits)) half_bits++;
    /* Walking the permutation's cycle from a number below n comes back below n, and never twice to
     * the same number. */
    do {
        index = feistel(index, half_bits, seed, major);
    } while (index >= n);
    return index;
}
