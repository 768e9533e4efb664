/* bfloat16, the upper half of a float: conversions, and VDPBF16PS, which adds two products to a
 * float32. The bits are the same with and without that instruction. */
#ifndef DTRAIN_CPU_BFLOAT16_H
#define DTRAIN_CPU_BFLOAT16_H

#include <math.h>

#include "cpu.h"
#include "vector.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

/* Conversions by the instructions of AVX512_BF16, which compiler flags may allow for narrower
 * vectors, too; and products by VDPBF16PS. */
#if defined(__AVX512BF16__) && CPU_LANES == 16
#define CPU_CONVERT
#endif
#if defined(CPU_CONVERT) && !defined(CPU_FUSED)
#define CPU_DOT
#endif

/* A word holds two of them, the one with the even index in the lower half, as in memory. */
typedef cpu_bfloat16 bfloat16;

/* Rounded to the nearest bfloat16, ties to even, in the lower half of each lane; subnormal numbers
 * become 0, and a NaN stays one. The same as VCVTNEPS2BF16. */
CPU_INLINE ivec bfloat16_round(vec v) {
#ifdef CPU_CONVERT
    return (ivec)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    typedef uint32_t __attribute__((vector_size(4 * CPU_LANES))) uvec;
    const uvec bits = (uvec)v;
    const uvec nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const ivec exponent = (ivec)bits & 0x7f800000, quiet = (ivec)((bits >> 16) | 0x40);
    const ivec finite = ivec_choose(exponent == 0, (ivec)(bits >> 16) & 0x8000, (ivec)nearest);
    return ivec_choose(v == v, finite, quiet);
#endif
}

/* The same in the upper half of each lane, a float. */
CPU_INLINE vec bfloat16_nearest(vec v) { return (vec)(bfloat16_round(v) << 16); }

CPU_INLINE bfloat16 bfloat16_of(float x) {
    const vec v = vec_all(x);
    return (bfloat16)bfloat16_round(v)[0];
}

CPU_INLINE float bfloat16_float(bfloat16 x) {
    const uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The numbers in the lower and in the upper halves. */
CPU_INLINE vec bfloat16_low(ivec words) { return (vec)(words << 16); }
CPU_INLINE vec bfloat16_high(ivec words) { return (vec)(words & (int32_t)0xffff0000); }

/* LANES consecutive numbers. */
CPU_INLINE vec bfloat16_load(const bfloat16 *p) {
#if CPU_LANES == 16
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16);
#elif CPU_LANES == 8
    return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16);
#else
    vec v;
    for (int i = 0; i < LANES; i++) v[i] = bfloat16_float(p[i]);
    return v;
#endif
}

/* Stores the lower half of each lane. */
CPU_INLINE void bfloat16_store_bits(bfloat16 *p, ivec bits) {
#if CPU_LANES == 16
    _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16((__m512i)bits));
#else
    for (int i = 0; i < LANES; i++) p[i] = (bfloat16)bits[i];
#endif
}

CPU_INLINE void bfloat16_store(bfloat16 *p, vec v) {
#ifdef CPU_CONVERT
    _mm256_storeu_si256((void *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    bfloat16_store_bits(p, bfloat16_round(v));
#endif
}

/* The first `count` lanes; the others are 0. */
CPU_INLINE vec bfloat16_load_part(const bfloat16 *p, size_t count) {
    bfloat16 lane[LANES] = {0};
    memcpy(lane, p, count * sizeof *p);
    return bfloat16_load(lane);
}
CPU_INLINE void bfloat16_store_part(bfloat16 *p, vec v, size_t count) {
    bfloat16 lane[LANES];
    bfloat16_store(lane, v);
    memcpy(p, lane, count * sizeof *p);
}
CPU_INLINE void bfloat16_store_bits_part(bfloat16 *p, ivec bits, size_t count) {
    bfloat16 lane[LANES];
    bfloat16_store_bits(lane, bits);
    memcpy(p, lane, count * sizeof *p);
}

/* From flush_begin until flush_end gets what the former returned, the processor replaces subnormal
 * operands and results by 0 (DAZ and FTZ in MXCSR), exactly as VDPBF16PS does. The compiler does
 * not know that arithmetic depends on that, and may move it. What stays between the two: sums whose
 * operands are loaded there and whose results are stored there; and sums in registers that pass
 * through flush_hold after flush_begin and before flush_end. What passes through it after flush_end
 * is used only then. */
#if defined(__x86_64__) && !defined(CPU_DOT)
CPU_INLINE uint32_t flush_begin(void) {
    const uint32_t flush = 0x9fc0; /* FTZ, DAZ, rounding to nearest, no exceptions */
    uint32_t before;
    __asm__ volatile("stmxcsr %0" : "=m"(before));
    __asm__ volatile("ldmxcsr %0" : : "m"(flush) : "memory");
    return before;
}
CPU_INLINE void flush_end(uint32_t before) {
    __asm__ volatile("ldmxcsr %0" : : "m"(before) : "memory");
}
#define flush_hold(sum) __asm__ volatile("" : "+v"(sum))
CPU_INLINE vec flushed(vec v) { return v; }
#else
CPU_INLINE uint32_t flush_begin(void) { return 0; }
CPU_INLINE void flush_end(uint32_t before) { (void)before; }
#define flush_hold(sum) ((void)(sum))
/* Unlike VDPBF16PS, which takes a sum for subnormal even if it would be rounded up to the smallest
 * normal number. */
CPU_INLINE vec flushed(vec v) {
    const ivec bits = (ivec)v;
    const ivec normal = (bits & 0x7f800000) != 0;
    return (vec)ivec_choose(normal, bits, bits & INT32_MIN);
}
#endif

/* sum + x y, rounded once; between flush_begin and flush_end. x and y are bfloat16: their product
 * is exact in float32 unless it is too small or too large for a normal number. */
CPU_INLINE vec bfloat16_fma(vec sum, vec x, vec y) {
#if CPU_LANES == 16
    return (vec)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)sum);
#elif CPU_LANES == 8 && defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)sum);
#else
    x = flushed(x);
    y = flushed(y);
    const vec product = x * y;
    const ivec exponent = (ivec)product & 0x7f800000;
    const ivec inexact = ((exponent == 0) | (exponent == 0x7f800000)) & (x != 0) & (y != 0);
    vec result = sum + product;
    for (int i = 0; i < LANES; i++) {
        if (inexact[i]) result[i] = fmaf(x[i], y[i], sum[i]);
    }
    return flushed(result);
#endif
}

/* Lane by lane: sum, plus the product of the upper halves of x and y, plus that of their lower
 * halves: two fused multiply-adds, each rounded once; subnormal operands and results are 0. This is
 * what VDPBF16PS computes. Source: Intel 64 and IA-32 Architectures Software Developer's Manual,
 * volume 2, VDPBF16PS. */
CPU_INLINE vec bfloat16_dot(vec sum, ivec x, ivec y) {
#ifdef CPU_DOT
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
#else
    sum = bfloat16_fma(sum, bfloat16_high(x), bfloat16_high(y));
    return bfloat16_fma(sum, bfloat16_low(x), bfloat16_low(y));
#endif
}

/* 2^x with a relative error below 3e-6, about a thousandth of bfloat16's; x is limited to -126 …
 * 126. NaN stays NaN. A minimax polynomial of degree 4 for the fraction. */
CPU_INLINE vec bfloat16_exp2(vec x) {
    const float to_integer = 12582912.0f; /* 1.5 * 2^23, as in vec_exp */
    const vec low = vec_all(-126.0f), high = vec_all(126.0f);
    const vec bounded = vec_choose(x < low, low, vec_choose(x > high, high, x));
    const vec shifted = bounded + to_integer;
    const vec f = bounded - (shifted - to_integer);
    vec p = f * 0.00957010191f + 0.0559178603f;
    p = p * f + 0.240247448f;
    p = p * f + 0.693121815f;
    p = p * f + 0.999999261f;
    return vec_choose(x == x, (vec)((ivec)p + ((ivec)shifted << 23)), x);
}

/* Words of two rows: lane i has row0[i] in its lower half and row1[i] in its upper one. */
CPU_INLINE ivec bfloat16_pair(vec row0, vec row1) {
    return bfloat16_round(row0) | (bfloat16_round(row1) << 16);
}

#endif
