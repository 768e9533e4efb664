/* A small model with large random weights and a batch of real problems, on a backend and in double
 * precision. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/arithmetic/format.h"
#include "dtrain/arithmetic/source.h"
#include "dtrain/core/memory.h"

static void fill_weights(rig *r) {
    fixture_random random = {(uint64_t)r->shape.C};
    for (size_t i = 0; i < r->layout->parameters; i++) {
        const dt_parameter *p = &r->layout->parameter[i];
        const bool scale = strstr(p->name, "/scale") != NULL;
        fixture_fill(r->exact + p->offset, p->count, scale ? 1 : 0, p->rank == 2 ? 0.4 : 0.3,
                     &random);
    }
    for (size_t i = 0; i < r->layout->count; i++) r->weights[i] = (float)r->exact[i];
}

void rig_batch_create(dt_batch *batch, const rig *r, size_t first, size_t count) {
    expect_ok(dt_batch_create(batch, count, count * dt_format_longest(&r->config)));
    for (size_t i = first; i < first + count; i++) {
        dt_problem problem;
        expect_ok(dt_problem_train(&problem, &r->config, i));
        expect_ok(dt_arithmetic_write(&batch->text, &problem, &r->config, i));
        expect_ok(dt_batch_append(batch, &batch->text, i, r->tokenizer));
    }
}

void rig_create(rig *r, dt_backend *backend, const rig_choice *choice) {
    *r = (rig){.backend = backend};
    dt_config_defaults(&r->config);
    r->config.format = choice->format;
    r->config.layers = choice->layers;
    r->config.width = choice->width;
    r->config.heads = choice->heads;
    r->config.dropout = choice->dropout;
    r->config.positions = choice->positions;
    r->config.place_embedding = choice->place_embedding;
    r->config.place_window = choice->place_window;
    expect_ok(dt_tokenizer_create(&r->tokenizer, choice->format, DT_MARKS_NONE));
    expect_ok(dt_model_shape_from(&r->shape, &r->config, dt_tokenizer_size(r->tokenizer)));
    rig_batch_create(&r->batch, r, 0, choice->problems);

    dt_layout layout;
    expect_ok(dt_layout_create(&layout, &r->shape));
    const size_t count = layout.count;
    dt_layout_destroy(&layout);
    expect_ok(dt_memory_alloc(&r->weights, count, sizeof *r->weights, "weights"));
    expect_ok(backend->op->buffer_attach(&r->weight_buffer, backend, r->weights,
                                         count * sizeof(float), "weights"));
    expect_ok(dt_model_create(&r->model, backend, &r->shape, r->weight_buffer, choice->problems,
                              r->batch.tokens));
    r->layout = dt_model_layout(r->model);
    r->exact = reference_doubles(count);
    fill_weights(r);
    expect_ok(backend->op->push(backend, dt_floats(r->weight_buffer, 0), count));
}

void rig_destroy(rig *r) {
    dt_model_destroy(&r->model);
    assert_null(r->model);
    r->backend->op->buffer_destroy(&r->weight_buffer, r->backend);
    dt_memory_free(&r->weights);
    dt_batch_destroy(&r->batch);
    dt_tokenizer_destroy(&r->tokenizer);
    free(r->exact);
}

double *rig_gradient(const rig *r, dt_score *score, const dt_batch *batch, const dt_step_key *key) {
    const size_t count = r->layout->count;
    dt_buffer *buffer = NULL;
    float *words = reference_alloc(count, sizeof *words);
    double *values = reference_doubles(count);
    expect_ok(
        r->backend->op->buffer_create(&buffer, r->backend, count * sizeof(float), "gradient"));
    expect_ok(dt_model_backward(r->model, score, buffer, batch, key));
    expect_ok(r->backend->op->download(r->backend, words, dt_floats(buffer, 0), count));
    for (size_t i = 0; i < count; i++) values[i] = (double)words[i];
    r->backend->op->buffer_destroy(&buffer, r->backend);
    free(words);
    return values;
}

void rig_expect_gradient(const rig *r, const double *actual, const double *expected,
                         double tolerance) {
    size_t end = 0;
    for (size_t i = 0; i < r->layout->parameters; i++) {
        const dt_parameter *p = &r->layout->parameter[i];
        for (; end < p->offset; end++) assert_true(actual[end] == 0);
        expect_close(p->name, actual + p->offset, expected + p->offset, p->count, tolerance);
        end = p->offset + p->count;
    }
    for (; end < r->layout->count; end++) assert_true(actual[end] == 0);
}
