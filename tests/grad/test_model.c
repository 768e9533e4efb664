/* The whole model on packed batches of real problems: logits, scores and gradients against the
 * double-precision reference. */
#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/core/memory.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const dt_step_key KEY = {.seed = 5, .step = 7, .first_problem = 100};

/* Head widths 8, 40, 1 and 5; odd widths; one layer and several. */
static const rig_choice CHOICES[] = {
    {.format = DT_FORMAT_PLAIN, .layers = 1, .width = 8, .heads = 1, .problems = 1},
    {.format = DT_FORMAT_PLAIN, .layers = 2, .width = 24, .heads = 3, .problems = 9},
    {.format = DT_FORMAT_REVERSE, .layers = 2, .width = 40, .heads = 1, .problems = 7},
    {.format = DT_FORMAT_REVERSE, .layers = 1, .width = 3, .heads = 3, .problems = 5},
    {.format = DT_FORMAT_SCRATCHPAD, .layers = 3, .width = 15, .heads = 3, .problems = 6},
    {.format = DT_FORMAT_SCRATCHPAD, .layers = 2, .width = 32, .heads = 4, .problems = 5},
    {.format = DT_FORMAT_REVERSE,
     .layers = 2,
     .width = 24,
     .heads = 2,
     .problems = 6,
     .positions = DT_POSITIONS_NONE},
    {.format = DT_FORMAT_SCRATCHPAD,
     .layers = 2,
     .width = 24,
     .heads = 3,
     .problems = 6,
     .positions = DT_POSITIONS_INDEX},
    {.format = DT_FORMAT_SCRATCHPAD,
     .layers = 2,
     .width = 24,
     .heads = 2,
     .problems = 6,
     .place_embedding = DT_PLACES_WAVES},
    {.format = DT_FORMAT_SCRATCHPAD,
     .layers = 2,
     .width = 36,
     .heads = 3,
     .problems = 6,
     .place_embedding = DT_PLACES_ROTARY},
    {.format = DT_FORMAT_SCRATCHPAD,
     .layers = 2,
     .width = 36,
     .heads = 3,
     .problems = 6,
     .place_embedding = DT_PLACES_ROTARY,
     .place_window = 1},
};

/* ---- parameters ---- */

static dt_role role_of(const char *name, size_t rank) {
    if (strstr(name, "_embed")) return DT_ROLE_EMBEDDING;
    return rank == 2 ? DT_ROLE_MATRIX : DT_ROLE_VECTOR;
}

static void layout_is_the_schema(void **state) {
    (void)state;
    const dt_model_shape shape = {.L = 3, .C = 10, .H = 2, .F = 30, .V = 17, .T = 9, .P = 4};
    dt_layout layout, schema;
    expect_ok(dt_layout_create(&layout, &shape));
    reference_layout_create(&schema, &shape);
    assert_int_equal(layout.parameters, schema.parameters);
    assert_int_equal(layout.weights, schema.weights);
    size_t end = 0;
    for (size_t i = 0; i < schema.parameters; i++) {
        const dt_parameter *p = &layout.parameter[i], *s = &schema.parameter[i];
        assert_string_equal(p->name, s->name);
        assert_int_equal(p->count, s->count);
        assert_int_equal(p->rank, s->rank);
        for (size_t k = 0; k < s->rank; k++) assert_int_equal(p->extent[k], s->extent[k]);
        assert_int_equal(p->role, role_of(s->name, s->rank));
        assert_int_equal(p->stacked, strstr(s->name, "qkv/weight") ? 3 : 1);
        assert_false(p->frozen);
        assert_int_equal(p->offset % DT_ALIGNED_FLOATS, 0);
        assert_true(p->offset >= end);
        end = p->offset + p->count;
        assert_ptr_equal(dt_layout_find(&layout, s->name), p);
    }
    assert_true(layout.count >= end);
    assert_null(dt_layout_find(&layout, "layers/3/attn_qkv/weight"));
    assert_null(dt_layout_find(&layout, "tok"));
    free(schema.parameter);
    dt_layout_destroy(&layout);
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Normally distributed: the mean and the mean square are within five of their standard deviations.
 */
static void expect_normal(const float *w, size_t count, double deviation) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
    }
    const double n = (double)count, variance = deviation * deviation;
    assert_true(fabs(sum / n) < 5 * deviation / sqrt(n));
    assert_true(fabs(squares / n - variance) < 5 * variance * sqrt(2 / n));
}

static void initial_weights_are_those_of_gpt2(void **state) {
    (void)state;
    const dt_model_shape shape = {.L = 2, .C = 35, .H = 5, .F = 140, .V = 19, .T = 60, .P = 7};
    dt_layout layout;
    expect_ok(dt_layout_create(&layout, &shape));
    float *w = reference_alloc(layout.count, sizeof *w),
          *other = reference_alloc(layout.count, sizeof *w);
    dt_model_initialise(w, &layout, 1, 0, 1);
    dt_model_initialise(other, &layout, 1, 0, 3);
    dt_model_initialise(other, &layout, 1, 2, 3);
    assert_memory_not_equal(w, other, layout.count * sizeof *w);
    dt_model_initialise(other, &layout, 1, 1, 3);
    assert_memory_equal(w, other, layout.count * sizeof *w);
    dt_model_initialise(other, &layout, 2, 0, 1);
    size_t end = 0;
    for (size_t i = 0; i < layout.parameters; i++) {
        const dt_parameter *p = &layout.parameter[i];
        for (; end < p->offset; end++) assert_true(w[end] == 0);
        end += p->count;
        if (p->rank == 2) {
            const bool residual = ends_with(p->name, "_out/weight");
            expect_normal(w + p->offset, p->count, residual ? 0.02 / sqrt(2.0 * 2) : 0.02);
            assert_memory_not_equal(w + p->offset, other + p->offset, p->count * sizeof *w);
            continue;
        }
        for (size_t k = p->offset; k < end; k++)
            assert_true(w[k] == (ends_with(p->name, "scale") ? 1 : 0));
    }
    /* Tensors of one shape are not copies of each other. */
    assert_memory_not_equal(w + dt_layout_find(&layout, "layers/0/mlp_in/weight")->offset,
                            w + dt_layout_find(&layout, "layers/1/mlp_in/weight")->offset,
                            35 * 140 * sizeof *w);
    free(w);
    free(other);
    dt_layout_destroy(&layout);
}

static double dot(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Two places are as alike as any others that are equally far apart, and most like themselves. */
static void places_that_may_begin_anywhere_begin_as_waves(void **state) {
    (void)state;
    enum { C = 32, P = 90 };
    const dt_model_shape shape = {
        .L = 1, .C = C, .H = 1, .F = 4 * C, .V = 19, .T = 60, .P = P, .place_waves = true};
    dt_layout layout;
    expect_ok(dt_layout_create(&layout, &shape));
    float *w = reference_alloc(layout.count, sizeof *w);
    dt_model_initialise(w, &layout, 1, 0, 1);
    const float *place = w + dt_layout_find(&layout, "place_embed")->offset;
    for (size_t apart = 0; apart < P; apart++) {
        const double alike = dot(place, place + apart * C, C);
        for (size_t r = 0; r + apart < P; r++) {
            const double there = dot(place + r * C, place + (r + apart) * C, C);
            assert_true(fabs(there - alike) < 1e-6);
        }
        if (apart == 0) assert_true(fabs(alike - C * 0.06 * 0.06) < 1e-6);
        if (apart > 0) assert_true(alike < 0.99 * C * 0.06 * 0.06);
    }
    free(w);
    dt_layout_destroy(&layout);
}

/* ---- forward ---- */

static void logits_and_scores_agree(void **state) {
    for (size_t i = 0; i < LENGTH(CHOICES); i++) {
        rig r;
        rig_create(&r, *state, &CHOICES[i]);
        const size_t count = r.batch.tokens * r.shape.V;
        float *words = reference_alloc(count, sizeof *words);
        double *logits = reference_doubles(count), *expected = reference_doubles(count);
        dt_score score = {1, 2, 3, 4, 5}, expected_score = score;
        int32_t *matched = reference_alloc(r.batch.problems, sizeof *matched);
        int32_t *expected_matched = reference_alloc(r.batch.problems, sizeof *matched);

        expect_ok(dt_model_logits(r.model, words, &r.batch));
        for (size_t j = 0; j < count; j++) logits[j] = (double)words[j];
        reference_model_run(&expected_score, expected, NULL, r.exact, r.layout, &r.shape, &r.batch,
                            NULL);
        expect_close("logits", logits, expected, count, 1e-4);

        expect_ok(dt_model_evaluate(r.model, &score, matched, &r.batch));
        expect_close("loss", &score.loss, &expected_score.loss, 1, 1e-5);
        assert_true(score.scored == expected_score.scored &&
                    score.correct == expected_score.correct);
        assert_true(score.problems == expected_score.problems &&
                    score.exact == expected_score.exact);
        assert_true(score.scored == 2 + (double)r.batch.scored);
        dt_score ignored = {0};
        reference_loss(&ignored, expected_matched, NULL, expected, &r.batch, r.shape.V);
        assert_memory_equal(matched, expected_matched, r.batch.problems * sizeof *matched);
        free(words);
        free(logits);
        free(expected);
        free(matched);
        free(expected_matched);
        rig_destroy(&r);
    }
}

static void a_batch_without_room_is_refused(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICES[1]);
    dt_batch larger;
    dt_score score = {0};
    rig_batch_create(&larger, &r, 0, CHOICES[1].problems + 1);
    assert_int_equal(dt_model_evaluate(r.model, &score, NULL, &larger), DT_ERR_INTERNAL);
    assert_true(score.problems == 0);
    dt_batch_destroy(&larger);
    rig_destroy(&r);
}

/* ---- backward ---- */

static void gradients_agree(void **state) {
    for (size_t i = 0; i < LENGTH(CHOICES); i++) {
        rig r;
        rig_create(&r, *state, &CHOICES[i]);
        dt_score score = {1, 2, 3, 4, 5}, expected_score = score;
        double *expected = reference_doubles(r.layout->count);
        reference_model_run(&expected_score, NULL, expected, r.exact, r.layout, &r.shape, &r.batch,
                            NULL);
        double *gradient = rig_gradient(&r, &score, &r.batch, &KEY);
        rig_expect_gradient(&r, gradient, expected, 1e-4);
        expect_close("loss", &score.loss, &expected_score.loss, 1, 1e-5);
        assert_true(score.scored == expected_score.scored &&
                    score.correct == expected_score.correct);
        assert_true(score.problems == expected_score.problems &&
                    score.exact == expected_score.exact);
        free(gradient);
        free(expected);
        rig_destroy(&r);
    }
}

static double reference_loss_of(void *context) {
    const rig *r = context;
    dt_score score = {0};
    reference_model_run(&score, NULL, NULL, r->exact, r->layout, &r->shape, &r->batch, NULL);
    return score.loss;
}

/* On sampled parameters of every tensor the reference's gradient is the slope of its loss, on real
 * problems too. */
static void reference_gradient_is_the_slope(void **state) {
    enum { SAMPLES = 3 };
    const rig_choice choice = {
        .format = DT_FORMAT_SCRATCHPAD, .layers = 2, .width = 12, .heads = 3, .problems = 3};
    rig r;
    rig_create(&r, *state, &choice);
    fixture_random random = {11};
    dt_score score = {0};
    double *gradient = reference_doubles(r.layout->count);
    reference_model_run(&score, NULL, gradient, r.exact, r.layout, &r.shape, &r.batch, NULL);
    for (size_t i = 0; i < r.layout->parameters; i++) {
        const dt_parameter *p = &r.layout->parameter[i];
        double largest = 0;
        for (size_t k = 0; k < p->count; k++)
            largest = fmax(largest, fabs(gradient[p->offset + k]));
        assert_true(largest > 0);
        for (size_t k = 0; k < SAMPLES; k++) {
            const size_t at = p->offset + fixture_below(&random, p->count);
            const double slope = fixture_slope(&r.exact[at], reference_loss_of, &r);
            if (fabs(slope - gradient[at]) <= 1e-6 * largest) continue;
            fail_msg("%s, element %zu: %.9g, the slope is %.9g", p->name, at - p->offset,
                     gradient[at], slope);
        }
    }
    free(gradient);
    rig_destroy(&r);
}

static void the_gradient_is_added_to(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICES[1]);
    dt_backend *backend = *state;
    const size_t count = r.layout->count;
    dt_score score = {0};
    double *once = rig_gradient(&r, &score, &r.batch, &KEY), *twice = reference_doubles(count);
    float *words = reference_alloc(count, sizeof *words);
    dt_buffer *buffer = NULL;
    expect_ok(backend->op->buffer_create(&buffer, backend, count * sizeof(float), "gradient"));
    for (int i = 0; i < 2; i++)
        expect_ok(dt_model_backward(r.model, &score, buffer, &r.batch, &KEY));
    expect_ok(backend->op->download(backend, words, dt_floats(buffer, 0), count));
    for (size_t i = 0; i < count; i++) {
        twice[i] = (double)words[i];
        once[i] *= 2;
    }
    rig_expect_gradient(&r, twice, once, 1e-5);
    assert_true(score.problems == 3 * (double)r.batch.problems);
    backend->op->buffer_destroy(&buffer, backend);
    free(words);
    free(once);
    free(twice);
    rig_destroy(&r);
}

/* Two documents in one text are read as two texts are. */
static void documents_do_not_see_each_other(void **state) {
    const rig_choice choice = {.format = DT_FORMAT_SCRATCHPAD,
                               .layers = 2,
                               .width = 32,
                               .heads = 2,
                               .problems = 6,
                               .positions = DT_POSITIONS_INDEX};
    rig r;
    dt_score apart = {0}, joined = {0};
    rig_create(&r, *state, &choice);
    dt_batch *batch = &r.batch;
    const size_t count = batch->tokens * r.shape.V;
    float *one = reference_alloc(count, sizeof *one), *two = reference_alloc(count, sizeof *two);
    expect_ok(dt_model_logits(r.model, one, batch));
    double *gradient = rig_gradient(&r, &apart, batch, &KEY);
    assert_int_equal(batch->documents, 6);
    for (size_t b = 1; b <= 3; b++) batch->offset[b] = batch->offset[2 * b];
    batch->problems = 3;
    expect_ok(dt_model_logits(r.model, two, batch));
    double *again = rig_gradient(&r, &joined, batch, &KEY);
    assert_memory_equal(one, two, count * sizeof *one);
    assert_memory_equal(gradient, again, r.layout->count * sizeof *gradient);
    batch->documents = 3; /* and this sees both */
    memcpy(batch->document, batch->offset, 4 * sizeof *batch->document);
    expect_ok(dt_model_logits(r.model, two, batch));
    assert_memory_not_equal(one, two, count * sizeof *one);
    free(again);
    free(gradient);
    free(two);
    free(one);
    rig_destroy(&r);
}

/* The second half first, to detect values left over from an earlier, larger batch. */
static void micro_batches_add_up(void **state) {
    rig_choice choice = CHOICES[4];
    for (int dropout = 0; dropout < 2; dropout++) {
        choice.dropout = dropout ? 0.2 : 0;
        rig r;
        rig_create(&r, *state, &choice);
        dt_batch first, second;
        const size_t cut = 2, rest = choice.problems - cut;
        rig_batch_create(&first, &r, 0, cut);
        rig_batch_create(&second, &r, cut, rest);
        dt_step_key second_key = KEY;
        second_key.first_problem += cut;
        dt_score score = {0}, whole_score = {0};
        double *whole = rig_gradient(&r, &whole_score, &r.batch, &KEY);
        double *sum = rig_gradient(&r, &score, &second, &second_key);
        double *part = rig_gradient(&r, &score, &first, &KEY);
        for (size_t i = 0; i < r.layout->count; i++) sum[i] += part[i];
        rig_expect_gradient(&r, sum, whole, 1e-5);
        expect_close("loss", &score.loss, &whole_score.loss, 1, 1e-6);
        assert_true(score.scored == whole_score.scored && score.problems == whole_score.problems);
        assert_true(score.correct == whole_score.correct && score.exact == whole_score.exact);
        free(whole);
        free(sum);
        free(part);
        dt_batch_destroy(&first);
        dt_batch_destroy(&second);
        rig_destroy(&r);
    }
}

/* The same batch gives the same bits, also after another model has computed. */
static void the_same_batch_gives_the_same_bits(void **state) {
    rig_choice choice = CHOICES[5];
    choice.dropout = 0.1;
    rig r, other;
    rig_create(&r, *state, &choice);
    rig_create(&other, *state, &choice);
    dt_batch fewer;
    rig_batch_create(&fewer, &r, 2, 3);
    dt_score score = {0}, other_score = {0}, ignored = {0};
    free(rig_gradient(&other, &ignored, &fewer, &KEY));
    double *one = rig_gradient(&r, &score, &r.batch, &KEY);
    double *two = rig_gradient(&other, &other_score, &other.batch, &KEY);
    assert_memory_equal(one, two, r.layout->count * sizeof *one);
    assert_memory_equal(&score, &other_score, sizeof score);
    free(one);
    free(two);
    dt_batch_destroy(&fewer);
    rig_destroy(&r);
    rig_destroy(&other);
}

/* What a watcher has seen, and the gradient at that time. */
typedef struct {
    dt_backend *backend;
    dt_buffer *gradient;
    float *seen; /* each element when it was reported complete */
    size_t from, calls, fails_at;
} watch;

static dt_status see(void *context, size_t from) {
    watch *w = context;
    assert_true(from <= w->from);
    expect_ok(w->backend->op->download(w->backend, w->seen + from, dt_floats(w->gradient, from),
                                       w->from - from));
    w->from = from;
    DT_REQUIRE(++w->calls != w->fails_at, DT_ERR_COMM, "the network is gone");
    return DT_OK;
}

/* Two batches into one gradient: in the second pass, elements that were reported complete no longer
 * change. */
static void watchers_are_told_what_is_complete(void **state) {
    rig_choice choice = CHOICES[4];
    choice.dropout = 0.1;
    rig r;
    rig_create(&r, *state, &choice);
    const size_t count = r.layout->count;
    dt_score score = {0};
    watch w = {.backend = *state, .seen = reference_alloc(count, sizeof(float)), .from = count};
    float *complete = reference_alloc(count, sizeof *complete);
    const dt_backend_table *op = w.backend->op;
    expect_ok(op->buffer_create(&w.gradient, w.backend, count * sizeof(float), "gradient"));
    expect_ok(dt_model_backward(r.model, &score, w.gradient, &r.batch, &KEY));
    dt_model_watch(r.model, see, &w);
    expect_ok(dt_model_backward(r.model, &score, w.gradient, &r.batch, &KEY));
    dt_model_watch(r.model, NULL, NULL);
    assert_true(w.from == 0);
    assert_true(w.calls >= 4 * r.shape.L);
    expect_ok(op->download(w.backend, complete, dt_floats(w.gradient, 0), count));
    assert_memory_equal(w.seen, complete, count * sizeof *complete);
    /* The watcher is no longer called. */
    const size_t calls = w.calls;
    expect_ok(dt_model_backward(r.model, &score, w.gradient, &r.batch, &KEY));
    assert_true(w.calls == calls);
    op->buffer_destroy(&w.gradient, w.backend);
    free(complete);
    free(w.seen);
    rig_destroy(&r);
}

static dt_status pull_part(void *context, size_t from) {
    watch *w = context;
    expect_ok(w->backend->op->pull(w->backend, dt_floats(w->gradient, from), w->from - from));
    w->from = from;
    return DT_OK;
}

/* Pulled part by part without waiting, the result is the whole gradient. */
static void what_is_complete_is_pulled_meanwhile(void **state) {
    for (size_t i = 0; i < LENGTH(CHOICES); i++) {
        rig r;
        rig_create(&r, *state, &CHOICES[i]);
        const size_t count = r.layout->count;
        dt_score score = {0};
        watch w = {.backend = *state, .seen = reference_alloc(count, sizeof(float)), .from = count};
        const dt_backend_table *op = w.backend->op;
        double *expected = rig_gradient(&r, &score, &r.batch, &KEY);
        expect_ok(
            op->buffer_attach(&w.gradient, w.backend, w.seen, count * sizeof(float), "gradient"));
        dt_model_watch(r.model, pull_part, &w);
        expect_ok(dt_model_backward(r.model, &score, w.gradient, &r.batch, &KEY));
        expect_ok(op->finish(w.backend));
        for (size_t k = 0; k < count; k++) assert_true((double)w.seen[k] == expected[k]);
        op->buffer_destroy(&w.gradient, w.backend);
        free(w.seen);
        free(expected);
        rig_destroy(&r);
    }
}

/* At any of its calls. */
static void a_watcher_can_end_the_pass(void **state) {
    rig r;
    rig_create(&r, *state, &CHOICES[1]);
    const size_t count = r.layout->count;
    watch w = {.backend = *state, .seen = reference_alloc(count, sizeof(float))};
    expect_ok(
        w.backend->op->buffer_create(&w.gradient, w.backend, count * sizeof(float), "gradient"));
    dt_model_watch(r.model, see, &w);
    dt_status status = DT_ERR_COMM;
    for (w.fails_at = 1; status != DT_OK; w.fails_at++) {
        dt_score score = {0};
        w.from = count;
        w.calls = 0;
        status = dt_model_backward(r.model, &score, w.gradient, &r.batch, &KEY);
        assert_true(status == (w.calls == w.fails_at ? DT_ERR_COMM : DT_OK));
    }
    assert_true(w.calls >= 4 * r.shape.L && w.fails_at == w.calls + 2);
    w.backend->op->buffer_destroy(&w.gradient, w.backend);
    free(w.seen);
    rig_destroy(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_the_schema),
        cmocka_unit_test(initial_weights_are_those_of_gpt2),
        cmocka_unit_test(places_that_may_begin_anywhere_begin_as_waves),
        cmocka_unit_test(logits_and_scores_agree),
        cmocka_unit_test(a_batch_without_room_is_refused),
        cmocka_unit_test(gradients_agree),
        cmocka_unit_test(reference_gradient_is_the_slope),
        cmocka_unit_test(the_gradient_is_added_to),
        cmocka_unit_test(documents_do_not_see_each_other),
        cmocka_unit_test(micro_batches_add_up),
        cmocka_unit_test(the_same_batch_gives_the_same_bits),
        cmocka_unit_test(watchers_are_told_what_is_complete),
        cmocka_unit_test(what_is_complete_is_pulled_meanwhile),
        cmocka_unit_test(a_watcher_can_end_the_pass),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
