/* Adapters: the model computes W + alpha / rank b a, and the gradients of a and b follow from the
 * reference's gradient of that matrix. */
#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/core/memory.h"

static const rig_choice CHOICE = {
    .format = DT_FORMAT_REVERSE, .layers = 3, .width = 24, .heads = 3, .problems = 5};
/* Rows of whole blocks. */
static const rig_choice QUANTISED = {
    .format = DT_FORMAT_REVERSE, .layers = 2, .width = 64, .heads = 2, .problems = 5};
static const dt_step_key KEY = {.seed = 3, .step = 5, .first_problem = 1};

/* A rig's model with adapters: the rig's weights are its frozen ones, and `merged` has the sums. */
typedef struct {
    const rig *r;
    dt_model_shape shape;
    dt_layout layout;
    float *weights, *frozen;
    dt_buffer *weight_buffer, *frozen_buffer;
    dt_model *model;
    double *merged; /* by the rig's layout */
} subject;

static double factor_of(const subject *s) {
    return s->shape.lora.alpha / (double)s->shape.lora.rank;
}

/* Whether the rig's parameter i has an adapter. */
static bool adapter_of(const dt_parameter **a, const dt_parameter **b, const subject *s, size_t i) {
    const dt_parameter *own = dt_layout_find(&s->layout, s->r->layout->parameter[i].name);
    return dt_layout_find_adapter(a, b, &s->layout, own);
}

/* What the frozen weights stand for, which are not the rig's if they are quantised. */
static void fill_values(const subject *s) {
    for (size_t i = 0; i < s->r->layout->parameters; i++) {
        const dt_parameter *p = &s->r->layout->parameter[i];
        float *values = reference_alloc(p->count, sizeof *values);
        dt_layout_values(values, s->frozen, dt_layout_find(&s->layout, p->name));
        for (size_t k = 0; k < p->count; k++) s->merged[p->offset + k] = (double)values[k];
        free(values);
    }
}

static void merge(subject *s) {
    const size_t R = s->shape.lora.rank;
    s->merged = fixture_copy(s->r->exact, s->r->layout->count);
    fill_values(s);
    for (size_t i = 0; i < s->r->layout->parameters; i++) {
        const dt_parameter *p = &s->r->layout->parameter[i], *a, *b;
        if (!adapter_of(&a, &b, s, i)) continue;
        for (size_t k = 0; k < p->count; k++) {
            const size_t row = k / p->extent[1], column = k % p->extent[1];
            for (size_t r = 0; r < R; r++)
                s->merged[p->offset + k] +=
                    factor_of(s) * (double)s->weights[b->offset + row * R + r] *
                    (double)s->weights[a->offset + r * p->extent[1] + column];
        }
    }
}

static void subject_create(subject *s, const rig *r, const dt_lora *lora) {
    *s = (subject){.r = r, .shape = r->shape};
    dt_backend *backend = r->backend;
    fixture_random random = {lora->rank};
    s->shape.lora = *lora;
    expect_ok(dt_layout_create(&s->layout, &s->shape));
    const size_t count = s->layout.count;
    double *noise = fixture_values(count, 0, 0.3, &random);
    expect_ok(dt_memory_alloc(&s->weights, count, sizeof *s->weights, "adapters"));
    for (size_t i = 0; i < s->layout.parameters; i++) {
        const dt_parameter *p = &s->layout.parameter[i];
        for (size_t k = 0; !p->frozen && k < p->count; k++)
            s->weights[p->offset + k] = (float)noise[p->offset + k];
    }
    free(noise);
    expect_ok(dt_memory_alloc(&s->frozen, s->layout.frozen_bytes, 1, "frozen weights"));
    expect_ok(dt_layout_fill_frozen(s->frozen, &s->layout, r->layout, r->weights));
    expect_ok(backend->op->buffer_attach(&s->weight_buffer, backend, s->weights,
                                         count * sizeof(float), "adapters"));
    expect_ok(backend->op->buffer_attach(&s->frozen_buffer, backend, s->frozen,
                                         s->layout.frozen_bytes, "weights"));
    expect_ok(backend->op->push(backend, dt_floats(s->weight_buffer, 0), count));
    expect_ok(backend->op->push(backend, dt_floats(s->frozen_buffer, 0),
                                s->layout.frozen_bytes / sizeof(float)));
    expect_ok(dt_model_create(&s->model, backend, &s->shape, s->weight_buffer, CHOICE.problems,
                              r->batch.tokens));
    dt_model_freeze(s->model, &s->layout, s->frozen_buffer);
    merge(s);
}

static void subject_destroy(subject *s) {
    dt_backend *backend = s->r->backend;
    dt_model_destroy(&s->model);
    backend->op->buffer_destroy(&s->weight_buffer, backend);
    backend->op->buffer_destroy(&s->frozen_buffer, backend);
    dt_memory_free(&s->weights);
    dt_memory_free(&s->frozen);
    dt_layout_destroy(&s->layout);
    free(s->merged);
}

static double *gradient_of(const subject *s, dt_score *score) {
    dt_backend *backend = s->r->backend;
    const size_t count = s->layout.count;
    dt_buffer *buffer;
    float *gradient = reference_alloc(count, sizeof *gradient);
    double *values = reference_doubles(count);
    expect_ok(backend->op->buffer_create(&buffer, backend, count * sizeof(float), "gradient"));
    expect_ok(dt_model_backward(s->model, score, buffer, &s->r->batch, &KEY));
    expect_ok(backend->op->download(backend, gradient, dt_floats(buffer, 0), count));
    backend->op->buffer_destroy(&buffer, backend);
    for (size_t i = 0; i < count; i++) values[i] = (double)gradient[i];
    free(gradient);
    return values;
}

/* ---- without dropout: against the merged model in double precision ---- */

/* d_b = factor d_W a^T, d_a = factor b^T d_W. */
static void expect_adapter(const subject *s, const double *gradient, const double *d_w,
                           const dt_parameter *w, const dt_parameter *a, const dt_parameter *b,
                           double tolerance) {
    const size_t R = s->shape.lora.rank, out = w->extent[0], in = w->extent[1];
    double *d_a = reference_doubles(R * in), *d_b = reference_doubles(out * R);
    for (size_t i = 0; i < out; i++) {
        for (size_t j = 0; j < in; j++) {
            for (size_t r = 0; r < R; r++) {
                const double d = factor_of(s) * d_w[i * in + j];
                d_b[i * R + r] += d * (double)s->weights[a->offset + r * in + j];
                d_a[r * in + j] += d * (double)s->weights[b->offset + i * R + r];
            }
        }
    }
    expect_close(a->name, gradient + a->offset, d_a, R * in, tolerance);
    expect_close(b->name, gradient + b->offset, d_b, out * R, tolerance);
    free(d_a);
    free(d_b);
}

static const dt_lora ADAPTERS[] = {
    {.rank = 4, .alpha = 6, .target = {true, true, true, true}},
    {.rank = 1, .alpha = 0.5, .target = {false, false, true, false}},
    {.rank = 5, .alpha = 5, .target = {true, false, false, false}},
    {.rank = 3, .alpha = 9, .target = {false, true, false, true}},
    {.rank = 4, .alpha = 6, .target = {true, true, true, true}, .matrices = DT_ELEMENT_NF4},
    {.rank = 3, .alpha = 6, .target = {true, false, true, false}, .matrices = DT_ELEMENT_Q8_0},
};
enum { CASES = sizeof ADAPTERS / sizeof *ADAPTERS };

/* false: the backend does not compute it. */
static bool rig_for(rig *r, dt_backend *backend, const dt_lora *lora) {
    const bool quantised = lora->matrices != DT_ELEMENT_FLOAT32;
    if (quantised && !backend->op->quantised) return false;
    rig_create(r, backend, quantised ? &QUANTISED : &CHOICE);
    return true;
}

static void gradients_follow_from_the_merged_matrix(void **state) {
    for (size_t c = 0; c < CASES; c++) {
        rig r;
        subject s;
        if (!rig_for(&r, *state, &ADAPTERS[c])) continue;
        dt_score score = {0}, expected_score = {0};
        size_t found = 0;
        subject_create(&s, &r, &ADAPTERS[c]);
        double *gradient = gradient_of(&s, &score), *d_merged = reference_doubles(r.layout->count);
        reference_model_run(&expected_score, NULL, d_merged, s.merged, r.layout, &r.shape, &r.batch,
                            NULL);
        expect_close("loss", &score.loss, &expected_score.loss, 1, 1e-5);
        for (size_t i = 0; i < r.layout->parameters; i++) {
            const dt_parameter *p = &r.layout->parameter[i], *a, *b;
            if (!adapter_of(&a, &b, &s, i)) continue;
            expect_adapter(&s, gradient, d_merged + p->offset, p, a, b, 1e-4);
            found++;
        }
        size_t targets = 0;
        for (size_t i = 0; i < DT_TARGETS; i++) targets += ADAPTERS[c].target[i];
        assert_int_equal(found, targets * r.shape.L);
        free(gradient);
        free(d_merged);
        subject_destroy(&s);
        rig_destroy(&r);
    }
}

static void logits_are_those_of_the_merged_model(void **state) {
    for (size_t c = 0; c < CASES; c++) {
        rig r;
        subject s;
        dt_score score = {0};
        if (!rig_for(&r, *state, &ADAPTERS[c])) continue;
        const size_t count = r.batch.tokens * r.shape.V;
        subject_create(&s, &r, &ADAPTERS[c]);
        float *logits = reference_alloc(count, sizeof *logits);
        double *actual = reference_doubles(count), *expected = reference_doubles(count);
        expect_ok(dt_model_logits(s.model, logits, &r.batch));
        for (size_t i = 0; i < count; i++) actual[i] = (double)logits[i];
        reference_model_run(&score, expected, NULL, s.merged, r.layout, &r.shape, &r.batch, NULL);
        expect_close("logits", actual, expected, count, 1e-5);
        free(logits);
        free(actual);
        free(expected);
        subject_destroy(&s);
        rig_destroy(&r);
    }
}

/* ---- with dropout: against differences of the loss under the same mask ---- */

static double loss_with(const subject *s, const float *weights) {
    dt_score score = {0};
    memcpy(s->weights, weights, s->layout.count * sizeof *weights);
    expect_ok(
        s->r->backend->op->push(s->r->backend, dt_floats(s->weight_buffer, 0), s->layout.count));
    free(gradient_of(s, &score));
    return score.loss;
}

static void dropout_is_the_same_forward_and_backward(void **state) {
    rig r;
    const dt_lora lora = {
        .rank = 4, .alpha = 6, .dropout = 0.4, .target = {true, true, true, true}};
    rig_create(&r, *state, &CHOICE);
    subject s;
    dt_score score = {0}, same = {0}, plain = {0};
    subject_create(&s, &r, &lora);
    const size_t count = s.layout.count;
    double *gradient = gradient_of(&s, &score);
    free(gradient_of(&s, &same));
    assert_memory_equal(&score, &same, sizeof score);
    expect_ok(dt_model_evaluate(s.model, &plain, NULL, &r.batch));
    assert_true(fabs(plain.loss - score.loss) > 1e-3 * plain.loss);
    float *kept = reference_alloc(count, sizeof *kept),
          *moved = reference_alloc(count, sizeof *kept);
    memcpy(kept, s.weights, count * sizeof *kept);
    for (size_t i = 0; i < s.layout.parameters; i++) {
        const dt_parameter *p = &s.layout.parameter[i];
        double square = 0, difference = 0;
        if (p->frozen) continue;
        for (size_t k = 0; k < p->count; k++) square += pow(gradient[p->offset + k], 2);
        const double reach = fmin(0.5 / sqrt(square), 0.02) / sqrt(square);
        for (int way = -1; way <= 1; way += 2) {
            memcpy(moved, kept, count * sizeof *kept);
            for (size_t k = p->offset; k < p->offset + p->count; k++)
                moved[k] = (float)((double)kept[k] + way * reach * gradient[k]);
            difference += way * loss_with(&s, moved);
        }
        const double slope = difference / (2 * reach * sqrt(square)), size = sqrt(square);
        expect_close(p->name, &slope, &size, 1, 0.02);
    }
    free(kept);
    free(moved);
    free(gradient);
    subject_destroy(&s);
    rig_destroy(&r);
}

/* ---- in bfloat16: near float32 ---- */

static void bfloat16_is_near(void **state) {
    dt_backend *backend = *state;
    if (backend->op->bfloat16 == DT_NO_BFLOAT16) return;
    for (size_t c = 0; c < CASES; c++) {
        rig r;
        subject s, rounded;
        dt_score score = {0}, near = {0};
        if (!rig_for(&r, backend, &ADAPTERS[c])) continue;
        subject_create(&s, &r, &ADAPTERS[c]);
        double *gradient = gradient_of(&s, &score);
        r.shape.bfloat16 = true;
        subject_create(&rounded, &r, &ADAPTERS[c]);
        double *other = gradient_of(&rounded, &near);
        r.shape.bfloat16 = false;
        expect_close("loss", &near.loss, &score.loss, 1, 0.05);
        for (size_t i = 0; i < s.layout.parameters; i++) {
            const dt_parameter *p = &s.layout.parameter[i];
            double square = 0, product = 0, size = 0;
            for (size_t k = p->offset; !p->frozen && k < p->offset + p->count; k++) {
                square += gradient[k] * gradient[k];
                size += other[k] * other[k];
                product += gradient[k] * other[k];
            }
            if (!p->frozen) assert_true(product > 0.95 * sqrt(square * size));
        }
        free(gradient);
        free(other);
        subject_destroy(&s);
        subject_destroy(&rounded);
        rig_destroy(&r);
    }
}

/* ---- the layout ---- */

static void initial_values_are_kaimings(void **state) {
    (void)state;
    const dt_model_shape shape = {
        .L = 2, .C = 64, .H = 2, .F = 256, .V = 17, .T = 9, .P = 4, .lora = ADAPTERS[0]};
    dt_layout layout;
    expect_ok(dt_layout_create(&layout, &shape));
    float *weights = reference_alloc(layout.count, sizeof *weights);
    dt_model_initialise(weights, &layout, 7, 0, 1);
    for (size_t i = 0; i < layout.parameters; i++) {
        const dt_parameter *p = &layout.parameter[i];
        const bool a = strstr(p->name, "/lora_a") != NULL, b = strstr(p->name, "/lora_b") != NULL;
        assert_true(p->frozen == !(a || b));
        if (p->frozen) continue;
        const double bound = a ? 1 / sqrt((double)p->extent[1]) : 0;
        double most = 0, square = 0;
        for (size_t k = 0; k < p->count; k++) {
            const double x = (double)weights[p->offset + k];
            most = fmax(most, fabs(x));
            square += x * x / (double)p->count;
        }
        assert_true(most <= bound * (1 + 1e-6) && most >= 0.9 * bound);
        assert_true(fabs(sqrt(3 * square) - bound) <= 0.2 * bound);
    }
    free(weights);
    dt_layout_destroy(&layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_values_are_kaimings),
        cmocka_unit_test(gradients_follow_from_the_merged_matrix),
        cmocka_unit_test(logits_are_those_of_the_merged_model),
        cmocka_unit_test(dropout_is_the_same_forward_and_backward),
        cmocka_unit_test(bfloat16_is_near),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
