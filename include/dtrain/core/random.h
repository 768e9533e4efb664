/* Counter-based random numbers (Philox 4x32-10): nothing to save but the seed; any element at any
 * time. */
#ifndef DTRAIN_RANDOM_H
#define DTRAIN_RANDOM_H

#include <stdint.h>

/* What the numbers are for: streams with different purposes never share a block. */
typedef enum {
    DT_RANDOM_WEIGHTS = 1,
    DT_RANDOM_PROBLEM = 2, /* + split */
    DT_RANDOM_ORDER = 8,   /* the permutation of an epoch */
    DT_RANDOM_DROPOUT = 9,
    DT_RANDOM_PLACE = 10, /* offsets of place ids */
    DT_RANDOM_TEST = 11,  /* checks that need a random choice */
    DT_RANDOM_PHRASING = 12,
    DT_RANDOM_LINE = 13,   /* the split of a line of a file */
    DT_RANDOM_SAMPLE = 14, /* the next token of a text */
    DT_RANDOM_DISTRACTOR = 15,
    DT_RANDOM_WINDOWS = 16, /* where an epoch's windows begin */
} dt_random_purpose;

/**
 * Four independent 32-bit numbers for (seed, purpose, major, minor).
 *
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; Random123's
 * philox4x32, 10 rounds; key = seed, counter = (minor low, minor high, major, purpose).
 */
void dt_random_block(uint32_t out[4], uint64_t seed, uint32_t purpose, uint32_t major,
                     uint64_t minor);

/* Uniform in [0, n), without bias that matters (64-bit multiply); n > 0. */
uint64_t dt_random_below(const uint32_t word[2], uint64_t n);

/* Uniform in (0, 1): one of the 2^23 odd multiples of 2^-24. */
float dt_random_unit(uint32_t word);

/**
 * Fill n floats with normal numbers of the given standard deviation (Box-Muller, computed in
 * double). Element i is a function of (seed, purpose, major, i) alone.
 */
void dt_random_normal(float *out, uint64_t n, double deviation, uint64_t seed, uint32_t purpose,
                      uint32_t major);

/* Fill n floats with uniform numbers between -bound and bound; element i as above. */
void dt_random_uniform(float *out, uint64_t n, double bound, uint64_t seed, uint32_t purpose,
                       uint32_t major);

/**
 * Where `index` stands in a random order of 0 … n-1, without memory: a Feistel network over the
 * next power of four, walked until the result is below n.
 *
 * @param index  below n
 * @param major  which permutation: the epoch
 */
uint64_t dt_random_permute(uint64_t index, uint64_t n, uint64_t seed, uint32_t major);

#endif
