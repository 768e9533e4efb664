/* Blocks of 32 values in 8 or 4 bits with a common scale, as ggml stores them. Private to
 * io/export.
 */
#ifndef DTRAIN_EXPORT_QUANTISE_H
#define DTRAIN_EXPORT_QUANTISE_H

#include <stddef.h>

enum { EXPORT_BLOCK = 32, EXPORT_Q8_0_BYTES = 2 + EXPORT_BLOCK, EXPORT_Q4_0_BYTES = 2 + 16 };

/* One block of EXPORT_BLOCK values to so many bytes. The same bytes as gguf.quants of llama.cpp. */
void export_q8_0(unsigned char bytes[EXPORT_Q8_0_BYTES], const float *x);
void export_q4_0(unsigned char bytes[EXPORT_Q4_0_BYTES], const float *x);

#endif
