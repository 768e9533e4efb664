/* Independent chains of one instruction, enough to hide its latency, without access to memory. */
#include "peak.h"

#include <stddef.h>

#ifdef __x86_64__
#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
#define UNROLL _Pragma("GCC unroll 32")
#else
#define UNROLL _Pragma("clang loop unroll(full)")
#endif

/* NAME(rounds): `rounds` times STEP(sum, x, y) in each of CHAINS registers. The compiler knows
 * nothing about x, y and the sums, so it can neither merge nor omit operations. */
#define CHAINED(NAME, TARGET, VECTOR, FIRST, CHAINS, STEP)                                         \
    __attribute__((target(TARGET), noinline)) static void NAME(size_t rounds) {                    \
        VECTOR sum[CHAINS], x = (FIRST), y = (FIRST);                                              \
        __asm__ volatile("" : "+v"(x), "+v"(y));                                                   \
        UNROLL                                                                                     \
        for (int i = 0; i < (CHAINS); i++) sum[i] = x;                                             \
        for (size_t k = 0; k < rounds; k++) {                                                      \
            UNROLL                                                                                 \
            for (int i = 0; i < (CHAINS); i++) {                                                   \
                sum[i] = STEP(sum[i], x, y);                                                       \
                __asm__ volatile("" : "+v"(sum[i]));                                               \
            }                                                                                      \
        }                                                                                          \
    }

enum { CHAINS_512 = 24, CHAINS_256 = 12 };

#define FMA_512(sum, x, y) _mm512_fmadd_ps(x, y, sum)
#define FMA_256(sum, x, y) _mm256_fmadd_ps(x, y, sum)
CHAINED(float_512, "avx512f", __m512, _mm512_set1_ps(1e-3f), CHAINS_512, FMA_512)
CHAINED(float_256, "avx2,fma", __m256, _mm256_set1_ps(1e-3f), CHAINS_256, FMA_256)

#ifdef HAVE_AVX512_BF16
#define DOT_512(sum, x, y) _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(y))
CHAINED(bfloat16_512, "avx512f,avx512bf16", __m512, _mm512_set1_ps(1e-3f), CHAINS_512, DOT_512)
#endif

/* flops: of one round. */
static double rate_of(void (*chains)(size_t rounds), double flops, clock_reader *now,
                      double seconds) {
    const size_t rounds = 10000; /* less than a millisecond */
    double done = 0, spent = 0;
    chains(rounds); /* wakes up the units for wide vectors */
    const double start = now();
    do {
        chains(rounds);
        done += flops * (double)rounds;
        spent = now() - start;
    } while (spent < seconds);
    return done / spent;
}

double peak_float32(clock_reader *now, double seconds) {
    if (__builtin_cpu_supports("avx512f"))
        return rate_of(float_512, 2.0 * 16 * CHAINS_512, now, seconds);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return rate_of(float_256, 2.0 * 8 * CHAINS_256, now, seconds);
    return 0;
}

double peak_bfloat16(clock_reader *now, double seconds) {
#ifdef HAVE_AVX512_BF16
    if (__builtin_cpu_supports("avx512bf16"))
        return rate_of(bfloat16_512, 4.0 * 16 * CHAINS_512, now, seconds);
#endif
    (void)now;
    (void)seconds;
    return 0;
}

#else

double peak_float32(clock_reader *now, double seconds) {
    (void)now;
    (void)seconds;
    return 0;
}

double peak_bfloat16(clock_reader *now, double seconds) {
    (void)now;
    (void)seconds;
    return 0;
}

#endif
