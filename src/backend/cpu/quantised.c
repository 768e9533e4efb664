/* Weights of few bits, unpacked part by part: as a whole they would take as much memory as float32
 * ones, in each process. */
#include "cpu.h"
#include "dtrain/core/quantise.h"
#include "vector.h"

#if CPU_LANES >= 8
typedef uint32_t uvec __attribute__((vector_size(4 * CPU_LANES)));

/* How far the codes of eight lanes are from the lowest bits of their four bytes: each byte's upper
 * half comes first. */
#define AWAY 4, 0, 12, 8, 20, 16, 28, 24

/* The lanes' own codes in their lowest bits. */
CPU_INLINE ivec codes_of(const unsigned char *pair) {
#if CPU_LANES == 16
    const uvec away = {AWAY, AWAY};
#else
    const uvec away = {AWAY};
#endif
    uint32_t word[LANES / 8];
    memcpy(word, pair, sizeof word);
#if CPU_LANES == 16
    const uvec low = (uvec){0} + word[0], high = (uvec){0} + word[1];
    const ivec right = (ivec)VEC_COUNT >= 8;
    return (ivec)(((low & ~(uvec)right) | (high & (uvec)right)) >> away);
#else
    return (ivec)(((uvec){0} + word[0]) >> away);
#endif
}

/* The values of 16 numbers, in registers. */
typedef struct {
    vec part[16 / LANES];
} value_table;

CPU_INLINE vec values_of(const value_table *table, ivec code) {
#if CPU_LANES == 16
    return vec_shuffle(table->part[0], table->part[0], code & 15);
#else
    return vec_shuffle(table->part[0], table->part[1], code & 15);
#endif
}

CPU_INLINE void unpack_block(float *x, const unsigned char *pair, const value_table *table,
                             float scale) {
    for (size_t i = 0; i < DT_NF4_BLOCK; i += LANES)
        vec_store(x + i, values_of(table, codes_of(pair + i / 2)) * scale);
}

static void unpack_nf4(float *x, const unsigned char *bytes, size_t total, size_t first,
                       size_t count) {
    enum { BLOCKS = 64 };
    float scale[BLOCKS];
    value_table table;
    const unsigned char *pair = dt_nf4_codes(bytes, total) + first / 2;
    memcpy(&table, DT_NF4_VALUE, sizeof table);
    for (size_t at = 0, blocks; at < count; at += blocks * DT_NF4_BLOCK) {
        blocks = dt_min_size(BLOCKS, (count - at) / DT_NF4_BLOCK);
        dt_nf4_scales(scale, bytes, total, (first + at) / DT_NF4_BLOCK, blocks);
        for (size_t i = 0; i < blocks; i++, pair += DT_NF4_BLOCK / 2)
            unpack_block(x + at + i * DT_NF4_BLOCK, pair, &table, scale[i]);
    }
}
#else /* a table does not fit into few registers */
#define unpack_nf4 dt_nf4_unpack
#endif

static void unpack(float *x, dt_element element, const unsigned char *bytes, size_t total,
                   size_t first, size_t count) {
    if (element == DT_ELEMENT_Q8_0) {
        dt_q8_0_unpack(x, bytes, first, count);
    } else {
        unpack_nf4(x, bytes, total, first, count);
    }
}

dt_status cpu_unpack_columns(const float **part, cpu_backend *cpu, dt_tensor weight,
                             bool transposed, size_t K, size_t N, size_t first, size_t columns) {
    const size_t row = transposed ? K : N;
    const unsigned char *bytes = cpu_bytes(weight);
    DT_REQUIRE(bytes, DT_ERR_INTERNAL, "a product without weights");
    DT_REQUIRE(row % DT_NF4_BLOCK == 0 ||
                   (weight.element == DT_ELEMENT_Q8_0 && row % DT_Q8_0_BLOCK == 0),
               DT_ERR_INTERNAL, "blocks of weights reach over the end of rows of %zu", row);
    DT_TRY(cpu_reserve(&cpu->unpacked, K * columns, "unpacked weights"));
    float *x = cpu->unpacked.at;
    *part = x;
    if (transposed) {
        unpack(x, weight.element, bytes, K * N, first * K, columns * K);
    } else {
        for (size_t k = 0; k < K; k++)
            unpack(x + k * columns, weight.element, bytes, K * N, k * N + first, columns);
    }
    return DT_OK;
}
