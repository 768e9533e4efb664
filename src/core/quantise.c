/* Blocks of ggml, from its quantize_row_q8_0_ref and quantize_row_q4_0_ref, and of bitsandbytes,
 * from its quantize_4bit with compress_statistics. */
#include "dtrain/core/quantise.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "dtrain/core/half.h"
#include "dtrain/core/memory.h"

/* ---- ggml's ---- */

/* Little-endian. */
static void put_scale(unsigned char *bytes, float scale) {
    const uint16_t half = dt_half(scale);
    bytes[0] = (unsigned char)(half & 0xff);
    bytes[1] = (unsigned char)(half >> 8);
}

/* The value of largest magnitude, the first of several. */
static float largest_of(const float *x, size_t count) {
    float largest = x[0];
    for (size_t i = 1; i < count; i++) {
        if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    }
    return largest;
}

void dt_q8_0_pack(unsigned char *bytes, const float *x, size_t count) {
    for (size_t at = 0; at < count; at += DT_Q8_0_BLOCK, bytes += DT_Q8_0_BYTES) {
        const float scale = fabsf(largest_of(x + at, DT_Q8_0_BLOCK)) / 127;
        const float inverse = scale > 0 ? 1 / scale : 0;
        put_scale(bytes, scale);
        for (size_t i = 0; i < DT_Q8_0_BLOCK; i++)
            bytes[2 + i] = (unsigned char)(int)roundf(x[at + i] * inverse);
    }
}

DT_HOT void dt_q8_0_unpack(float *x, const unsigned char *bytes, size_t first, size_t count) {
    bytes += first / DT_Q8_0_BLOCK * DT_Q8_0_BYTES;
    for (size_t at = 0; at < count; at += DT_Q8_0_BLOCK, bytes += DT_Q8_0_BYTES) {
        const float scale = dt_half_value((uint16_t)(bytes[0] | bytes[1] << 8));
        for (size_t i = 0; i < DT_Q8_0_BLOCK; i++) x[at + i] = scale * (float)(int8_t)bytes[2 + i];
    }
}

size_t dt_q8_0_finite(const unsigned char *bytes, size_t count) {
    for (size_t at = 0; at < count; at += DT_Q8_0_BLOCK, bytes += DT_Q8_0_BYTES) {
        if (!isfinite(dt_half_value((uint16_t)(bytes[0] | bytes[1] << 8)))) return at;
    }
    return count;
}

/* The sum is rounded to float32 once, as by a fused multiply-add. */
static unsigned nibble_of(float x, float inverse) {
    const float value = (float)((double)x * (double)inverse + 8.5);
    return value >= 15 ? 15 : value <= 0 ? 0 : (unsigned)value;
}

/* The value of largest magnitude becomes -8. */
void dt_q4_0_pack(unsigned char *bytes, const float *x, size_t count) {
    enum { HALF = DT_Q4_0_BLOCK / 2 };
    for (size_t at = 0; at < count; at += DT_Q4_0_BLOCK, bytes += DT_Q4_0_BYTES) {
        const float scale = largest_of(x + at, DT_Q4_0_BLOCK) / -8;
        const float inverse = scale != 0 ? 1 / scale : 0;
        put_scale(bytes, scale);
        for (size_t i = 0; i < HALF; i++) {
            bytes[2 + i] = (unsigned char)(nibble_of(x[at + i], inverse) |
                                           nibble_of(x[at + i + HALF], inverse) << 4);
        }
    }
}

/* ---- NF4 ---- */

/* Quantiles of the normal distribution between -1 and 1. Source: the paper's appendix E. */
const float DT_NF4_VALUE[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/* The positive values of the 8-bit codes but 1.0, ascending: 2^e of them in the decade 10^(e-7) to
 * 10^(e-6), in the middle of equal parts of its upper nine tenths. Code 127 is 0, those below are
 * the negatives, 255 is 1. As bitsandbytes computes them, in float32. Source: Dettmers 2015,
 * arXiv:1511.04561. */
enum { ZERO = 127, LAST = 255 };
static const float SCALE[ZERO] = {
    5.5000004e-07f, 3.2500002e-06f, 7.75e-06f,      2.1249998e-05f, 4.375e-05f,     6.625e-05f,
    8.875e-05f,     0.00015625001f, 0.00026875004f, 0.00038125002f, 0.00049375003f, 0.0006062501f,
    0.00071875006f, 0.00083125f,    0.0009437501f,  0.0012812499f,  0.00184375f,    0.00240625f,
    0.00296875f,    0.0035312497f,  0.00409375f,    0.0046562497f,  0.0052187503f,  0.00578125f,
    0.00634375f,    0.00690625f,    0.00746875f,    0.00803125f,    0.00859375f,    0.009156249f,
    0.00971875f,    0.01140625f,    0.01421875f,    0.01703125f,    0.019843752f,   0.02265625f,
    0.02546875f,    0.028281251f,   0.03109375f,    0.03390625f,    0.036718752f,   0.03953125f,
    0.042343747f,   0.04515625f,    0.04796875f,    0.05078125f,    0.05359375f,    0.05640625f,
    0.059218753f,   0.06203125f,    0.06484375f,    0.067656256f,   0.070468746f,   0.07328125f,
    0.07609375f,    0.07890625f,    0.08171876f,    0.08453125f,    0.08734375f,    0.09015625f,
    0.092968754f,   0.09578126f,    0.09859375f,    0.107031256f,   0.12109375f,    0.13515624f,
    0.14921875f,    0.16328125f,    0.17734376f,    0.19140625f,    0.20546874f,    0.21953125f,
    0.23359375f,    0.24765624f,    0.26171875f,    0.27578127f,    0.28984374f,    0.30390626f,
    0.31796873f,    0.33203125f,    0.34609374f,    0.36015624f,    0.37421876f,    0.38828123f,
    0.40234375f,    0.41640624f,    0.43046874f,    0.44453126f,    0.45859373f,    0.47265625f,
    0.4867187f,     0.50078124f,    0.5148437f,     0.5289062f,     0.54296875f,    0.5570313f,
    0.5710938f,     0.58515626f,    0.5992187f,     0.61328125f,    0.6273438f,     0.6414063f,
    0.65546876f,    0.6695312f,     0.68359375f,    0.6976563f,     0.7117188f,     0.72578126f,
    0.7398437f,     0.75390625f,    0.7679688f,     0.78203124f,    0.79609376f,    0.8101562f,
    0.82421875f,    0.8382813f,     0.85234374f,    0.86640626f,    0.8804687f,     0.89453125f,
    0.9085938f,     0.92265624f,    0.93671876f,    0.9507812f,     0.96484375f,    0.9789063f,
    0.99296874f};

static float scale_value(unsigned code) {
    if (code == ZERO) return 0;
    if (code == LAST) return 1;
    return code > ZERO ? SCALE[code - ZERO - 1] : -SCALE[ZERO - 1 - code];
}

/* The code with the nearest value, the lower one of two. */
static unsigned char scale_code(float x) {
    unsigned low = 0, high = LAST; /* the code is one of these or between */
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        const double bound = ((double)scale_value(middle) + (double)scale_value(middle + 1)) / 2;
        if ((double)x > bound) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (unsigned char)low;
}

/* Also of a value that is exactly between two: the lower one. */
static unsigned value_code(float x) {
    unsigned code = 0;
    for (size_t i = 0; i < 15; i++) code += x > (DT_NF4_VALUE[i] + DT_NF4_VALUE[i + 1]) / 2;
    return code;
}

/* Where the parts of packed values are. */
typedef struct {
    size_t blocks, groups;
    size_t scale, code, pair; /* bytes at which they begin */
} nf4_parts;

static nf4_parts parts_of(size_t count) {
    const size_t blocks = count / DT_NF4_BLOCK, groups = (blocks + DT_NF4_GROUP - 1) / DT_NF4_GROUP;
    const size_t scale = sizeof(float), code = scale + groups * sizeof(float);
    return (nf4_parts){blocks, groups, scale, code, code + blocks};
}

size_t dt_nf4_bytes(size_t count) { return parts_of(count).pair + count / 2; }

/* In float32, as bitsandbytes does: the last bit decides between codes. */
static float magnitude_of(const float *x) { return fabsf(largest_of(x, DT_NF4_BLOCK)); }

static void pack_block(unsigned char *pair, const float *x) {
    const float inverse = 1 / fmaxf(magnitude_of(x), 1e-38f);
    for (size_t i = 0; i < DT_NF4_BLOCK; i += 2) {
        pair[i / 2] =
            (unsigned char)(value_code(x[i] * inverse) << 4 | value_code(x[i + 1] * inverse));
    }
}

/* The scales of one group of blocks, less their mean. */
static void pack_group(unsigned char *bytes, const nf4_parts *parts, size_t group, const float *x,
                       float mean) {
    const size_t first = group * DT_NF4_GROUP,
                 count = dt_min_size(DT_NF4_GROUP, parts->blocks - first);
    float scale[DT_NF4_GROUP] = {0};
    for (size_t i = 0; i < count; i++) {
        scale[i] = magnitude_of(x + (first + i) * DT_NF4_BLOCK) - mean;
    }
    const float most = fabsf(largest_of(scale, count));
    memcpy(bytes + parts->scale + group * sizeof most, &most, sizeof most);
    for (size_t i = 0; i < count; i++)
        bytes[parts->code + first + i] = scale_code(most > 0 ? scale[i] / most : 0);
}

void dt_nf4_pack(unsigned char *bytes, const float *x, size_t count) {
    const nf4_parts parts = parts_of(count);
    double sum = 0;
    for (size_t i = 0; i < parts.blocks; i++) {
        sum += (double)magnitude_of(x + i * DT_NF4_BLOCK);
        pack_block(bytes + parts.pair + i * DT_NF4_BLOCK / 2, x + i * DT_NF4_BLOCK);
    }
    const float mean = parts.blocks ? (float)(sum / (double)parts.blocks) : 0;
    memcpy(bytes, &mean, sizeof mean);
    for (size_t i = 0; i < parts.groups; i++) pack_group(bytes, &parts, i, x, mean);
}

/* In double, where the product is exact: the same with and without fused multiply-add. */
static float scale_of(const unsigned char *bytes, const nf4_parts *parts, size_t block) {
    float mean, scale;
    memcpy(&mean, bytes, sizeof mean);
    memcpy(&scale, bytes + parts->scale + block / DT_NF4_GROUP * sizeof scale, sizeof scale);
    return (float)((double)scale_value(bytes[parts->code + block]) * (double)scale + (double)mean);
}

size_t dt_nf4_finite(const unsigned char *bytes, size_t count) {
    const nf4_parts parts = parts_of(count);
    for (size_t i = 0; i < parts.blocks; i++) {
        if (!isfinite(scale_of(bytes, &parts, i))) return i * DT_NF4_BLOCK;
    }
    return count;
}

const unsigned char *dt_nf4_codes(const unsigned char *bytes, size_t total) {
    return bytes + parts_of(total).pair;
}

void dt_nf4_scales(float *scale, const unsigned char *bytes, size_t total, size_t first,
                   size_t count) {
    const nf4_parts parts = parts_of(total);
    for (size_t i = 0; i < count; i++) scale[i] = scale_of(bytes, &parts, first + i);
}

void dt_nf4_unpack(float *x, const unsigned char *bytes, size_t total, size_t first, size_t count) {
    const nf4_parts parts = parts_of(total);
    for (size_t at = 0; at < count; at += DT_NF4_BLOCK) {
        const size_t block = (first + at) / DT_NF4_BLOCK;
        const unsigned char *pair = bytes + parts.pair + block * DT_NF4_BLOCK / 2;
        const float scale = scale_of(bytes, &parts, block);
        for (size_t i = 0; i < DT_NF4_BLOCK / 2; i++) {
            x[at + 2 * i] = DT_NF4_VALUE[pair[i] >> 4] * scale;
            x[at + 2 * i + 1] = DT_NF4_VALUE[pair[i] & 15] * scale;
        }
    }
}
