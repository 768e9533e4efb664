/* Blocks of 8 and 4 bits: values from the paper's table and from the formats' definitions; the
 * bytes of other programs are compared in tests/peers. */
#include "dtrain/core/quantise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/core/half.h"

/* Dettmers et al. 2023, appendix E. */
static const double NF4[16] = {-1.0,
                               -0.6961928009986877,
                               -0.5250730514526367,
                               -0.39491748809814453,
                               -0.28444138169288635,
                               -0.18477343022823334,
                               -0.09105003625154495,
                               0.0,
                               0.07958029955625534,
                               0.16093020141124725,
                               0.24611230194568634,
                               0.33791524171829224,
                               0.44070982933044434,
                               0.5626170039176941,
                               0.7229568362236023,
                               1.0};

enum { COUNT = 64 * 300, Q8_0_BYTES = COUNT / 32 * 34 };

/* Numbers of about the size of weights, from a small generator. */
static void fill(float *x, size_t count, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            sum += seed / 4294967296.0 - 0.5;
        }
        x[i] = (float)(0.1 * sum * (1 + (double)(i / 640 % 5)));
    }
}

static void q8_0_is_a_scale_and_bytes(void **state) {
    static float x[COUNT], back[COUNT];
    static unsigned char bytes[Q8_0_BYTES];
    (void)state;
    fill(x, COUNT, 1);
    memset(x + 64, 0, 32 * sizeof *x);
    dt_q8_0_pack(bytes, x, COUNT);
    dt_q8_0_unpack(back, bytes, 0, COUNT);
    for (size_t b = 0; b < COUNT / 32; b++) {
        double most = 0;
        for (size_t i = 0; i < 32; i++) most = fmax(most, fabs((double)x[b * 32 + i]));
        const double scale =
            (double)dt_half_value((uint16_t)(bytes[b * 34] | bytes[b * 34 + 1] << 8));
        assert_true(fabs(scale - most / 127) <= most / 127 * 0x1p-11 + 0x1p-25);
        for (size_t i = 0; i < 32; i++) {
            const double value = (double)(int8_t)bytes[b * 34 + 2 + i] * scale;
            assert_true((float)value == back[b * 32 + i]);
            assert_true(fabs(value - (double)x[b * 32 + i]) <= 0.56 * most / 127);
        }
    }
    /* a part is the same as in the whole */
    dt_q8_0_unpack(x, bytes, 96, 64);
    assert_memory_equal(x, back + 96, 64 * sizeof *x);
}

/* Two parts of bytes: what a reader of io/README.md would compute, in double. */
static void expected_nf4(double *value, const unsigned char *bytes, size_t count,
                         const double map[256]) {
    const size_t blocks = count / 64, groups = (blocks + 255) / 256;
    float number[16];
    memcpy(number, bytes, (1 + groups) * sizeof *number);
    const unsigned char *code = bytes + 4 * (1 + groups), *pair = code + blocks;
    for (size_t i = 0; i < count; i++) {
        const size_t block = i / 64;
        const double scale = map[code[block]] * (double)number[1 + block / 256] + (double)number[0];
        value[i] = NF4[i % 2 ? pair[i / 2] & 15 : pair[i / 2] >> 4] * scale;
    }
}

/* The 8-bit codes by their definition: 2^e equal parts of each decade's upper nine tenths. */
static void fill_map(double map[256]) {
    size_t at = 128;
    map[127] = 0;
    for (int e = 0; e < 7; e++) {
        const int parts = 1 << e;
        for (int j = 0; j < parts; j++)
            map[at++] = pow(10, e - 6) * (0.1 + 0.9 * (j + 0.5) / parts);
    }
    for (int i = 0; i < 127; i++) map[126 - i] = -map[128 + i];
    map[255] = 1;
}

static void nf4_is_near_and_as_described(void **state) {
    static float x[COUNT], back[COUNT];
    static double value[COUNT];
    static unsigned char bytes[COUNT];
    double map[256];
    (void)state;
    fill(x, COUNT, 2);
    memset(x + 128, 0, 64 * sizeof *x);
    assert_int_equal(dt_nf4_bytes(COUNT), 4 + 2 * 4 + 300 + COUNT / 2);
    dt_nf4_pack(bytes, x, COUNT);
    dt_nf4_unpack(back, bytes, COUNT, 0, COUNT);
    fill_map(map);
    expected_nf4(value, bytes, COUNT, map);
    for (size_t b = 0; b < COUNT / 64; b++) {
        double most = 0;
        for (size_t i = 0; i < 64; i++) most = fmax(most, fabs((double)x[b * 64 + i]));
        for (size_t i = b * 64; i < (b + 1) * 64; i++) {
            assert_true(fabs((double)back[i] - value[i]) <= 1e-6 * (most + 0.1));
            /* the widest gap is 0.30; scales are kept to about a hundredth of the largest */
            assert_true(fabs((double)back[i] - (double)x[i]) <= 0.16 * most + 0.01);
        }
    }
    dt_nf4_unpack(x, bytes, COUNT, 64 * 257, 128);
    assert_memory_equal(x, back + 64 * 257, 128 * sizeof *x);
}

/* One block: its scale is the mean, so that the table itself comes back. */
static void nf4_keeps_the_paper_s_values(void **state) {
    float x[64], back[64];
    unsigned char bytes[4 + 4 + 1 + 32];
    (void)state;
    for (size_t i = 0; i < 64; i++) x[i] = (float)NF4[i % 16];
    dt_nf4_pack(bytes, x, 64);
    assert_int_equal(dt_nf4_bytes(64), sizeof bytes);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(bytes[9 + i], (i % 8 * 2) << 4 | (i % 8 * 2 + 1));
    dt_nf4_unpack(back, bytes, 64, 0, 64);
    assert_memory_equal(back, x, sizeof x);
    /* between two values the nearer one counts, exactly between them the lower one */
    for (size_t i = 0; i < 15; i++) {
        const float middle = ((float)NF4[i] + (float)NF4[i + 1]) / 2;
        x[16 + i] = middle;
        x[32 + i] = nextafterf(middle, 2);
    }
    dt_nf4_pack(bytes, x, 64);
    dt_nf4_unpack(back, bytes, 64, 0, 64);
    for (size_t i = 0; i < 15; i++) {
        assert_true(back[16 + i] == (float)NF4[i]);
        assert_true(back[32 + i] == (float)NF4[i + 1]);
    }
}

static void nothing_stays_nothing(void **state) {
    float x[64] = {0}, back[64];
    unsigned char bytes[4 + 4 + 1 + 32];
    (void)state;
    dt_nf4_pack(bytes, x, 64);
    dt_nf4_unpack(back, bytes, 64, 0, 64);
    for (size_t i = 0; i < 64; i++) assert_true(back[i] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q8_0_is_a_scale_and_bytes),
        cmocka_unit_test(nf4_is_near_and_as_described),
        cmocka_unit_test(nf4_keeps_the_paper_s_values),
        cmocka_unit_test(nothing_stays_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
