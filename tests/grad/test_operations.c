/* Every operation of a backend except products and attention, forward and backward, against the
 * double-precision reference. */
#include "device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const fixture_lengths BATCHES[] = {
    {{1}}, {{1, 1, 1}}, {{17}}, {{1, 16, 3, 33}}, {{65, 1, 100}}, {{31, 15, 1, 7, 48, 2}},
};

/* ---- memory ---- */

static void memory_is_zeroed_and_copied(void **state) {
    dt_backend *backend = *state;
    const dt_backend_table *op = backend->op;
    enum { COUNT = 100 };
    dt_buffer *buffer = NULL;
    expect_ok(op->buffer_create(&buffer, backend, COUNT * sizeof(float), "numbers"));
    float back[COUNT], some[10];
    for (size_t i = 0; i < LENGTH(some); i++) some[i] = (float)i + 0.5f;
    expect_ok(op->download(backend, back, dt_floats(buffer, 0), COUNT));
    for (size_t i = 0; i < COUNT; i++) assert_true(back[i] == 0);

    expect_ok(op->upload(backend, dt_floats(buffer, 7), some, LENGTH(some)));
    expect_ok(op->fill_zero(backend, dt_floats(buffer, 9), 2));
    expect_ok(op->download(backend, back, dt_floats(buffer, 0), COUNT));
    for (size_t i = 0; i < COUNT; i++) {
        const bool written = i >= 7 && i < 17 && i != 9 && i != 10;
        assert_true(back[i] == (written ? some[i - 7] : 0));
    }
    op->buffer_destroy(&buffer, backend);
    assert_null(buffer);
}

static void attached_memory_is_pushed_and_pulled(void **state) {
    dt_backend *backend = *state;
    const dt_backend_table *op = backend->op;
    float host[48] = {1, 2, 3}, back[3];
    dt_buffer *buffer = NULL;
    expect_ok(op->buffer_attach(&buffer, backend, host, sizeof host, "a window"));
    const dt_tensor at = dt_floats(buffer, 0);
    expect_ok(op->push(backend, at, LENGTH(host)));
    expect_ok(op->download(backend, back, at, 3));
    assert_memory_equal(back, host, sizeof back);
    expect_ok(op->fill_zero(backend, dt_tensor_at(at, 1), 1));
    expect_ok(op->pull(backend, at, LENGTH(host)));
    expect_ok(op->finish(backend));
    assert_true(host[0] == 1 && host[1] == 0 && host[2] == 3);
    op->buffer_destroy(&buffer, backend);
    assert_null(buffer);
    assert_true(host[2] == 3);
}

/* ---- embedding ---- */

static void embed_check(dt_backend *backend, const fixture_lengths *lengths, size_t C) {
    enum { V = 20, T = 100, P = 10 };
    fixture_random random = {C};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, lengths, V, P, &random);
    device_batch_create(&device, backend, &batch);
    char what[80];
    snprintf(what, sizeof what, "embedding of %zu tokens, width %zu", batch.tokens, C);

    device_tensor tok = device_random("tok_embed", backend, V * C, 0, 1, &random);
    device_tensor pos = device_random("pos_embed", backend, T * C, 0, 1, &random);
    device_tensor place = device_random("place_embed", backend, P * C, 0, 1, &random);
    device_tensor x = device_blank("x", backend, batch.tokens * C);
    expect_ok(
        backend->op->embed_forward(backend, x.at, &device.packed, tok.at, pos.at, place.at, C));
    reference_embed_forward(x.host, &batch, tok.host, pos.host, place.host, C);
    expect_device(what, &x, &tok, &pos, &place, NULL);

    /* The tables also serve as initial gradients, and x as its own gradient. */
    expect_ok(
        backend->op->embed_backward(backend, tok.at, pos.at, place.at, &device.packed, x.at, C));
    reference_embed_backward(tok.host, pos.host, place.host, &batch, x.host, C);
    expect_device(what, &tok, &pos, &place, &x, NULL);

    device_destroy(&tok, &pos, &place, &x, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
}

static void embed_agrees(void **state) {
    const size_t width[] = {1, 5, 8, 33, 40, 128};
    for (size_t b = 0; b < LENGTH(BATCHES); b++) {
        for (size_t i = 0; i < LENGTH(width); i++) embed_check(*state, &BATCHES[b], width[i]);
    }
}

/* ---- layer norm ---- */

static void norm_check(dt_backend *backend, size_t N, size_t C, double centre, double scale_x) {
    fixture_random random = {N + C};
    char what[80];
    snprintf(what, sizeof what, "norm of (%zu,%zu) around %g", N, C, centre);
    device_tensor x = device_random("x", backend, N * C, centre, scale_x, &random);
    device_tensor scale = device_random("scale", backend, C, 1, 0.5, &random);
    device_tensor bias = device_random("bias", backend, C, 0, 1, &random);
    device_tensor y = device_blank("y", backend, N * C);
    device_tensor mean = device_blank("mean", backend, N), rstd = device_blank("rstd", backend, N);
    expect_ok(
        backend->op->norm_forward(backend, y.at, mean.at, rstd.at, x.at, scale.at, bias.at, N, C));
    reference_norm_forward(y.host, mean.host, rstd.host, x.host, scale.host, bias.host, N, C);
    expect_device(what, &y, &mean, &rstd, &x, &scale, &bias, NULL);

    device_tensor d_y = device_random("d_y", backend, N * C, 0, 1, &random);
    device_tensor d_x = device_random("d_x", backend, N * C, 0, 1, &random);
    device_tensor d_scale = device_random("d_scale", backend, C, 0, 1, &random);
    device_tensor d_bias = device_random("d_bias", backend, C, 0, 1, &random);
    expect_ok(backend->op->norm_backward(backend, d_x.at, d_scale.at, d_bias.at, d_y.at, x.at,
                                         mean.at, rstd.at, scale.at, N, C));
    reference_norm_backward(d_x.host, d_scale.host, d_bias.host, d_y.host, x.host, scale.host, N,
                            C);
    expect_device(what, &d_x, &d_scale, &d_bias, &d_y, &x, &mean, &rstd, &scale, NULL);
    device_destroy(&x, &scale, &bias, &y, &mean, &rstd, &d_y, &d_x, &d_scale, &d_bias, NULL);
}

static void norm_agrees(void **state) {
    const struct {
        size_t N, C;
    } shape[] = {{1, 1}, {1, 8}, {3, 5}, {2, 16}, {7, 33}, {65, 40}, {130, 128}, {2, 1000}};
    for (size_t i = 0; i < LENGTH(shape); i++) norm_check(*state, shape[i].N, shape[i].C, 0.3, 2);
}

/* A large mean must not hide the variance. */
static void norm_keeps_small_differences(void **state) {
    norm_check(*state, 5, 40, 100, 1);
    norm_check(*state, 5, 24, -300, 1);
}

/* Rows without variance, where only epsilon keeps the result finite. */
static void norm_of_constant_rows_is_the_bias(void **state) {
    norm_check(*state, 3, 8, 0.75, 0);
    norm_check(*state, 3, 21, 2, 0);
}

/* ---- loss ---- */

static void expect_score(const char *what, const dt_score *actual, const dt_score *expected) {
    expect_close(what, &actual->loss, &expected->loss, 1, 1e-5);
    assert_true(actual->scored == expected->scored);
    assert_true(actual->correct == expected->correct);
    assert_true(actual->problems == expected->problems);
    assert_true(actual->exact == expected->exact);
}

static void loss_check(dt_backend *backend, const fixture_lengths *lengths, size_t V, double scale,
                       bool want_gradient) {
    fixture_random random = {V};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, lengths, V, 2, &random);
    device_batch_create(&device, backend, &batch);
    char what[80];
    snprintf(what, sizeof what, "loss of (%zu,%zu) within %g", batch.tokens, V, scale);
    device_tensor logits = device_random("logits", backend, batch.tokens * V, 0, scale, &random);
    /* Make about half of the problems right, so that both results occur. */
    for (size_t n = 0; n < batch.tokens; n++) {
        const size_t target = (size_t)batch.target[n];
        if (batch.target[n] >= 0 && batch.position[n] % 4)
            logits.host[n * V + target] = 1.5 * scale;
    }
    device_tensor used = device_from("logits", backend, logits.host, logits.count);

    dt_score score = {1, 2, 3, 4, 5}, expected = score;
    int32_t *matched = reference_alloc(batch.problems, sizeof *matched);
    int32_t *expected_matched = reference_alloc(batch.problems, sizeof *matched);
    memset(matched, 0x7f, batch.problems * sizeof *matched);
    dt_buffer *buffer = NULL;
    const dt_tensor at = device_ints(&buffer, backend, matched, batch.problems);
    const dt_tensor given = want_gradient ? DT_NO_TENSOR : at;
    expect_ok(backend->op->loss(backend, &score, given, used.at, &device.packed, V, want_gradient));
    reference_loss(&expected, expected_matched, used.host, used.host, &batch, V);
    expect_score(what, &score, &expected);
    if (want_gradient) {
        expect_device(what, &used, NULL);
    } else {
        expect_ok(backend->op->download(backend, matched, at, batch.problems));
        assert_memory_equal(matched, expected_matched, batch.problems * sizeof *matched);
    }
    backend->op->buffer_destroy(&buffer, backend);
    free(matched);
    free(expected_matched);
    device_destroy(&logits, &used, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
}

static void loss_agrees(void **state) {
    const size_t vocabulary[] = {2, 3, 16, 20, 33, 64};
    for (size_t b = 0; b < LENGTH(BATCHES); b++) {
        for (size_t i = 0; i < LENGTH(vocabulary); i++) {
            loss_check(*state, &BATCHES[b], vocabulary[i], 3, true);
            loss_check(*state, &BATCHES[b], vocabulary[i], 3, false);
        }
    }
}

/* The largest logit is subtracted before exp. */
static void loss_of_large_logits_is_finite(void **state) {
    loss_check(*state, &BATCHES[3], 20, 80, true);
    loss_check(*state, &BATCHES[3], 20, 1e4, true);
}

static void loss_keeps_nan(void **state) {
    dt_backend *backend = *state;
    const int32_t offset[] = {0, 1}, target[] = {1};
    const double row[3] = {0, NAN, 2};
    dt_buffer *target_buffer = NULL, *offset_buffer = NULL;
    device_tensor logits = device_from("logits", backend, row, 3);
    const dt_packed packed = {.problems = 1,
                              .tokens = 1,
                              .host_offset = offset,
                              .offset = device_ints(&offset_buffer, backend, offset, 2),
                              .target = device_ints(&target_buffer, backend, target, 1)};
    dt_score score = {0};
    expect_ok(backend->op->loss(backend, &score, DT_NO_TENSOR, logits.at, &packed, 3, true));
    assert_true(isnan(score.loss));
    backend->op->buffer_destroy(&offset_buffer, backend);
    backend->op->buffer_destroy(&target_buffer, backend);
    device_destroy(&logits, NULL);
}

/* As in generation, which takes the lower id. */
static void a_tie_counts_for_the_lower_id(void **state) {
    dt_backend *backend = *state;
    enum { N = 2, V = 3 };
    const int32_t offset[] = {0, 1, 2}, target[] = {1, 2}, ids[N] = {0, 0};
    const double tied[N * V] = {0, 7, 7, 0, 7, 7};
    const dt_batch batch = {.problems = 2,
                            .tokens = N,
                            .offset = (int32_t *)offset,
                            .token = (int32_t *)ids,
                            .position = (int32_t *)ids,
                            .place = (int32_t *)ids,
                            .spot = (int32_t *)ids,
                            .target = (int32_t *)target};
    device_batch device;
    device_batch_create(&device, backend, &batch);
    device_tensor logits = device_from("logits", backend, tied, N * V);
    dt_score score = {0};
    expect_ok(
        backend->op->loss(backend, &score, DT_NO_TENSOR, logits.at, &device.packed, V, false));
    assert_true(score.scored == 2 && score.correct == 1 && score.exact == 1);
    device_destroy(&logits, NULL);
    device_batch_destroy(&device);
}

/* ---- elements ---- */

static void expect_refused(dt_status status, const char *operation, const char *element) {
    assert_int_equal(status, DT_ERR_UNAVAILABLE);
    if (operation) assert_non_null(strstr(dt_error_text(), operation));
    assert_non_null(strstr(dt_error_text(), element));
    dt_error_clear();
}

/* Computing with them would give nonsense. */
static void other_elements_are_refused(void **state) {
    dt_backend *backend = *state;
    const dt_backend_table *op = backend->op;
    dt_buffer *buffer = NULL;
    expect_ok(op->buffer_create(&buffer, backend, 64 * sizeof(float), "numbers"));
    const int32_t offset[] = {0, 1};
    const dt_tensor f = dt_floats(buffer, 0), i = dt_ints(buffer, 32), none = DT_NO_TENSOR;
    const dt_packed ids = {1, 1, i, i, i, i, i, i, offset},
                    floats = {1, 1, f, f, f, f, f, f, offset};
    const dt_heads heads = {1, 1.0f, 0};
    const dt_attention_cache cache = {f, f, i, 1};
    const dt_dropout dropout = {.probability = 0.5f, .T = 1};
    dt_score score = {0};
    expect_refused(op->embed_forward(backend, f, &ids, f, i, f, 2), "embed_forward", "int32");
    expect_refused(op->embed_forward(backend, f, &floats, f, f, f, 2), "embed_forward", "float32");
    expect_refused(op->embed_backward(backend, none, none, i, &ids, f, 2), "embed_", "int32");
    expect_refused(op->norm_forward(backend, f, f, f, i, f, f, 1, 2), "norm_forward", "int32");
    expect_refused(op->norm_backward(backend, f, none, none, f, f, f, i, f, 1, 2), "norm_",
                   "int32");
    expect_refused(op->linear_forward(backend, f, none, f, i, none, none, 1, 1, 1, DT_IDENTITY),
                   NULL, "int32");
    expect_refused(op->linear_backward(backend, none, f, none, i, none, f, f, 1, 1, 1, DT_IDENTITY),
                   NULL, "int32");
    expect_refused(op->attention_forward(backend, f, f, i, &ids, 1, &heads), "attention_", "int32");
    expect_refused(op->attention_backward(backend, f, i, f, f, f, &ids, 1, &heads), "attention_",
                   "int32");
    expect_refused(op->attention_decode(backend, f, &cache, f, i, f, 1, 1, &heads),
                   "attention_decode", "float32");
    expect_refused(op->dropout(backend, f, f, i, &ids, 1, &dropout), "dropout", "int32");
    expect_refused(op->loss(backend, &score, none, i, &ids, 2, true), "loss", "int32");
    expect_refused(op->loss(backend, &score, none, f, &floats, 2, true), "loss", "float32");
    if (backend->update) {
        const dt_adamw adamw = {0};
        const dt_muon muon = {0};
        double sum;
        expect_refused(backend->update->adamw(backend, f, f, i, f, 1, &adamw), "adamw", "int32");
        expect_refused(backend->update->muon(backend, f, i, f, 1, 1, &muon), "muon", "int32");
        expect_refused(backend->update->momentum(backend, i, f, 1, &muon), "momentum", "int32");
        expect_refused(backend->update->average(backend, f, i, 1, 1), "average", "int32");
        expect_refused(backend->update->square_sum(backend, &sum, i, 1), "square_sum", "int32");
    }
    op->buffer_destroy(&buffer, backend);
}

/* Tensors of both types in one buffer, each at its own byte offset. */
static void a_buffer_may_hold_several_types(void **state) {
    dt_backend *backend = *state;
    const dt_backend_table *op = backend->op;
    enum { COUNT = 5, BEGIN = 64 };
    dt_buffer *buffer = NULL;
    expect_ok(op->buffer_create(&buffer, backend, 2 * BEGIN, "numbers"));
    const dt_tensor ints = {buffer, 0, DT_ELEMENT_INT32},
                    floats = {buffer, BEGIN, DT_ELEMENT_FLOAT32};
    const int32_t number[COUNT] = {7, -1, 0, 3, 1 << 30};
    const float value[COUNT] = {0.5f, -2, 1e30f, 0, 3};
    int32_t number_back[COUNT];
    float value_back[2 * BEGIN / sizeof(float)];
    expect_ok(op->upload(backend, ints, number, COUNT));
    expect_ok(op->upload(backend, floats, value, COUNT));
    expect_ok(op->download(backend, number_back, ints, COUNT));
    assert_memory_equal(number_back, number, sizeof number);
    expect_ok(op->download(backend, value_back, dt_floats(buffer, 0), LENGTH(value_back)));
    assert_memory_equal(value_back, number, sizeof number);
    assert_memory_equal(value_back + BEGIN / sizeof(float), value, sizeof value);
    assert_true(dt_tensor_at(floats, 3).offset == BEGIN + 12);
    assert_int_equal(op->upload(backend, dt_tensor_at(floats, 12), value, COUNT), DT_ERR_INTERNAL);
    dt_error_clear();
    op->buffer_destroy(&buffer, backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_copied),
        cmocka_unit_test(attached_memory_is_pushed_and_pulled),
        cmocka_unit_test(embed_agrees),
        cmocka_unit_test(norm_agrees),
        cmocka_unit_test(norm_keeps_small_differences),
        cmocka_unit_test(norm_of_constant_rows_is_the_bias),
        cmocka_unit_test(loss_agrees),
        cmocka_unit_test(loss_of_large_logits_is_finite),
        cmocka_unit_test(loss_keeps_nan),
        cmocka_unit_test(a_tie_counts_for_the_lower_id),
        cmocka_unit_test(other_elements_are_refused),
        cmocka_unit_test(a_buffer_may_hold_several_types),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
