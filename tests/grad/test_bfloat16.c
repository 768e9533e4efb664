/* bfloat16 on the CPU: the same bits with and without the processor's instruction, and values and
 * gradients against the double-precision reference with equally rounded operands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "device.h"
#include "dtrain/core/memory.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- rounding, implemented independently ---- */

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Nearest bfloat16, ties to even; subnormal: 0. */
static cpu_bfloat16 rounded(float x) {
    if (isnan(x)) return (cpu_bfloat16)(bits_of(x) >> 16 | 0x40);
    if (!isnormal(x) && !isinf(x)) return (cpu_bfloat16)(signbit(x) ? 0x8000 : 0);
    if (isinf(x)) return (cpu_bfloat16)(bits_of(x) >> 16);
    const uint32_t bits = bits_of(x), low = bits & 0xffff;
    uint32_t high = bits >> 16;
    if (low > 0x8000 || (low == 0x8000 && high % 2 == 1)) high++;
    return (cpu_bfloat16)high;
}

static double exact(cpu_bfloat16 x) { return (double)float_of((uint32_t)x << 16); }

static double round_exactly(double x) { return exact(rounded((float)x)); }

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
            p.b_rounded[k * N + j] = rounded(x);
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
                sum += exact(rounded(p->a[i * K + k])) * exact(p->b_rounded[k * N + j]);
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
            sum = flushing_fma(sum, float_of((uint32_t)p->a[i * depth + at] << 16),
                               float_of((uint32_t)b << 16));
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
    if (of.count == 0) return float_of(bits);
    const uint32_t exponent = of.least + (uint32_t)fixture_below(random, of.count);
    return float_of((bits & 0x807fffff) | exponent << 23);
}

static cpu_bfloat16 random_half(fixture_random *random, exponents of) {
    return (cpu_bfloat16)(bits_of(random_float(random, of)) >> 16);
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
            if (!(isnan(actual) && isnan(expected)) && bits_of(actual) != bits_of(expected))
                fail_msg("%s: %08x, not %08x, at %zu %zu of %zu by %zu, %zu deep, pairs %d",
                         v->name, bits_of(actual), bits_of(expected), i, j, p->s.M, p->s.N, p->s.K,
                         pairs);
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
    cpu_bfloat16 a[] = {rounded(-3 * 0x1p-80f), rounded(0x1p-63f)},
                 b[] = {rounded(0x1p-72f), rounded(0x1p-63f)};
    float zero[] = {0};
    const raw_product p = {{1, 1, 2}, a, b, zero, zero};
    volatile float least = 0x1p-126f;
    for (size_t v = 0; v < count; v++) {
        float *c = multiply_raw(&variants[v], &p, false);
        assert_int_equal(bits_of(c[0]), 0);
        free(c);
        /* Other arithmetic is as before. */
        assert_int_equal(bits_of(fmaf(-3 * 0x1p-80f, 0x1p-72f, least)), 0x00800000);
        assert_int_equal(bits_of(least / 2), 0x00400000);
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
        from[i] = float_of(high | low[i % LENGTH(low)]);
    }
    from[0] = INFINITY;
    from[1] = -INFINITY;
    from[2] = NAN;
    from[3] = float_of(0x7f7fffff);
    from[4] = float_of(0x00000001);
    from[5] = float_of(0x807fffff);
    for (size_t v = 0; v < count; v++) {
        variants[v].kernels->round_rows(to, from, 1, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            if (to[i] != rounded(from[i]))
                fail_msg("%s: %08x becomes %04x, not %04x", variants[v].name, bits_of(from[i]),
                         to[i], rounded(from[i]));
        }
    }
}

/* ---- operations ---- */

/* A tensor of rounded numbers on the device. */
typedef struct {
    dt_buffer *buffer;
    dt_tensor at;
    size_t count;
} half_tensor;

/* values NULL: zeros. */
static half_tensor half_create(dt_backend *backend, const double *values, size_t count) {
    half_tensor t = {.count = count};
    cpu_bfloat16 *words = reference_alloc(count, sizeof *words);
    for (size_t i = 0; values && i < count; i++) words[i] = rounded((float)values[i]);
    expect_ok(backend->op->buffer_create(&t.buffer, backend, count * sizeof *words, "rounded"));
    t.at = (dt_tensor){t.buffer, 0, DT_ELEMENT_BFLOAT16};
    expect_ok(backend->op->upload(backend, t.at, words, count));
    free(words);
    return t;
}

static double *half_read(dt_backend *backend, const half_tensor *t) {
    cpu_bfloat16 *words = reference_alloc(t->count, sizeof *words);
    double *values = reference_doubles(t->count);
    expect_ok(backend->op->download(backend, words, t->at, t->count));
    for (size_t i = 0; i < t->count; i++) values[i] = exact(words[i]);
    free(words);
    return values;
}

/* Values computed in float32 and then rounded: nearly all equal the rounded exact values; those
 * near the middle of two neighbours may be the other neighbour. */
static void expect_rounded(const char *what, dt_backend *backend, const half_tensor *t,
                           const double *expected, double share) {
    double *actual = half_read(backend, t), *wanted = reference_doubles(t->count);
    size_t other = 0;
    double most = 0;
    for (size_t i = 0; i < t->count; i++) {
        wanted[i] = round_exactly(expected[i]);
        most = fmax(most, fabs(wanted[i]));
    }
    /* A value that is tiny compared with the others is only a rounding error of a difference. */
    for (size_t i = 0; i < t->count; i++) other += fabs(actual[i] - wanted[i]) > 1e-5 * most;
    expect_close(what, actual, wanted, t->count, 1.0 / 128);
    if ((double)other > share * (double)t->count + 1)
        fail_msg("%s: %zu of %zu differ after rounding", what, other, t->count);
    free(actual);
    free(wanted);
}

static double *rounded_values(size_t count, double scale, fixture_random *random) {
    double *x = fixture_values(count, 0, scale, random);
    for (size_t i = 0; i < count; i++) x[i] = round_exactly(x[i]);
    return x;
}

static const product_shape LINEAR[] = {{1, 2, 3},    {7, 31, 32},    {60, 64, 33},
                                       {61, 96, 32}, {56, 128, 128}, {113, 17, 64}};

static void linear_forward_agrees(void **state) {
    dt_backend *backend = *state;
    fixture_random random = {11};
    for (size_t i = 0; i < LENGTH(LINEAR); i++) {
        const size_t N = LINEAR[i].M, out = LINEAR[i].N, in = LINEAR[i].K;
        double *x_values = rounded_values(N * in, 1, &random);
        device_tensor weight = device_random("weight", backend, out * in, 0, 1, &random);
        device_tensor bias = device_random("bias", backend, out, 0, 1, &random);
        device_tensor residual = device_random("residual", backend, N * out, 0, 1, &random);
        double *w = reference_doubles(out * in), *y = reference_doubles(N * out);
        double *z = reference_doubles(N * out), *slope = reference_doubles(N * out);
        for (size_t k = 0; k < out * in; k++) w[k] = round_exactly(weight.host[k]);
        half_tensor x = half_create(backend, x_values, N * in);
        device_tensor direct = device_blank("y", backend, N * out);
        half_tensor plain = half_create(backend, NULL, N * out),
                    hidden = half_create(backend, NULL, N * out),
                    slopes = half_create(backend, NULL, N * out);

        reference_linear_forward(direct.host, NULL, x_values, w, bias.host, N, in, out,
                                 DT_IDENTITY);
        expect_ok(backend->op->linear_forward(backend, plain.at, DT_NO_TENSOR, x.at, weight.at,
                                              bias.at, DT_NO_TENSOR, N, in, out, DT_IDENTITY));
        expect_rounded("linear", backend, &plain, direct.host, 0.001);
        for (size_t k = 0; k < N * out; k++) direct.host[k] += residual.host[k];
        expect_ok(backend->op->linear_forward(backend, direct.at, DT_NO_TENSOR, x.at, weight.at,
                                              bias.at, residual.at, N, in, out, DT_IDENTITY));
        double *actual = device_read(&direct);
        expect_close("linear with residual", actual, direct.host, N * out, 1e-5);
        free(actual);

        reference_linear_forward(y, z, x_values, w, bias.host, N, in, out, DT_GELU);
        for (size_t k = 0; k < N * out; k++) slope[k] = reference_gelu_derivative(z[k]);
        expect_ok(backend->op->linear_forward(backend, hidden.at, slopes.at, x.at, weight.at,
                                              bias.at, DT_NO_TENSOR, N, in, out, DT_GELU));
        expect_rounded("linear and GELU", backend, &hidden, y, 0.02);
        expect_rounded("slope of GELU", backend, &slopes, slope, 0.02);

        half_tensor *const halves[] = {&x, &plain, &hidden, &slopes};
        for (size_t k = 0; k < LENGTH(halves); k++)
            backend->op->buffer_destroy(&halves[k]->buffer, backend);
        device_destroy(&weight, &bias, &residual, &direct, NULL);
        free(x_values);
        free(w);
        free(y);
        free(z);
        free(slope);
    }
}

/* d_y is rounded first, so its product with the slope is exact, and rounding that product gives the
 * same value everywhere. */
static void linear_backward_check(dt_backend *backend, const product_shape *s, bool gelu,
                                  bool d_y_is_half, bool d_x_is_half) {
    const size_t N = s->M, out = s->N, in = s->K;
    fixture_random random = {17 + N};
    double *x_values = rounded_values(N * in, 1, &random);
    double *dy_values = rounded_values(N * out, 1, &random);
    double *slope_values = rounded_values(N * out, 1, &random);
    device_tensor weight = device_random("weight", backend, out * in, 0, 1, &random);
    device_tensor d_weight = device_random("d_weight", backend, out * in, 0, 1, &random);
    device_tensor d_bias = device_random("d_bias", backend, out, 0, 1, &random);
    device_tensor d_x = device_blank("d_x", backend, N * in);
    device_tensor d_y = device_from("d_y", backend, dy_values, N * out);
    half_tensor x = half_create(backend, x_values, N * in),
                slope = half_create(backend, slope_values, N * out),
                d_y_half = half_create(backend, dy_values, N * out),
                d_x_half = half_create(backend, NULL, N * in);
    double *w = reference_doubles(out * in), *d_z = reference_doubles(N * out);
    for (size_t k = 0; k < out * in; k++) w[k] = round_exactly(weight.host[k]);
    for (size_t k = 0; k < N * out; k++) {
        const double d = dy_values[k] * (gelu ? slope_values[k] : 1);
        d_bias.host[k % out] += d;
        d_z[k] = round_exactly(d);
    }
    reference_linear_backward(d_x.host, d_weight.host, NULL, dy_values, d_z, NULL, x_values, w, N,
                              in, out, DT_IDENTITY);
    expect_ok(backend->op->linear_backward(backend, d_x_is_half ? d_x_half.at : d_x.at, d_weight.at,
                                           d_bias.at, d_y_is_half ? d_y_half.at : d_y.at,
                                           gelu ? slope.at : DT_NO_TENSOR, x.at, weight.at, N, in,
                                           out, gelu ? DT_GELU : DT_IDENTITY));
    double *weights = device_read(&d_weight), *biases = device_read(&d_bias);
    expect_close("d_weight", weights, d_weight.host, out * in, 1e-5);
    expect_close("d_bias", biases, d_bias.host, out, 1e-5);
    if (d_x_is_half) {
        expect_rounded("d_x", backend, &d_x_half, d_x.host, 0.002);
    } else {
        double *actual = device_read(&d_x);
        expect_close("d_x", actual, d_x.host, N * in, 1e-5);
        free(actual);
    }
    half_tensor *const halves[] = {&x, &slope, &d_y_half, &d_x_half};
    for (size_t k = 0; k < LENGTH(halves); k++)
        backend->op->buffer_destroy(&halves[k]->buffer, backend);
    device_destroy(&weight, &d_weight, &d_bias, &d_x, &d_y, NULL);
    double *const all[] = {x_values, dy_values, slope_values, w, d_z, weights, biases};
    for (size_t k = 0; k < LENGTH(all); k++) free(all[k]);
}

static void linear_backward_agrees(void **state) {
    for (size_t i = 0; i < LENGTH(LINEAR); i++) {
        for (int choice = 0; choice < 8; choice++)
            linear_backward_check(*state, &LINEAR[i], choice & 1, choice & 2, choice & 4);
    }
}

/* ---- attention: the reference rounds the operands of the same products ---- */

typedef struct {
    const double *qkv, *d_y;
    double *y, *lse, *d_qkv;
    size_t n, C, H; /* of one problem */
} attention_case;

static void attention_head(const attention_case *a, size_t h) {
    const size_t n = a->n, C = a->C, D = C / a->H;
    const double scale = 1 / sqrt((double)D);
    const double *q = a->qkv + h * D, *k = q + C, *v = k + C, *d_y = a->d_y + h * D;
    double *p = reference_doubles(n * n), *ds = reference_doubles(n * n);
    double *y = a->y + h * D, *d_q = a->d_qkv + h * D, *d_k = d_q + C, *d_v = d_k + C;
    for (size_t i = 0; i < n; i++) {
        double most = -INFINITY, sum = 0;
        for (size_t j = 0; j <= i; j++) {
            for (size_t d = 0; d < D; d++) p[i * n + j] += q[i * 3 * C + d] * k[j * 3 * C + d];
            p[i * n + j] *= scale;
            most = fmax(most, p[i * n + j]);
        }
        for (size_t j = 0; j <= i; j++) {
            const double e = exp(p[i * n + j] - most);
            sum += e;
            for (size_t d = 0; d < D; d++) y[i * C + d] += round_exactly(e) * v[j * 3 * C + d];
        }
        a->lse[i * a->H + h] = most + log(sum);
        double dot = 0;
        for (size_t d = 0; d < D; d++) {
            y[i * C + d] = round_exactly(y[i * C + d] / sum);
            dot += y[i * C + d] * d_y[i * C + d];
        }
        for (size_t j = 0; j <= i; j++) {
            double dp = 0;
            for (size_t d = 0; d < D; d++) dp += d_y[i * C + d] * v[j * 3 * C + d];
            p[i * n + j] = exp(p[i * n + j] - most) / sum;
            ds[i * n + j] = round_exactly(p[i * n + j] * (dp - dot));
            p[i * n + j] = round_exactly(p[i * n + j]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            for (size_t d = 0; d < D; d++) {
                d_q[i * 3 * C + d] += scale * ds[i * n + j] * k[j * 3 * C + d];
                d_k[j * 3 * C + d] += scale * ds[i * n + j] * q[i * 3 * C + d];
                d_v[j * 3 * C + d] += p[i * n + j] * d_y[i * C + d];
            }
        }
    }
    free(p);
    free(ds);
}

static void attention_check(dt_backend *backend, const fixture_lengths *lengths, size_t C,
                            size_t H) {
    fixture_random random = {C * 100 + H};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, lengths, 2, 2, &random);
    device_batch_create(&device, backend, &batch);
    const size_t N = batch.tokens;
    double *qkv_values = rounded_values(N * 3 * C, 1.5, &random);
    double *dy_values = rounded_values(N * C, 1, &random);
    half_tensor qkv = half_create(backend, qkv_values, N * 3 * C),
                y = half_create(backend, NULL, N * C), d_y = half_create(backend, dy_values, N * C),
                d_qkv = half_create(backend, NULL, N * 3 * C);
    device_tensor lse = device_blank("lse", backend, N * H);
    double *y_exact = reference_doubles(N * C), *d_exact = reference_doubles(N * 3 * C);
    for (size_t b = 0; b < batch.problems; b++) {
        const size_t first = (size_t)batch.offset[b];
        const attention_case a = {.qkv = qkv_values + first * 3 * C,
                                  .d_y = dy_values + first * C,
                                  .y = y_exact + first * C,
                                  .lse = lse.host + first * H,
                                  .d_qkv = d_exact + first * 3 * C,
                                  .n = (size_t)batch.offset[b + 1] - first,
                                  .C = C,
                                  .H = H};
        for (size_t h = 0; h < H; h++) attention_head(&a, h);
    }
    expect_ok(backend->op->attention_forward(backend, y.at, lse.at, qkv.at, &device.packed, C, H,
                                             attention_scale(C, H)));
    expect_rounded("y of attention", backend, &y, y_exact, 0.005);
    double *sums = device_read(&lse);
    expect_close("log-sums of attention", sums, lse.host, N * H, 1e-5);
    expect_ok(backend->op->attention_backward(backend, d_qkv.at, d_y.at, y.at, lse.at, qkv.at,
                                              &device.packed, C, H));
    expect_rounded("d_qkv of attention", backend, &d_qkv, d_exact, 0.05);
    half_tensor *const halves[] = {&qkv, &y, &d_y, &d_qkv};
    for (size_t k = 0; k < LENGTH(halves); k++)
        backend->op->buffer_destroy(&halves[k]->buffer, backend);
    device_destroy(&lse, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
    double *const all[] = {qkv_values, dy_values, y_exact, d_exact, sums};
    for (size_t k = 0; k < LENGTH(all); k++) free(all[k]);
}

static void attention_agrees(void **state) {
    static const fixture_lengths BATCHES[] = {
        {{1}}, {{1, 1, 1}}, {{17}}, {{2, 1, 16, 3, 33}}, {{31, 1, 70, 8}}};
    static const struct {
        size_t C, H;
    } SHAPES[] = {{1, 1}, {21, 3}, {24, 3}, {64, 4}, {80, 2}, {128, 4}, {128, 1}, {33, 1}};
    for (size_t b = 0; b < LENGTH(BATCHES); b++) {
        for (size_t i = 0; i < LENGTH(SHAPES); i++)
            attention_check(*state, &BATCHES[b], SHAPES[i].C, SHAPES[i].H);
    }
    /* More queries than are computed at a time. */
    attention_check(*state, &(fixture_lengths){{257, 1, 531}}, 24, 3);
    attention_check(*state, &(fixture_lengths){{256, 512}}, 33, 1);
}

/* Attention's passes with one variant: y, then d_qkv, as bfloat16. */
static cpu_bfloat16 *attend(cpu_backend *cpu, const cpu_bf16_kernels *kernels,
                            const dt_packed *batch, size_t N, const half_tensor *qkv,
                            const half_tensor *d_y, size_t C, size_t H) {
    dt_backend *backend = &cpu->base;
    half_tensor y = half_create(backend, NULL, N * C),
                d_qkv = half_create(backend, NULL, N * 3 * C);
    device_tensor lse = device_blank("lse", backend, N * H);
    cpu_bfloat16 *all = reference_alloc(N * 4 * C, sizeof *all);
    expect_ok(
        kernels->attention_forward(cpu, y.at, lse.at, qkv->at, batch, C, H, attention_scale(C, H)));
    expect_ok(
        kernels->attention_backward(cpu, d_qkv.at, d_y->at, y.at, lse.at, qkv->at, batch, C, H));
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
    for (int tiny = 0; tiny < 2; tiny++) {
        dt_batch batch;
        device_batch device;
        fixture_batch_create(&batch, &(fixture_lengths){{31, 1, 300}}, 2, 2, &random);
        device_batch_create(&device, backend, &batch);
        const size_t N = batch.tokens;
        double *qkv_values = rounded_values(N * 3 * C, 1.5, &random);
        double *dy_values = rounded_values(N * C, tiny ? 1e-19 : 1, &random);
        for (size_t i = 0; i < N * 3 * C; i++) {
            if (tiny && i % (3 * C) >= 2 * C) qkv_values[i] *= 1e-19; /* values */
        }
        half_tensor qkv = half_create(backend, qkv_values, N * 3 * C),
                    d_y = half_create(backend, dy_values, N * C);
        cpu_bfloat16 *plain = attend(cpu, cpu->kernels->bf16, &device.packed, N, &qkv, &d_y, C, H);
        const cpu_bf16_kernels *const others[] = {cpu_bf16_native(cpu->kernels),
                                                  cpu_bf16_fused(cpu->kernels)};
        for (size_t v = 0; v < LENGTH(others); v++) {
            if (!others[v]) continue;
            cpu_bfloat16 *other = attend(cpu, others[v], &device.packed, N, &qkv, &d_y, C, H);
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
        cmocka_unit_test(linear_forward_agrees),
        cmocka_unit_test(linear_backward_agrees),
        cmocka_unit_test(attention_agrees),
        cmocka_unit_test(attention_has_the_same_bits),
    };
    return cmocka_run_group_tests_name("bfloat16", tests, device_open, device_close);
}
