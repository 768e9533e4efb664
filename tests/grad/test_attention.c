/* Attention inside packed problems, forward, backward and one token at a time, against the
 * double-precision reference. */
#include "attention.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const fixture_lengths BATCHES[] = {
    {{1}}, {{1, 1, 1}}, {{17}}, {{16, 32}}, {{2, 1, 16, 3, 33}}, {{64, 63, 65}}, {{31, 1, 150, 7}},
};

/* Head widths 1, 7, 8, 16, 32, 40, 64, 128; also numbers of heads that are not powers of two. */
static const struct {
    size_t C, H;
} SHAPES[] = {{1, 1},  {3, 3},  {5, 5},  {8, 1},   {24, 3},  {21, 3},  {32, 1}, {96, 3},
              {40, 1}, {80, 2}, {64, 4}, {160, 5}, {128, 2}, {128, 1}, {48, 6}};

static void forward_and_backward_agree(void **state) {
    for (size_t b = 0; b < LENGTH(BATCHES); b++) {
        for (size_t i = 0; i < LENGTH(SHAPES); i++) {
            attention_check(*state, &BATCHES[b], SHAPES[i].C, SHAPES[i].H, 1.5, 0);
        }
    }
}

/* Digits see what is near, others see no digits but near ones; all see what has no place. */
static void windows_agree(void **state) {
    for (size_t b = 0; b < LENGTH(BATCHES); b++) {
        attention_check(*state, &BATCHES[b], 24, 3, 1.5, 1);
        attention_check(*state, &BATCHES[b], 80, 2, 12, 3);
    }
    attention_check(*state, &(fixture_lengths){{257, 1, 600}}, 24, 3, 1.5, 2);
}

/* More queries than are computed at a time. */
static void long_problems_agree(void **state) {
    attention_check(*state, &(fixture_lengths){{257, 1, 600}}, 24, 3, 1.5, 0);
    attention_check(*state, &(fixture_lengths){{256, 513}}, 32, 1, 1.5, 0);
}

/* Scores in the hundreds: the largest is subtracted before exp. */
static void large_scores_stay_finite(void **state) {
    attention_check(*state, &(fixture_lengths){{20, 1, 40}}, 24, 3, 12, 0);
    attention_check(*state, &(fixture_lengths){{70}}, 80, 2, 8, 0);
}

/* Scores are multiplied by the scale that is given: twice the scale does what twice the queries
 * do. */
static void the_scale_multiplies_scores(void **state) {
    enum { C = 24, H = 3 };
    dt_backend *backend = *state;
    const dt_heads heads = heads_of(C, H, 0);
    const dt_heads sharp = {H, 2 * heads.scale, 0};
    fixture_random random = {5};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, &(fixture_lengths){{5, 1, 20}}, 2, 2, &random);
    device_batch_create(&device, backend, &batch);
    const size_t N = batch.tokens;
    device_tensor qkv = device_random("qkv", backend, N * 3 * C, 0, 1.5, &random);
    double *twice = reference_doubles(N * 3 * C);
    for (size_t i = 0; i < N * 3 * C; i++) twice[i] = qkv.host[i] * (i % (3 * C) < C ? 2 : 1);
    device_tensor doubled = device_from("qkv", backend, twice, N * 3 * C);
    device_tensor y = device_blank("y", backend, N * C), lse = device_blank("lse", backend, N * H);
    device_tensor z = device_blank("z", backend, N * C);
    expect_ok(
        backend->op->attention_forward(backend, y.at, lse.at, qkv.at, &device.packed, C, &sharp));
    expect_ok(backend->op->attention_forward(backend, z.at, lse.at, doubled.at, &device.packed, C,
                                             &heads));
    double *of_scale = device_read(&y), *of_queries = device_read(&z);
    for (size_t i = 0; i < N * C; i++) assert_true(fabs(of_scale[i] - of_queries[i]) < 1e-5);
    free(of_scale);
    free(of_queries);
    free(twice);
    device_destroy(&qkv, &doubled, &y, &lse, &z, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
}

/* A NaN key makes every token NaN that sees it, and no other. */
static void nan_is_kept(void **state) {
    dt_backend *backend = *state;
    enum { N = 4 };
    const int32_t offset[] = {0, 3, 4};
    double qkv[N * 3];
    for (size_t i = 0; i < N * 3; i++) qkv[i] = 1 + (double)i;
    qkv[1 * 3 + 1] = NAN; /* k of token 1 */
    device_tensor in = device_from("qkv", backend, qkv, N * 3);
    device_tensor y = device_blank("y", backend, N), lse = device_blank("lse", backend, N);
    dt_buffer *buffer = NULL;
    const dt_packed packed = {.problems = 2,
                              .tokens = N,
                              .offset = device_ints(&buffer, backend, offset, 3),
                              .host_offset = offset};
    expect_ok(backend->op->attention_forward(backend, y.at, lse.at, in.at, &packed, 1,
                                             &(dt_heads){1, 1.0f, 0}));
    double *actual = device_read(&y);
    for (size_t n = 0; n < N; n++) assert_true(isnan(actual[n]) == (n == 1 || n == 2));
    free(actual);
    backend->op->buffer_destroy(&buffer, backend);
    device_destroy(&in, &y, &lse, NULL);
}

/* Sequences of different lengths get one token each per round, until the longest has ended. */
typedef struct {
    dt_backend *backend;
    const dt_batch *batch;
    size_t T, C, H;
    int32_t window;
    device_tensor k_cache, v_cache;
    dt_tensor spot_cache;
} decode_run;

/* Tokens of problem b in the caches before a round; the problems start one after another. */
static size_t decode_length(const dt_batch *batch, size_t b, size_t round) {
    const size_t whole = (size_t)(batch->offset[b + 1] - batch->offset[b]);
    const size_t begun = round > b ? round - b : 0;
    return begun < whole ? begun : whole - 1; /* a sequence that has ended repeats its last token */
}

static void decode_round(const decode_run *run, const double *qkv, const double *y, size_t round) {
    const size_t B = run->batch->problems, C = run->C;
    double *rows = reference_doubles(B * 3 * C), *expected = reference_doubles(B * C);
    int32_t *length = reference_alloc(B, sizeof *length), *spot = reference_alloc(B, sizeof *spot);
    for (size_t b = 0; b < B; b++) {
        const size_t t = decode_length(run->batch, b, round), n = (size_t)run->batch->offset[b] + t;
        length[b] = (int32_t)t;
        spot[b] = run->batch->spot[n];
        memcpy(rows + b * 3 * C, qkv + n * 3 * C, 3 * C * sizeof *rows);
        memcpy(expected + b * C, y + n * C, C * sizeof *expected);
        memcpy(run->k_cache.host + (b * run->T + t) * C, qkv + n * 3 * C + C, C * sizeof *rows);
        memcpy(run->v_cache.host + (b * run->T + t) * C, qkv + n * 3 * C + 2 * C, C * sizeof *rows);
    }
    dt_buffer *buffer = NULL, *spots = NULL;
    const dt_tensor at = device_ints(&buffer, run->backend, length, B);
    const dt_tensor now = device_ints(&spots, run->backend, spot, B);
    const dt_attention_cache cache = {run->k_cache.at, run->v_cache.at, run->spot_cache, run->T};
    const dt_heads heads = heads_of(C, run->H, run->window);
    device_tensor row = device_from("qkv", run->backend, rows, B * 3 * C);
    device_tensor out = device_blank("y", run->backend, B * C);
    expect_ok(run->backend->op->attention_decode(run->backend, out.at, &cache, row.at, now, at, B,
                                                 C, &heads));
    memcpy(out.host, expected, B * C * sizeof *expected);
    char what[80];
    snprintf(what, sizeof what, "decode of C %zu, H %zu, round %zu", C, run->H, round);
    expect_device(what, &out, &row, &run->k_cache, &run->v_cache, NULL);
    device_destroy(&row, &out, NULL);
    run->backend->op->buffer_destroy(&buffer, run->backend);
    run->backend->op->buffer_destroy(&spots, run->backend);
    free(spot);
    free(rows);
    free(expected);
    free(length);
}

static void decode_check(dt_backend *backend, const fixture_lengths *lengths, size_t C, size_t H,
                         int32_t window) {
    const dt_heads heads = heads_of(C, H, window);
    fixture_random random = {C + H};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, lengths, 2, 12, &random);
    device_batch_create(&device, backend, &batch);
    const size_t N = batch.tokens, T = 80;
    device_tensor qkv = device_random("qkv", backend, N * 3 * C, 0, 1.5, &random);
    device_tensor y = device_blank("y", backend, N * C), lse = device_blank("lse", backend, N * H);
    expect_ok(
        backend->op->attention_forward(backend, y.at, lse.at, qkv.at, &device.packed, C, &heads));
    double *forward = device_read(&y);

    /* Cache content after the end of a sequence must have no effect, and must not change. */
    decode_run run = {
        .backend = backend, .batch = &batch, .T = T, .C = C, .H = H, .window = window};
    dt_buffer *spots = NULL;
    int32_t *any = reference_alloc(batch.problems * T, sizeof *any);
    run.spot_cache = device_ints(&spots, backend, any, batch.problems * T);
    run.k_cache = device_random("k_cache", backend, batch.problems * T * C, 0, 9, &random);
    run.v_cache = device_random("v_cache", backend, batch.problems * T * C, 0, 9, &random);
    for (size_t round = 0; round < T; round++) decode_round(&run, qkv.host, forward, round);

    free(forward);
    free(any);
    backend->op->buffer_destroy(&spots, backend);
    device_destroy(&qkv, &y, &lse, &run.k_cache, &run.v_cache, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
}

static void decode_gives_the_rows_of_forward(void **state) {
    decode_check(*state, &(fixture_lengths){{1}}, 8, 1, 0);
    decode_check(*state, &(fixture_lengths){{17, 1, 65}}, 24, 3, 0);
    decode_check(*state, &(fixture_lengths){{5, 79, 33, 16}}, 80, 2, 0);
    decode_check(*state, &(fixture_lengths){{5, 79, 33, 16}}, 24, 3, 2);
    decode_check(*state, &(fixture_lengths){{30, 2}}, 3, 3, 0);
    decode_check(*state, &(fixture_lengths){{80, 12, 47}}, 128, 4, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_and_backward_agree),
        cmocka_unit_test(windows_agree),
        cmocka_unit_test(long_problems_agree),
        cmocka_unit_test(large_scores_stay_finite),
        cmocka_unit_test(the_scale_multiplies_scores),
        cmocka_unit_test(nan_is_kept),
        cmocka_unit_test(decode_gives_the_rows_of_forward),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
