/* Vectors as wide as the registers of the instruction set that a file is compiled for, CPU_ISA. */
#ifndef DTRAIN_CPU_VECTOR_H
#define DTRAIN_CPU_VECTOR_H

#include <stdint.h>
#include <string.h>

/* Compilers split vectors wider than a register, and compare and shuffle them lane by lane:
 * attention would take six times as long with AVX2. */
enum { LANES = CPU_LANES };
#if CPU_LANES == 16
#define VEC_LOW                                                                                    \
    { 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23 }
#define VEC_HIGH                                                                                   \
    { 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31 }
#define VEC_COUNT                                                                                  \
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }
#elif CPU_LANES == 8
#define VEC_LOW                                                                                    \
    { 0, 8, 1, 9, 2, 10, 3, 11 }
#define VEC_HIGH                                                                                   \
    { 4, 12, 5, 13, 6, 14, 7, 15 }
#define VEC_COUNT                                                                                  \
    { 0, 1, 2, 3, 4, 5, 6, 7 }
#else /* SSE, NEON */
#define VEC_LOW                                                                                    \
    { 0, 4, 1, 5 }
#define VEC_HIGH                                                                                   \
    { 2, 6, 3, 7 }
#define VEC_COUNT                                                                                  \
    { 0, 1, 2, 3 }
#endif

/* Loads need no alignment. */
typedef float vec __attribute__((vector_size(4 * CPU_LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * CPU_LANES)));
typedef float loose_vec __attribute__((vector_size(4 * CPU_LANES), aligned(4), may_alias));
typedef int32_t __attribute__((vector_size(4 * CPU_LANES), aligned(2), may_alias)) loose_ivec;
typedef float vec4 __attribute__((vector_size(16)));
typedef int32_t ivec4 __attribute__((vector_size(16)));

#define CPU_INLINE static inline __attribute__((always_inline))

CPU_INLINE vec vec_load(const float *p) { return *(const loose_vec *)p; }
CPU_INLINE void vec_store(float *p, vec v) { *(loose_vec *)p = v; }
CPU_INLINE vec vec_all(float x) { return (vec){0} + x; }
CPU_INLINE ivec ivec_load(const void *p) { return *(const loose_ivec *)p; }
CPU_INLINE void ivec_store(void *p, ivec v) { *(loose_ivec *)p = v; }
CPU_INLINE ivec ivec_all(int32_t x) { return (ivec){0} + x; }

/* Lane by lane: a where the mask is set, else b. */
CPU_INLINE vec vec_choose(ivec mask, vec a, vec b) {
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

CPU_INLINE ivec ivec_choose(ivec mask, ivec a, ivec b) { return (a & mask) | (b & ~mask); }

CPU_INLINE vec vec_max(vec a, vec b) { return vec_choose(a > b, a, b); }

/* Lane i of the result is lane from[i] of a followed by b. */
#if defined(__clang__)
#define vec_shuffle(a, b, from)                                                                    \
    ({                                                                                             \
        vec shuffled;                                                                              \
        for (int lane = 0; lane < LANES; lane++)                                                   \
            shuffled[lane] = (from)[lane] < LANES ? (a)[(from)[lane]] : (b)[(from)[lane] - LANES]; \
        shuffled;                                                                                  \
    })
#else
#define vec_shuffle(a, b, from) __builtin_shuffle(a, b, from)
#endif

/* The first `count` lanes; the others are 0. */
CPU_INLINE vec vec_load_part(const float *p, size_t count) {
    float lane[LANES] = {0};
    memcpy(lane, p, count * sizeof *p);
    return vec_load(lane);
}
CPU_INLINE void vec_store_part(float *p, vec v, size_t count) { memcpy(p, &v, count * sizeof *p); }

/* Sum and maximum of the lanes: the vector is halved down to one lane, in the same order on every
 * machine with vectors of this width. */
CPU_INLINE float vec_sum(vec v) {
    vec4 part[LANES / 4];
    memcpy(part, &v, sizeof v);
    for (int half = LANES / 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    }
    return (part[0][0] + part[0][2]) + (part[0][1] + part[0][3]);
}
CPU_INLINE float vec_most(vec v) {
    vec4 part[LANES / 4];
    memcpy(part, &v, sizeof v);
    for (int half = LANES / 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            const ivec4 mask = part[i] > part[i + half];
            part[i] = (vec4)(((ivec4)part[i] & mask) | ((ivec4)part[i + half] & ~mask));
        }
    }
    const float a = part[0][0] > part[0][2] ? part[0][0] : part[0][2],
                b = part[0][1] > part[0][3] ? part[0][1] : part[0][3];
    return a > b ? a : b;
}

/* Sum of a[i] b[i]. */
CPU_INLINE float vec_dot(const float *a, const float *b, size_t count) {
    const size_t whole = count / LANES * LANES;
    vec sum = vec_all(0);
    for (size_t i = 0; i < whole; i += LANES) sum += vec_load(a + i) * vec_load(b + i);
    if (whole < count) {
        sum += vec_load_part(a + whole, count - whole) * vec_load_part(b + whole, count - whole);
    }
    return vec_sum(sum);
}

/* exp(x) to 2 units in the last place; below -87 it gives about 1e-38, above 88 about 1e38. NaN
   stays NaN. Source: Cody-Waite reduction, Cephes' expf polynomial; 2^n is added to the exponent
   bits. */
CPU_INLINE vec vec_exp(vec x) {
    const vec low = vec_all(-87.0f), high = vec_all(88.0f);
    x = vec_choose(x < low, low, x);
    x = vec_choose(x > high, high, x);
    const float to_integer =
        12582912.0f; /* 1.5 * 2^23: adding it rounds, its low bits are the integer */
    const vec shifted = x * 1.44269504f + to_integer;
    const vec n = shifted - to_integer;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const ivec exponent = (ivec)shifted << 23;
    /* The low bits of a NaN would change the exponent. */
    return vec_choose(x == x, (vec)((ivec)p + exponent), x);
}

/* Transposes a square of lanes: rows i and i + LANES / 2 are interleaved, log2(LANES) times. */
CPU_INLINE void vec_transpose(vec block[LANES]) {
    const ivec low = VEC_LOW, high = VEC_HIGH;
    vec other[LANES];
    for (int done = 1; done < LANES; done *= 2) {
        for (int i = 0; i < LANES / 2; i++) {
            other[2 * i] = vec_shuffle(block[i], block[i + LANES / 2], low);
            other[2 * i + 1] = vec_shuffle(block[i], block[i + LANES / 2], high);
        }
        for (int i = 0; i < LANES; i++) block[i] = other[i];
    }
}

/* The transpose of `rows` rows of `columns` floats, `row` apart, padded with zeros. */
CPU_INLINE void vec_load_transposed(vec block[LANES], const float *from, size_t row, size_t rows,
                                    size_t columns) {
    for (size_t i = 0; i < LANES; i++) {
        const float *at = from + i * row;
        block[i] = i >= rows          ? vec_all(0)
                   : columns == LANES ? vec_load(at)
                                      : vec_load_part(at, columns);
    }
    vec_transpose(block);
}

#endif
