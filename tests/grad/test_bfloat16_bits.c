/* Kernels for bfloat16 on the CPU: the same bits with and without the processor's instruction,
 * those of an independent model of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "device.h"
#include "dtrain/core/memory.h"
#include "half.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- every variant that this processor can run ---- */

typedef struct {
    const char *name;
    const cpu_bf16_kernels *kernels;
} variant;

/* The first one is the default. */
static size_t find_variants(variant *out, dt_backend *backend) {
    static const char *const NAMES[] = {"avx512", "avx2", "base"};
    size_t count = 0;
    const cpu_backend *cpu = (const cpu_backend *)backend;
    const cpu_bf16_kernels *native = cpu_bf16_native(cpu->kernels);
    out[count++] = (variant){"default", cpu->bf16};
    if (native && native != cpu->bf16) out[count++] = (variant){"native", native};
    if (native && native == cpu->bf16)
        out[count++] = (variant){"fused", cpu_bf16_fused(cpu->kernels)};
    for (size_t i = 0; i < LENGTH(NAMES); i++) {
        const cpu_kernels *kernels = cpu_kernels_find(NAMES[i]);
        if (kernels && kernels->bf16 != out[0].kernels)
            out[count++] = (variant){NAMES[i], kernels->bf16};
    }
    return count;
}

enum { VARIANTS = 5 };

/* ---- products ---- */

typedef struct {
    size_t M, N, K;
} product_shape;

static const product_shape PRODUCTS_HERE[] = {
    {1, 1, 1},     {5, 3, 1},      {13, 77, 33},    {14, 32, 64},     {61, 58, 128},
    {55, 96, 512}, {17, 40, 1027}, {128, 384, 334}, {112, 128, 1599}, {3, 31, 2},
};

/* How a product's right side is stored. */
typedef enum { STORED, STORED_TRANSPOSED, STORED_ROUNDED, STORINGS } storing;

typedef struct {
    const product_shape *s;
    float *a, *a_transposed, *b, *b_transposed, *rows, *bias;
    cpu_bfloat16 *b_rounded;
} product_data;

static product_data make_product(const product_shape *s, double scale) {
    fixture_random random = {s->M * 10007 + s->N * 101 + s->K};
    const size_t M = s->M, N = s->N, K = s->K;
    product_data p = {.s = s};
    p.a = reference_alloc(M * K, sizeof *p.a);
    p.a_transposed = reference_alloc(M * K, sizeof *p.a);
    p.b = reference_alloc(K * N, sizeof *p.b);
    p.b_transposed = reference_alloc(K * N, sizeof *p.b);
    p.b_rounded = reference_alloc(K * N, sizeof *p.b_rounded);
    p.rows = reference_alloc(M * N, sizeof *p.rows);
    p.bias = reference_alloc(N, sizeof *p.bias);
    for (size_t i = 0; i < M; i++) {
        for (size_t k = 0; k < K; k++) {
            p.a[i * K + k] = p.a_transposed[k * M + i] = (float)(scale * fixture_uniform(&random));
        }
    }
    for (size_t k = 0; k < K; k++) {
        for (size_t j = 0; j < N; j++) {
            const float x = (float)fixture_uniform(&random);
            p.b[k * N + j] = p.b_transposed[j * K + k] = x;
            p.b_rounded[k * N + j] = half_of(x);
        }
    }
    for (size_t i = 0; i < M * N; i++) p.rows[i] = (float)(scale * fixture_uniform(&random));
    for (size_t j = 0; j < N; j++) p.bias[j] = (float)(scale * fixture_uniform(&random));
    return p;
}

static void free_product(product_data *p) {
    free(p->a);
    free(p->a_transposed);
    free(p->b);
    free(p->b_transposed);
    free(p->b_rounded);
    free(p->rows);
    free(p->bias);
}

/* c (M,N), allocated. pairs: the left side is read from its transpose. */
static float *multiply(const variant *v, const product_data *p, storing how, bool pairs) {
    const size_t M = p->s->M, N = p->s->N, K = p->s->K, words = (K + 1) / 2;
    cpu_packing packing = {0};
    cpu_right right;
    float *c = reference_alloc(M * N, sizeof *c);
    const void *b = how == STORED              ? (const void *)p->b
                    : how == STORED_TRANSPOSED ? (const void *)p->b_transposed
                                               : (const void *)p->b_rounded;
    expect_ok(v->kernels->right_open(&right, &packing, b, how == STORED_ROUNDED,
                                     how == STORED_TRANSPOSED, K, N));
    uint32_t *left = reference_alloc(M * words, sizeof *left);
    if (pairs) v->kernels->pair_rows(left, p->a_transposed, K, M);
    if (!pairs) v->kernels->round_rows((cpu_bfloat16 *)(void *)left, p->a, M, K);
    const cpu_left_words words_of = {left, pairs ? 1 : words, pairs ? M : 1};
    v->kernels->multiply(c, (cpu_addend){p->rows, p->bias}, words_of, &right, M);
    free(left);
    dt_memory_free(&packing.room.at);
    return c;
}

static void check_product(const variant *v, const product_data *p, const float *c) {
    const size_t M = p->s->M, N = p->s->N, K = p->s->K;
    double *expected = reference_doubles(M * N), *actual = reference_doubles(M * N);
    char what[120];
    snprintf(what, sizeof what, "%s: product of %zu by %zu, %zu deep", v->name, M, N, K);
    for (size_t i = 0; i < M; i++) {
        for (size_t j = 0; j < N; j++) {
            double sum = (double)p->rows[i * N + j] + (double)p->bias[j];
            for (size_t k = 0; k < K; k++)
                sum += half_value(half_of(p->a[i * K + k])) * half_value(p->b_rounded[k * N + j]);
            expected[i * N + j] = sum;
            actual[i * N + j] = (double)c[i * N + j];
        }
    }
    expect_close(what, actual, expected, M * N, 1e-5);
    free(expected);
    free(actual);
}

/* All ways to store the operands and all variants give right results with the same bits. */
static void products_agree(void **state) {
    variant variants[VARIANTS];
    const size_t count = find_variants(variants, *state);
    for (size_t i = 0; i < LENGTH(PRODUCTS_HERE); i++) {
        product_data p = make_product(&PRODUCTS_HERE[i], 1);
        float *first = NULL;
        for (size_t v = 0; v < count; v++) {
            for (int how = 0; how < STORINGS; how++) {
                for (int pairs = 0; pairs < 2; pairs++) {
                    float *c = multiply(&variants[v], &p, (storing)how, pairs);
                    if (!first) {
                        check_product(&variants[v], &p, c);
                        first = c;
                        continue;
                    }
                    if (memcmp(c, first, p.s->M * p.s->N * sizeof *c) != 0)
                        fail_msg("%s: other bits, %zu by %zu, %zu deep, stored %d, pairs %d",
                                 variants[v].name, p.s->M, p.s->N, p.s->K, how, pairs);
                    free(c);
                }
            }
        }
        free(first);
        free_product(&p);
    }
}

/* sum + x y as a fused multiply-add that takes subnormal operands and results for 0. A result is
 * subnormal if it is too small before it is rounded to the spacing of subnormal numbers: times 2^64
 * it has none. */
static float flushing_fma(float sum, float x, float y) {
    if (!isnormal(sum) && isfinite(sum)) sum = copysignf(0, sum);
    if (!isnormal(x) && isfinite(x)) x = copysignf(0, x);
    if (!isnormal(y) && isfinite(y)) y = copysignf(0, y);
    const float result = fmaf(x, y, sum), small = 0x1p-60f;
    if (!(fabsf(result) < small && fabsf(sum) < small)) return result;
    const float less = fabsf(x) < fabsf(y) ? x : y, more = fabsf(x) < fabsf(y) ? y : x;
    return fabsf(fmaf(less * 0x1p64f, more, sum * 0x1p64f)) < 0x1p-62f ? copysignf(0, result)
                                                                       : result;
}

/* A product whose operands are given as they are: a (M,2 words), b (K,N). */
typedef struct {
    product_shape s;
    cpu_bfloat16 *a, *b;
    float *rows, *bias;
} raw_product;

static float *multiply_raw(const variant *v, const raw_product *p, bool pairs) {
    const size_t M = p->s.M, N = p->s.N, words = (p->s.K + 1) / 2;
    cpu_packing packing = {0};
    cpu_right right;
    float *c = reference_alloc(M * N, sizeof *c);
    uint32_t *left = reference_alloc(M * words, sizeof *left);
    expect_ok(v->kernels->right_open(&right, &packing, p->b, true, false, p->s.K, N));
    for (size_t i = 0; i < M; i++) {
        for (size_t k = 0; k < words; k++) {
            const cpu_bfloat16 *at = p->a + 2 * (i * words + k);
            left[pairs ? k * M + i : i * words + k] = (uint32_t)at[1] << 16 | at[0];
        }
    }
    v->kernels->multiply(c, (cpu_addend){p->rows, p->bias},
                         pairs ? (cpu_left_words){left, 1, M} : (cpu_left_words){left, words, 1},
                         &right, M);
    free(left);
    dt_memory_free(&packing.room.at);
    return c;
}

/* What the kernels compute: in blocks of the depth, each odd number before its even neighbour;
 * additions to bias and rows keep subnormal numbers. */
static float element_of(const raw_product *p, size_t i, size_t j) {
    enum { BLOCK = 1024 };
    const size_t N = p->s.N, depth = (p->s.K + 1) / 2 * 2;
    float c = p->bias[j] + p->rows[i * N + j];
    for (size_t begin = 0; begin < depth; begin += BLOCK) {
        float sum = 0;
        for (size_t k = begin; k < depth && k < begin + BLOCK; k++) {
            const size_t at = k ^ 1;
            const cpu_bfloat16 b = at < p->s.K ? p->b[at * N + j] : 0;
            sum = flushing_fma(sum, float_from_bits((uint32_t)p->a[i * depth + at] << 16),
                               float_from_bits((uint32_t)b << 16));
        }
        c += sum;
    }
    return c;
}

/* Exponents that random numbers have: any, or `count` ones from `least` on. */
typedef struct {
    uint32_t least;
    size_t count;
} exponents;

static float random_float(fixture_random *random, exponents of) {
    const uint32_t bits =
        (uint32_t)fixture_below(random, 65536) << 16 | (uint32_t)fixture_below(random, 65536);
    if (of.count == 0) return float_from_bits(bits);
    const uint32_t exponent = of.least + (uint32_t)fixture_below(random, of.count);
    return float_from_bits((bits & 0x807fffff) | exponent << 23);
}

static cpu_bfloat16 random_half(fixture_random *random, exponents of) {
    return (cpu_bfloat16)(float_bits(random_float(random, of)) >> 16);
}

/* Operands and addends of products: of any bits; near the smallest normal number; of which many are
 * far smaller than sums; and with operands of which some are subnormal. */
static const struct {
    exponents a, b, addend;
} EXTREMES[] = {
    {{0, 0}, {0, 0}, {0, 0}},
    {{60, 10}, {60, 10}, {0, 12}},
    {{60, 10}, {45, 25}, {0, 3}},
    {{0, 4}, {110, 20}, {0, 12}},
};

static raw_product make_extreme(const product_shape *s, size_t kind, fixture_random *random) {
    const size_t M = s->M, N = s->N, depth = (s->K + 1) / 2 * 2;
    raw_product p = {.s = *s};
    p.a = reference_alloc(M * depth, sizeof *p.a);
    p.b = reference_alloc(s->K * N, sizeof *p.b);
    p.rows = reference_alloc(M * N, sizeof *p.rows);
    p.bias = reference_alloc(N, sizeof *p.bias);
    for (size_t i = 0; i < M * depth; i++)
        p.a[i] = i % depth < s->K ? random_half(random, EXTREMES[kind].a) : 0;
    for (size_t i = 0; i < s->K * N; i++) p.b[i] = random_half(random, EXTREMES[kind].b);
    for (size_t i = 0; i < M * N; i++) p.rows[i] = random_float(random, EXTREMES[kind].addend);
    for (size_t j = 0; j < N; j++) p.bias[j] = random_float(random, EXTREMES[kind].addend);
    return p;
}

static void expect_bits(const variant *v, const raw_product *p, const float *c, bool pairs) {
    for (size_t i = 0; i < p->s.M; i++) {
        for (size_t j = 0; j < p->s.N; j++) {
            const float expected = element_of(p, i, j), actual = c[i * p->s.N + j];
            if (!(isnan(actual) && isnan(expected)) && float_bits(actual) != float_bits(expected))
                fail_msg("%s: %08x, not %08x, at %zu %zu of %zu by %zu, %zu deep, pairs %d",
                         v->name, float_bits(actual), float_bits(expected), i, j, p->s.M, p->s.N,
                         p->s.K, pairs);
        }
    }
}

/* Numbers at the limits of float: operands, products, sums and addends that are subnormal, infinite
 * or NaN. */
static void products_of_extreme_numbers_have_the_same_bits(void **state) {
    static const product_shape SHAPES[] = {{16, 64, 6}, {17, 37, 7}, {5, 19, 1}, {3, 32, 1100}};
    enum { TURNS = 60 };
    variant variants[VARIANTS];
    const size_t count = find_variants(variants, *state);
    fixture_random random = {5};
    for (size_t turn = 0; turn < TURNS; turn++) {
        const size_t kind = turn % LENGTH(EXTREMES), shape = turn / LENGTH(EXTREMES);
        raw_product p = make_extreme(&SHAPES[shape % LENGTH(SHAPES)], kind, &random);
        for (size_t v = 0; v < count; v++) {
            for (int pairs = 0; pairs < 2; pairs++) {
                float *c = multiply_raw(&variants[v], &p, pairs);
                expect_bits(&variants[v], &p, c, pairs);
                free(c);
            }
        }
        free(p.a);
        free(p.b);
        free(p.rows);
        free(p.bias);
    }
}

/* A sum just below the smallest normal number is 0, although it would be rounded up to it. */
static void sums_are_too_small_before_they_are_rounded(void **state) {
    variant variants[VARIANTS];
    const size_t count = find_variants(variants, *state);
    cpu_bfloat16 a[] = {half_of(-3 * 0x1p-80f), half_of(0x1p-63f)},
                 b[] = {half_of(0x1p-72f), half_of(0x1p-63f)};
    float zero[] = {0};
    const raw_product p = {{1, 1, 2}, a, b, zero, zero};
    volatile float least = 0x1p-126f;
    for (size_t v = 0; v < count; v++) {
        float *c = multiply_raw(&variants[v], &p, false);
        assert_int_equal(float_bits(c[0]), 0);
        free(c);
        /* Other arithmetic is as before. */
        assert_int_equal(float_bits(fmaf(-3 * 0x1p-80f, 0x1p-72f, least)), 0x00800000);
        assert_int_equal(float_bits(least / 2), 0x00400000);
    }
}

/* Rounding in all special cases: ties, subnormals, infinities, NaN. */
static void rounding_is_as_documented(void **state) {
    variant variants[VARIANTS];
    const size_t count = find_variants(variants, *state);
    enum { COUNT = 4096 };
    float from[COUNT];
    cpu_bfloat16 to[COUNT + 2];
    fixture_random random = {3};
    for (size_t i = 0; i < COUNT; i++) {
        const uint32_t high = (uint32_t)fixture_below(&random, 65536) << 16;
        static const uint32_t low[] = {0, 0x7fff, 0x8000, 0x8001, 0xffff};
        from[i] = float_from_bits(high | low[i % LENGTH(low)]);
    }
    from[0] = INFINITY;
    from[1] = -INFINITY;
    from[2] = NAN;
    from[3] = float_from_bits(0x7f7fffff);
    from[4] = float_from_bits(0x00000001);
    from[5] = float_from_bits(0x807fffff);
    for (size_t v = 0; v < count; v++) {
        variants[v].kernels->round_rows(to, from, 1, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            if (to[i] != half_of(from[i]))
                fail_msg("%s: %08x becomes %04x, not %04x", variants[v].name, float_bits(from[i]),
                         to[i], half_of(from[i]));
        }
    }
}

/* ---- attention ---- */

/* Attention's passes with one variant: y, then d_qkv, as bfloat16. */
static cpu_bfloat16 *attend(cpu_backend *cpu, const cpu_bf16_kernels *kernels,
                            const dt_packed *batch, size_t N, const half_tensor *qkv,
                            const half_tensor *d_y, size_t C, const dt_heads *heads) {
    const size_t H = heads->count;
    dt_backend *backend = &cpu->base;
    half_tensor y = half_create(backend, NULL, N * C),
                d_qkv = half_create(backend, NULL, N * 3 * C);
    device_tensor lse = device_blank("lse", backend, N * H);
    cpu_bfloat16 *all = reference_alloc(N * 4 * C, sizeof *all);
    expect_ok(kernels->attention_forward(cpu, y.at, lse.at, qkv->at, batch, C, heads));
    expect_ok(kernels->attention_backward(cpu, d_qkv.at, d_y->at, y.at, lse.at, qkv->at, batch, C,
                                          heads));
    expect_ok(backend->op->download(backend, all, y.at, N * C));
    expect_ok(backend->op->download(backend, all + N * C, d_qkv.at, N * 3 * C));
    backend->op->buffer_destroy(&y.buffer, backend);
    backend->op->buffer_destroy(&d_qkv.buffer, backend);
    device_destroy(&lse, NULL);
    return all;
}

/* With and without the processor's instructions, also if products are subnormal. */
static void attention_has_the_same_bits(void **state) {
    enum { C = 48, H = 2 };
    cpu_backend *cpu = *state;
    dt_backend *backend = *state;
    fixture_random random = {17};
    for (int kind = 0; kind < 4; kind++) {
        const bool tiny = kind % 2;
        const dt_heads heads = heads_of(C, H, kind / 2 * 2);
        dt_batch batch;
        device_batch device;
        fixture_batch_create(&batch, &(fixture_lengths){{31, 1, 300}}, 2, 12, &random);
        device_batch_create(&device, backend, &batch);
        const size_t N = batch.tokens;
        double *qkv_values = half_values(N * 3 * C, 1.5, &random);
        double *dy_values = half_values(N * C, tiny ? 1e-19 : 1, &random);
        for (size_t i = 0; i < N * 3 * C; i++) {
            if (tiny && i % (3 * C) >= 2 * C) qkv_values[i] *= 1e-19; /* values */
        }
        half_tensor qkv = half_create(backend, qkv_values, N * 3 * C),
                    d_y = half_create(backend, dy_values, N * C);
        cpu_bfloat16 *plain =
            attend(cpu, cpu->kernels->bf16, &device.packed, N, &qkv, &d_y, C, &heads);
        const cpu_bf16_kernels *const others[] = {cpu_bf16_native(cpu->kernels),
                                                  cpu_bf16_fused(cpu->kernels)};
        for (size_t v = 0; v < LENGTH(others); v++) {
            if (!others[v]) continue;
            cpu_bfloat16 *other = attend(cpu, others[v], &device.packed, N, &qkv, &d_y, C, &heads);
            assert_memory_equal(other, plain, N * 4 * C * sizeof *plain);
            free(other);
        }
        backend->op->buffer_destroy(&qkv.buffer, backend);
        backend->op->buffer_destroy(&d_y.buffer, backend);
        device_batch_destroy(&device);
        fixture_batch_destroy(&batch);
        free(qkv_values);
        free(dy_values);
        free(plain);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_as_documented),
        cmocka_unit_test(products_agree),
        cmocka_unit_test(products_of_extreme_numbers_have_the_same_bits),
        cmocka_unit_test(sums_are_too_small_before_they_are_rounded),
        cmocka_unit_test(attention_has_the_same_bits),
    };
    return cmocka_run_group_tests_name("bits of bfloat16", tests, device_open, device_close);
}
