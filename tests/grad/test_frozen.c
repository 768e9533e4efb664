/* Frozen parameters: the gradients of the others keep the same bits, and no update changes frozen
 * weights. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/core/memory.h"
#include "dtrain/optim/optim.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* Parameters whose names contain one of the words are trained; NULL ends the words. */
static const char *const TRAINED[][4] = {
    {"layers/1/"},
    {"attn_qkv/weight", "mlp_in/weight"},
    {"layers/2/mlp_out/bias"},
    {"layers/1/mlp_norm/scale"},
    {"layers/0/attn_norm/bias"},
    {"/bias"},
    {"tok_embed"},
    {"pos_embed", "layers/2/attn_out/weight"},
    {"place_embed"},
    {"final_norm/bias"},
    {"tok_embed", "pos_embed", "place_embed"},
};

static const rig_choice CHOICE = {.format = DT_FORMAT_REVERSE,
                                  .layers = 3,
                                  .width = 24,
                                  .heads = 3,
                                  .problems = 5,
                                  .dropout = 0.1};
static const dt_step_key KEY = {.seed = 3, .step = 5, .first_problem = 1};

static bool is_trained(const dt_parameter *p, const char *const *words) {
    for (; *words; words++) {
        if (strstr(p->name, *words)) return true;
    }
    return false;
}

/* The model of a rig, some of it frozen, with the same weights. */
typedef struct {
    const rig *r;
    dt_layout layout;
    float *weights, *frozen;
    dt_buffer *weight_buffer, *frozen_buffer;
    dt_model *model;
} subject;

static void freeze(dt_layout *layout, const dt_model_shape *shape, const char *const *words) {
    expect_ok(dt_layout_create(layout, shape));
    for (size_t i = 0; i < layout->parameters; i++)
        layout->parameter[i].frozen = !is_trained(&layout->parameter[i], words);
    dt_layout_arrange(layout);
}

static float *frozen_weights(const subject *s, const dt_parameter *p) {
    return (float *)(void *)((char *)s->frozen + p->frozen_offset);
}

static void subject_create(subject *s, const rig *r, const char *const *words) {
    *s = (subject){.r = r};
    dt_backend *backend = r->backend;
    freeze(&s->layout, &r->shape, words);
    const size_t count = s->layout.count, floats = s->layout.frozen_bytes / sizeof(float);
    expect_ok(dt_memory_alloc(&s->weights, count, sizeof *s->weights, "weights"));
    expect_ok(dt_memory_alloc(&s->frozen, floats, sizeof *s->frozen, "frozen weights"));
    for (size_t i = 0; i < s->layout.parameters; i++) {
        const dt_parameter *p = &s->layout.parameter[i], *whole = &r->layout->parameter[i];
        memcpy(p->frozen ? frozen_weights(s, p) : s->weights + p->offset,
               r->weights + whole->offset, p->count * sizeof(float));
    }
    expect_ok(backend->op->buffer_attach(&s->weight_buffer, backend, s->weights,
                                         count * sizeof(float), "weights"));
    expect_ok(backend->op->buffer_attach(&s->frozen_buffer, backend, s->frozen,
                                         s->layout.frozen_bytes, "weights"));
    expect_ok(backend->op->push(backend, dt_floats(s->weight_buffer, 0), count));
    expect_ok(backend->op->push(backend, dt_floats(s->frozen_buffer, 0), floats));
    expect_ok(dt_model_create(&s->model, backend, &r->shape, s->weight_buffer, CHOICE.problems,
                              r->batch.tokens));
    dt_model_freeze(s->model, &s->layout, s->frozen_buffer);
}

static void subject_destroy(subject *s) {
    dt_backend *backend = s->r->backend;
    dt_model_destroy(&s->model);
    backend->op->buffer_destroy(&s->weight_buffer, backend);
    backend->op->buffer_destroy(&s->frozen_buffer, backend);
    dt_memory_free(&s->weights);
    dt_memory_free(&s->frozen);
    dt_layout_destroy(&s->layout);
}

static void blocks_hold_what_is_trained(void **state) {
    (void)state;
    const dt_model_shape shape = {.L = 3, .C = 10, .H = 2, .F = 30, .V = 17, .T = 9, .P = 4};
    for (size_t c = 0; c < LENGTH(TRAINED); c++) {
        dt_layout layout;
        freeze(&layout, &shape, TRAINED[c]);
        size_t count = 0, bytes = 0, trained = 0;
        for (size_t i = 0; i < layout.parameters; i++) {
            const dt_parameter *p = &layout.parameter[i];
            assert_int_equal(p->offset, count);
            if (!p->frozen) {
                trained++;
                count += (p->count + 15) / 16 * 16;
                continue;
            }
            assert_int_equal(p->frozen_offset, bytes);
            bytes += (p->count * 4 + 63) / 64 * 64;
        }
        assert_true(trained > 0 && trained < layout.parameters);
        assert_int_equal(layout.count, count);
        assert_int_equal(layout.frozen_bytes, bytes);
        dt_layout_destroy(&layout);
    }
}

/* What a watcher has seen. */
typedef struct {
    size_t calls, from, complete;
} watch;

static dt_status see(void *context, size_t from) {
    watch *w = context;
    assert_true(from <= w->from);
    w->from = from;
    w->calls++;
    w->complete += from == 0;
    return DT_OK;
}

static float *gradient_of(const subject *s, dt_score *score, watch *w) {
    dt_backend *backend = s->r->backend;
    const size_t count = s->layout.count;
    dt_buffer *buffer;
    float *gradient = reference_alloc(count, sizeof *gradient);
    *w = (watch){.from = count};
    expect_ok(backend->op->buffer_create(&buffer, backend, count * sizeof(float), "gradient"));
    dt_model_watch(s->model, see, w);
    expect_ok(dt_model_backward(s->model, score, buffer, &s->r->batch, &KEY));
    expect_ok(backend->op->download(backend, gradient, dt_floats(buffer, 0), count));
    backend->op->buffer_destroy(&buffer, backend);
    return gradient;
}

static void gradients_are_the_same_bits(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICE);
    dt_score all = {0};
    double *expected = rig_gradient(&r, &all, &r.batch, &KEY);
    for (size_t c = 0; c < LENGTH(TRAINED); c++) {
        subject s;
        dt_score score = {0};
        watch w;
        subject_create(&s, &r, TRAINED[c]);
        float *gradient = gradient_of(&s, &score, &w);
        assert_memory_equal(&score, &all, sizeof score);
        for (size_t i = 0; i < s.layout.parameters; i++) {
            const dt_parameter *p = &s.layout.parameter[i];
            const double *whole = expected + r.layout->parameter[i].offset;
            double size = 0;
            for (size_t k = 0; !p->frozen && k < p->count; k++) {
                assert_true((double)gradient[p->offset + k] == whole[k]);
                size += whole[k] * whole[k];
            }
            assert_true(p->frozen || size > 0);
        }
        assert_int_equal(w.from, 0);
        assert_int_equal(w.complete, 1);
        free(gradient);
        subject_destroy(&s);
    }
    free(expected);
    rig_destroy(&r);
}

/* The watcher is called after each operation of the backward pass: none follows that of the lowest
 * trained parameter. */
static void the_pass_ends_below_what_is_trained(void **state) {
    static const struct {
        const char *trained[2];
        size_t calls;
    } ENDS[] = {
        {{"final_norm/bias"}, 1},          {{"layers/2/mlp_out/bias"}, 2},
        {{"layers/2/mlp_in/weight"}, 3},   {{"layers/2/mlp_norm/bias"}, 4},
        {{"layers/2/attn_out/bias"}, 5},   {{"layers/2/attn_qkv/weight"}, 7},
        {{"layers/2/attn_norm/bias"}, 8},  {{"layers/1/mlp_out/weight"}, 9},
        {{"layers/0/attn_norm/bias"}, 22}, {{"pos_embed"}, 23},
    };
    rig r;
    rig_create(&r, *state, &CHOICE);
    for (size_t i = 0; i < LENGTH(ENDS); i++) {
        subject s;
        dt_score score = {0};
        watch w;
        subject_create(&s, &r, ENDS[i].trained);
        free(gradient_of(&s, &score, &w));
        assert_int_equal(w.calls, ENDS[i].calls);
        subject_destroy(&s);
    }
    rig_destroy(&r);
}

/* Weights and moments of one layout in the host's memory, and a gradient of noise. */
typedef struct {
    dt_backend *host;
    float *block[4];
    dt_buffer *buffer[4]; /* weights, m, v, gradient */
} optimised;

static void optimised_create(optimised *o, dt_backend *host, size_t count) {
    o->host = host;
    for (size_t b = 0; b < LENGTH(o->block); b++) {
        expect_ok(dt_memory_alloc(&o->block[b], count, sizeof(float), "a block"));
        expect_ok(host->op->buffer_attach(&o->buffer[b], host, o->block[b], count * sizeof(float),
                                          "a block"));
    }
}

static void optimised_destroy(optimised *o) {
    for (size_t b = 0; b < LENGTH(o->block); b++) {
        o->host->op->buffer_destroy(&o->buffer[b], o->host);
        dt_memory_free(&o->block[b]);
    }
}

static void optimised_step(optimised *o, const dt_layout *layout, const dt_config *config,
                           int64_t step) {
    const dt_tensor gradient = dt_floats(o->buffer[3], 0);
    dt_matrix *matrix;
    size_t matrices;
    expect_ok(dt_matrices_list(&matrix, &matrices, layout, config));
    for (size_t i = 0; i < matrices; i++) {
        expect_ok(dt_matrix_update(o->host, &matrix[i], o->buffer[0], o->buffer[1], gradient,
                                   config, step, 0.5));
    }
    dt_memory_free(&matrix);
    expect_ok(dt_optimizer_update(o->host, o->buffer[0], o->buffer[1], o->buffer[2], gradient,
                                  layout, 0, layout->count, config, step, 0.5));
}

/* Compares steps of an optimizer over the trained parameters with the same steps over all. */
static void updates_check(const rig *r, const char *const *words, int64_t optimizer) {
    dt_config config = r->config;
    config.optimizer = optimizer;
    subject s;
    subject_create(&s, r, words);
    optimised whole, part;
    optimised_create(&whole, r->backend, r->layout->count);
    optimised_create(&part, r->backend, s.layout.count);
    memcpy(whole.block[0], r->weights, r->layout->count * sizeof(float));
    memcpy(part.block[0], s.weights, s.layout.count * sizeof(float));
    float *before = reference_alloc(s.layout.frozen_bytes, 1);
    memcpy(before, s.frozen, s.layout.frozen_bytes);
    fixture_random random = {11};
    for (int64_t step = 0; step < 3; step++) {
        for (size_t i = 0; i < s.layout.parameters; i++) {
            const dt_parameter *p = &s.layout.parameter[i];
            float *all = whole.block[3] + r->layout->parameter[i].offset;
            double *noise = fixture_values(p->count, 0, 1, &random);
            for (size_t k = 0; k < p->count; k++) all[k] = (float)noise[k];
            if (!p->frozen) memcpy(part.block[3] + p->offset, all, p->count * sizeof *all);
            free(noise);
        }
        optimised_step(&whole, r->layout, &config, step);
        optimised_step(&part, &s.layout, &config, step);
    }
    assert_memory_equal(s.frozen, before, s.layout.frozen_bytes);
    for (size_t i = 0; i < s.layout.parameters; i++) {
        const dt_parameter *p = &s.layout.parameter[i];
        const size_t bytes = p->frozen ? 0 : p->count * sizeof(float);
        const size_t offset = r->layout->parameter[i].offset;
        for (size_t b = 0; bytes && b < 3; b++)
            assert_memory_equal(part.block[b] + p->offset, whole.block[b] + offset, bytes);
        if (bytes) assert_memory_not_equal(part.block[0] + p->offset, r->weights + offset, bytes);
    }
    free(before);
    optimised_destroy(&whole);
    optimised_destroy(&part);
    subject_destroy(&s);
}

static void updates_leave_frozen_weights(void **state) {
    dt_backend *backend = *state;
    if (!backend->update) return; /* weights are updated in the host's memory */
    rig r;
    rig_create(&r, backend, &CHOICE);
    for (size_t c = 0; c < LENGTH(TRAINED); c++) {
        updates_check(&r, TRAINED[c], DT_OPTIMIZER_ADAMW);
        updates_check(&r, TRAINED[c], DT_OPTIMIZER_MUON);
    }
    rig_destroy(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_hold_what_is_trained),
        cmocka_unit_test(gradients_are_the_same_bits),
        cmocka_unit_test(the_pass_ends_below_what_is_trained),
        cmocka_unit_test(updates_leave_frozen_weights),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
