/* Numbers in 8 or 4 bits: blocks of values that have a scale in common. Values are packed, and
 * unpacked to float32 again. Unpacking gives the same bits on every processor. */
#ifndef DTRAIN_QUANTISE_H
#define DTRAIN_QUANTISE_H

#include <stddef.h>

/* ggml's blocks: a scale in binary16, then a byte or half a byte for each value. */
enum { DT_Q8_0_BLOCK = 32, DT_Q8_0_BYTES = 2 + 32, DT_Q4_0_BLOCK = 32, DT_Q4_0_BYTES = 2 + 16 };

/* `count` values, a multiple of the block's size. The same bytes as gguf.quants of llama.cpp. */
void dt_q8_0_pack(unsigned char *bytes, const float *x, size_t count);
void dt_q4_0_pack(unsigned char *bytes, const float *x, size_t count);

/* The `count` values from `first` on; both are multiples of the block's size. */
void dt_q8_0_unpack(float *x, const unsigned char *bytes, size_t first, size_t count);

/* The first of `count` values that is NaN or infinite when unpacked; count: there is none. */
size_t dt_q8_0_finite(const unsigned char *bytes, size_t count);
size_t dt_nf4_finite(const unsigned char *bytes, size_t count);

/* NF4: 16 quantiles of the normal distribution, times the largest magnitude of 64 values. These
 * scales, less their mean, are 8-bit codes, times a scale for each 256 of them. Source: Dettmers
 * et al. 2023, "QLoRA", arXiv:2305.14314, section 3. */
enum { DT_NF4_BLOCK = 64, DT_NF4_GROUP = 256 };

/* Bytes that `count` values take, a multiple of 64: the mean of the scales (float32), a scale of
 * each group (float32), a code for the scale of each block, two values in a byte, the first in its
 * upper half. */
size_t dt_nf4_bytes(size_t count);
void dt_nf4_pack(unsigned char *bytes, const float *x, size_t count);

/* Values `first` to `first + count` of `total`; all are multiples of 64. */
void dt_nf4_unpack(float *x, const unsigned char *bytes, size_t total, size_t first, size_t count);

/* For faster unpacking: a value is DT_NF4_VALUE of its code times the scale of its block. The codes
 * of `total` values, and the scales of the `count` blocks from block `first` on. */
extern const float DT_NF4_VALUE[16];
const unsigned char *dt_nf4_codes(const unsigned char *bytes, size_t total);
void dt_nf4_scales(float *scale, const unsigned char *bytes, size_t total, size_t first,
                   size_t count);

#endif
