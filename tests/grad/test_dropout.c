/* Dropout: its mask, what the mask depends on, and that the model's gradient uses the forward
 * pass's mask. */
#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double P = 0.25;
static const dt_dropout KEY = {
    .probability = 0.25f, .seed = 17, .step = 3, .site = 5, .first_problem = 1000, .T = 64};
static const fixture_lengths LENGTHS = {{64, 1, 40, 17}};

/* Which elements are kept: 0 or 1, for each of (N,C). Allocated: free(). */
static double *mask_of(dt_backend *backend, const fixture_lengths *lengths, size_t C,
                       const dt_dropout *key) {
    fixture_random random = {1};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, lengths, 2, 2, &random);
    device_batch_create(&device, backend, &batch);
    device_tensor x = device_random("x", backend, batch.tokens * C, 2, 1, &random);
    device_tensor y = device_blank("y", backend, batch.tokens * C);
    expect_ok(backend->op->dropout(backend, y.at, x.at, DT_NO_TENSOR, &device.packed, C, key));
    double *mask = device_read(&y);
    for (size_t i = 0; i < y.count; i++) {
        y.host[i] = mask[i] != 0 ? x.host[i] / (1 - (double)key->probability) : 0;
        mask[i] = mask[i] != 0;
    }
    expect_device("dropout scales what it keeps", &y, &x, NULL);
    device_destroy(&x, &y, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
    return mask;
}

static size_t tokens_of(const fixture_lengths *lengths) {
    size_t tokens = 0;
    for (size_t b = 0; lengths->length[b]; b++) tokens += lengths->length[b];
    return tokens;
}

/* The share of `count` independent draws is within five standard deviations of the expected one. */
static void expect_share(double hits, size_t count, double expected) {
    const double deviation = sqrt(expected * (1 - expected) / (double)count);
    if (fabs(hits / (double)count - expected) <= 5 * deviation) return;
    fail_msg("a share of %g of %zu, should be %g", hits / (double)count, count, expected);
}

/* How often two masks agree. */
static double agreement(const double *x, const double *y, size_t count) {
    double same = 0;
    for (size_t i = 0; i < count; i++) same += x[i] == y[i];
    return same;
}

static void keeps_the_share_it_should(void **state) {
    const size_t width[] = {1, 5, 16, 40, 128};
    for (size_t i = 0; i < sizeof width / sizeof *width; i++) {
        const size_t C = width[i], N = tokens_of(&LENGTHS);
        double *mask = mask_of(*state, &LENGTHS, C, &KEY), kept = 0, neighbours = 0, rows = 0;
        for (size_t j = 0; j < N * C; j++) kept += mask[j];
        expect_share(kept, N * C, 1 - P);
        /* Neighbouring channels and tokens are independent. */
        const double same = P * P + (1 - P) * (1 - P);
        for (size_t j = 0; j + 1 < N * C; j += 2) neighbours += mask[j] == mask[j + 1];
        for (size_t n = 0; n + 1 < N; n += 2)
            rows += agreement(mask + n * C, mask + (n + 1) * C, C);
        expect_share(neighbours, N * C / 2, same);
        expect_share(rows, N / 2 * C, same);
        free(mask);
    }
}

static void same_key_same_mask(void **state) {
    double *one = mask_of(*state, &LENGTHS, 40, &KEY), *two = mask_of(*state, &LENGTHS, 40, &KEY);
    assert_memory_equal(one, two, tokens_of(&LENGTHS) * 40 * sizeof *one);
    free(one);
    free(two);
}

/* With one part of the key changed, the masks agree as often as independent masks. */
static void expect_independent(dt_backend *backend, const dt_dropout *key) {
    const size_t C = 40, count = tokens_of(&LENGTHS) * C;
    double *one = mask_of(backend, &LENGTHS, C, &KEY), *two = mask_of(backend, &LENGTHS, C, key);
    expect_share(agreement(one, two, count), count, P * P + (1 - P) * (1 - P));
    free(one);
    free(two);
}

static void every_part_of_the_key_matters(void **state) {
    dt_dropout key = KEY;
    key.seed++;
    expect_independent(*state, &key);
    key = KEY;
    key.seed += (uint64_t)1 << 32;
    expect_independent(*state, &key);
    key = KEY;
    key.step++;
    expect_independent(*state, &key);
    key = KEY;
    key.site++;
    expect_independent(*state, &key);
    key = KEY;
    key.first_problem++;
    expect_independent(*state, &key);
}

/* The same problems in another micro-batch, after problems of other lengths, keep the same
 * elements. */
static void micro_batches_do_not_matter(void **state) {
    const size_t C = 21;
    dt_dropout second = KEY;
    second.first_problem += 2;
    double *whole = mask_of(*state, &LENGTHS, C, &KEY);
    double *first_half = mask_of(*state, &(fixture_lengths){{64, 1}}, C, &KEY);
    double *second_half = mask_of(*state, &(fixture_lengths){{40, 17}}, C, &second);
    assert_memory_equal(whole, first_half, 65 * C * sizeof *whole);
    assert_memory_equal(whole + 65 * C, second_half, 57 * C * sizeof *whole);
    free(whole);
    free(first_half);
    free(second_half);
}

/* In place, with a residual, and with the residual as the output: one mask, one result. */
static void residual_is_added(void **state) {
    dt_backend *backend = *state;
    const dt_backend_table *op = backend->op;
    const size_t C = 24, count = tokens_of(&LENGTHS) * C;
    fixture_random random = {2};
    dt_batch batch;
    device_batch device;
    double *mask = mask_of(backend, &LENGTHS, C, &KEY);
    fixture_batch_create(&batch, &LENGTHS, 2, 2, &random);
    device_batch_create(&device, backend, &batch);
    device_tensor x = device_random("x", backend, count, 0, 1, &random);
    device_tensor residual = device_random("residual", backend, count, 0, 1, &random);
    device_tensor y = device_blank("y", backend, count);
    expect_ok(op->dropout(backend, y.at, x.at, residual.at, &device.packed, C, &KEY));
    for (size_t i = 0; i < count; i++) y.host[i] = residual.host[i] + x.host[i] * mask[i] / (1 - P);
    expect_device("with a residual", &y, &x, &residual, NULL);

    expect_ok(op->dropout(backend, residual.at, x.at, residual.at, &device.packed, C, &KEY));
    memcpy(residual.host, y.host, count * sizeof *y.host);
    expect_device("onto the residual", &x, &residual, NULL);

    expect_ok(op->dropout(backend, x.at, x.at, DT_NO_TENSOR, &device.packed, C, &KEY));
    for (size_t i = 0; i < count; i++) x.host[i] *= mask[i] / (1 - P);
    expect_device("in place", &x, NULL);

    free(mask);
    device_destroy(&x, &residual, &y, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
}

static void probability_zero_keeps_all(void **state) {
    dt_dropout key = KEY;
    key.probability = 0;
    const size_t count = tokens_of(&LENGTHS) * 8;
    double *mask = mask_of(*state, &LENGTHS, 8, &key);
    for (size_t i = 0; i < count; i++) assert_true(mask[i] == 1);
    free(mask);
}

/* ---- in the model ---- */

static const rig_choice CHOICE = {.format = DT_FORMAT_SCRATCHPAD,
                                  .layers = 2,
                                  .width = 24,
                                  .heads = 3,
                                  .dropout = 0.3,
                                  .problems = 4};
static const dt_step_key STEP = {.seed = 23, .step = 9, .first_problem = 77};

enum { SITES_MAX = 16 };

/* Replaces a backend's table and records the mask of each call of dropout. */
typedef struct {
    dt_backend_table table;
    const dt_backend_table *real;
    size_t calls;
    dt_dropout key[SITES_MAX];
    double *mask[SITES_MAX]; /* 0 or 1/(1-p) */
} recorder;

static dt_status recorded_dropout(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                                  const dt_packed *batch, size_t C, const dt_dropout *dropout) {
    recorder *record = (recorder *)(void *)(uintptr_t)backend->op;
    const size_t count = batch->tokens * C, call = record->calls++;
    assert_true(call < SITES_MAX);
    double *ones = reference_doubles(count);
    for (size_t i = 0; i < count; i++) ones[i] = 1;
    device_tensor mask = device_from("mask", backend, ones, count);
    expect_ok(record->real->dropout(backend, mask.at, mask.at, DT_NO_TENSOR, batch, C, dropout));
    record->key[call] = *dropout;
    record->mask[call] = device_read(&mask);
    device_destroy(&mask, NULL);
    free(ones);
    return record->real->dropout(backend, y, x, residual, batch, C, dropout);
}

/* The masks come in the order of the forward pass, then in reverse order; the gradient is the
 * reference's with these masks. */
static void model_gradient_uses_the_forward_masks(void **state) {
    dt_backend *backend = *state;
    rig r;
    rig_create(&r, backend, &CHOICE);
    recorder record = {.table = *backend->op, .real = backend->op};
    record.table.dropout = recorded_dropout;
    dt_score score = {0}, expected_score = {0};
    backend->op = &record.table;
    double *gradient = rig_gradient(&r, &score, &r.batch, &STEP);
    backend->op = record.real;

    const size_t sites = 1 + 2 * r.shape.L, count = r.batch.tokens * r.shape.C;
    assert_int_equal(record.calls, 2 * sites);
    for (size_t i = 0; i < sites; i++) {
        const dt_dropout *key = &record.key[i];
        assert_true(key->seed == STEP.seed && key->step == STEP.step &&
                    key->first_problem == STEP.first_problem);
        assert_true(key->T >= r.shape.T && key->probability == 0.3f);
        for (size_t j = 0; j < i; j++) assert_true(key->site != record.key[j].site);
        assert_memory_equal(record.mask[i], record.mask[2 * sites - 1 - i], count * sizeof(double));
    }
    double *expected = reference_doubles(r.layout->count);
    reference_model_run(&expected_score, NULL, expected, r.exact, r.layout, &r.shape, &r.batch,
                        (const double *const *)record.mask);
    expect_close("loss", &score.loss, &expected_score.loss, 1, 1e-5);
    rig_expect_gradient(&r, gradient, expected, 1e-4);
    for (size_t i = 0; i < record.calls; i++) free(record.mask[i]);
    free(gradient);
    free(expected);
    rig_destroy(&r);
}

/* The float model's loss when the weights of one tensor move along a direction. */
typedef struct {
    const rig *r;
    const dt_parameter *parameter;
    const double *direction;
    double way;
} path;

static double loss_along(void *context) {
    const path *p = context;
    const rig *r = p->r;
    const size_t first = p->parameter->offset, count = p->parameter->count;
    for (size_t i = 0; i < count; i++) {
        r->weights[first + i] = (float)(r->exact[first + i] + p->way * p->direction[i]);
    }
    expect_ok(r->backend->op->push(r->backend, dt_floats(r->weight_buffer, first), count));
    dt_score score = {0};
    free(rig_gradient(r, &score, &r->batch, &STEP));
    return score.loss;
}

/* Needs no reference: along its own gradient, scaled to length 1, the slope of the loss is the
 * gradient's norm. */
static void model_loss_rises_along_the_gradient(void **state) {
    /* Slopes are computed over thousandths of this: far enough apart for a loss in float. */
    const double stride = 10;
    rig r;
    rig_create(&r, *state, &CHOICE);
    dt_score score = {0};
    double *gradient = rig_gradient(&r, &score, &r.batch, &STEP);
    for (size_t i = 0; i < r.layout->parameters; i++) {
        const dt_parameter *p = &r.layout->parameter[i];
        double *direction = fixture_copy(gradient + p->offset, p->count), squares = 0;
        for (size_t k = 0; k < p->count; k++) squares += direction[k] * direction[k];
        const double length = sqrt(squares);
        for (size_t k = 0; k < p->count; k++) direction[k] *= stride / length;
        path way = {&r, p, direction, 0};
        const double slope = fixture_slope(&way.way, loss_along, &way) / stride;
        loss_along(&way); /* back at 0 */
        expect_close(p->name, &length, &slope, 1, 1e-3);
        free(direction);
    }
    free(gradient);
    rig_destroy(&r);
}

/* Evaluation uses no dropout. */
static void only_training_drops(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICE);
    dt_score score = {0}, expected = {0}, trained = {0};
    expect_ok(dt_model_evaluate(r.model, &score, NULL, &r.batch));
    reference_model_run(&expected, NULL, NULL, r.exact, r.layout, &r.shape, &r.batch, NULL);
    expect_close("loss", &score.loss, &expected.loss, 1, 1e-5);
    free(rig_gradient(&r, &trained, &r.batch, &STEP));
    assert_true(fabs(trained.loss - expected.loss) > 0.01);
    rig_destroy(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_share_it_should),
        cmocka_unit_test(same_key_same_mask),
        cmocka_unit_test(every_part_of_the_key_matters),
        cmocka_unit_test(micro_batches_do_not_matter),
        cmocka_unit_test(residual_is_added),
        cmocka_unit_test(probability_zero_keeps_all),
        cmocka_unit_test(model_gradient_uses_the_forward_masks),
        cmocka_unit_test(model_loss_rises_along_the_gradient),
        cmocka_unit_test(only_training_drops),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
