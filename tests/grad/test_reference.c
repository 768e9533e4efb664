/* The double-precision reference itself: its gradients against finite differences, its values
 * against known ones. */
#include "fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static double dot(const double *x, const double *y, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += x[i] * y[i];
    return sum;
}

/* One operation and its arguments; the function under test is the dot product of its output with
 * d_y. */
typedef struct {
    double *x, *weight, *bias, *third, *y, *d_y;
    const dt_batch *batch;
    size_t N, C, out, H;
    int32_t window;
    dt_activation activation;
} operation;

/* ---- embedding ---- */

static double embed_value(void *context) {
    operation *o = context;
    reference_embed_forward(o->y, o->batch, o->weight, o->bias, o->third, o->C);
    return dot(o->y, o->d_y, o->N * o->C);
}

static void embed_gradient_is_the_slope(void **state) {
    (void)state;
    enum { V = 6, T = 5, P = 3, C = 4 };
    fixture_random random = {1};
    dt_batch batch;
    fixture_batch_create(&batch, &(fixture_lengths){{1, 5, 3}}, V, P, &random);
    const size_t N = batch.tokens;
    operation o = {.batch = &batch, .N = N, .C = C};
    o.weight = fixture_values(V * C, 0, 1, &random);
    o.bias = fixture_values(T * C, 0, 1, &random);
    o.third = fixture_values(P * C, 0, 1, &random);
    o.y = reference_doubles(N * C);
    o.d_y = fixture_values(N * C, 0, 1, &random);
    double d_tok[V * C] = {0}, d_pos[T * C] = {0}, d_place[P * C] = {0};
    reference_embed_backward(d_tok, d_pos, d_place, &batch, o.d_y, C);
    expect_gradient("d_tok_embed", o.weight, d_tok, V * C, embed_value, &o);
    expect_gradient("d_pos_embed", o.bias, d_pos, T * C, embed_value, &o);
    expect_gradient("d_place_embed", o.third, d_place, P * C, embed_value, &o);
    free(o.weight);
    free(o.bias);
    free(o.third);
    free(o.y);
    free(o.d_y);
    fixture_batch_destroy(&batch);
}

/* ---- layer norm ---- */

static double norm_value(void *context) {
    operation *o = context;
    reference_norm_forward(o->y, NULL, NULL, o->x, o->weight, o->bias, o->N, o->C);
    return dot(o->y, o->d_y, o->N * o->C);
}

static void norm_gradient_is_the_slope(void **state) {
    (void)state;
    enum { N = 3, C = 7 };
    fixture_random random = {2};
    operation o = {.N = N, .C = C};
    o.x = fixture_values(N * C, 0.5, 2, &random);
    o.weight = fixture_values(C, 1, 0.5, &random);
    o.bias = fixture_values(C, 0, 1, &random);
    o.y = reference_doubles(N * C);
    o.d_y = fixture_values(N * C, 0, 1, &random);
    double d_x[N * C] = {0}, d_scale[C] = {0}, d_bias[C] = {0};
    reference_norm_backward(d_x, d_scale, d_bias, o.d_y, o.x, o.weight, N, C);
    expect_gradient("d_x", o.x, d_x, N * C, norm_value, &o);
    expect_gradient("d_scale", o.weight, d_scale, C, norm_value, &o);
    expect_gradient("d_bias", o.bias, d_bias, C, norm_value, &o);
    free(o.x);
    free(o.weight);
    free(o.bias);
    free(o.y);
    free(o.d_y);
}

static void norm_gives_known_values(void **state) {
    (void)state;
    const double x[4] = {1, 2, 3, 4}, one[4] = {1, 1, 1, 1}, ten[4] = {10, 10, 10, 10};
    double y[4], mean, rstd;
    reference_norm_forward(y, &mean, &rstd, x, one, ten, 1, 4);
    /* Variance 1.25. */
    const double r = 1 / sqrt(1.25 + 1e-5);
    const double expected[4] = {10 - 1.5 * r, 10 - 0.5 * r, 10 + 0.5 * r, 10 + 1.5 * r};
    expect_close("y", y, expected, 4, 1e-14);
    assert_true(mean == 2.5);
    assert_true(fabs(rstd - r) < 1e-14);
}

/* ---- linear ---- */

static double linear_value(void *context) {
    operation *o = context;
    reference_linear_forward(o->y, NULL, o->x, o->weight, o->bias, o->N, o->C, o->out,
                             o->activation);
    return dot(o->y, o->d_y, o->N * o->out);
}

static void linear_gradient_is_the_slope(void **state) {
    (void)state;
    enum { N = 4, IN = 5, OUT = 3 };
    for (int i = 0; i < 2; i++) {
        fixture_random random = {3};
        operation o = {.N = N, .C = IN, .out = OUT, .activation = i ? DT_GELU : DT_IDENTITY};
        o.x = fixture_values(N * IN, 0, 1, &random);
        o.weight = fixture_values(OUT * IN, 0, 1, &random);
        o.bias = fixture_values(OUT, 0, 1, &random);
        o.y = reference_doubles(N * OUT);
        o.d_y = fixture_values(N * OUT, 0, 1, &random);
        double z[N * OUT], d_z[N * OUT], d_x[N * IN], d_weight[OUT * IN] = {0}, d_bias[OUT] = {0};
        reference_linear_forward(o.y, z, o.x, o.weight, o.bias, N, IN, OUT, o.activation);
        reference_linear_backward(d_x, d_weight, d_bias, d_z, o.d_y, z, o.x, o.weight, N, IN, OUT,
                                  o.activation);
        expect_gradient("d_x", o.x, d_x, N * IN, linear_value, &o);
        expect_gradient("d_weight", o.weight, d_weight, OUT * IN, linear_value, &o);
        expect_gradient("d_bias", o.bias, d_bias, OUT, linear_value, &o);
        free(o.x);
        free(o.weight);
        free(o.bias);
        free(o.y);
        free(o.d_y);
    }
}

static void gelu_gives_known_values(void **state) {
    (void)state;
    /* The formula, evaluated with 40 decimal digits. */
    const double z[] = {-3, -1, -0.5, 0, 0.5, 1, 3};
    const double expected[] = {-0.003637392081773, -0.158808009391723, -0.154285990174856, 0,
                               0.345714009825144,  0.841191990608277,  2.996362607918227};
    for (size_t i = 0; i < sizeof z / sizeof *z; i++) {
        assert_true(fabs(reference_gelu(z[i]) - expected[i]) < 1e-14);
    }
}

/* ---- attention ---- */

static double attention_value(void *context) {
    operation *o = context;
    reference_attention_forward(o->y, NULL, o->x, o->batch, o->C, o->H, o->window);
    return dot(o->y, o->d_y, o->N * o->C);
}

static void attention_gradient_is_the_slope(void **state) {
    (void)state;
    const struct {
        size_t C, H;
        int32_t window;
    } shape[] = {{6, 3, 0}, {3, 3, 1}, {5, 1, 0}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        fixture_random random = {4};
        dt_batch batch;
        fixture_batch_create(&batch, &(fixture_lengths){{1, 6, 3}}, 2, 6, &random);
        const size_t N = batch.tokens, C = shape[i].C;
        operation o = {.batch = &batch, .N = N, .C = C, .H = shape[i].H, .window = shape[i].window};
        o.x = fixture_values(N * 3 * C, 0, 1.5, &random);
        o.y = reference_doubles(N * C);
        o.d_y = fixture_values(N * C, 0, 1, &random);
        double *d_qkv = reference_doubles(N * 3 * C);
        reference_attention_backward(d_qkv, o.d_y, o.x, &batch, C, o.H, o.window);
        expect_gradient("d_qkv", o.x, d_qkv, N * 3 * C, attention_value, &o);
        free(d_qkv);
        free(o.x);
        free(o.y);
        free(o.d_y);
        fixture_batch_destroy(&batch);
    }
}

/* With equal keys the result of each token is the mean of the values so far in its problem. */
static void attention_with_equal_keys_is_a_running_mean(void **state) {
    (void)state;
    enum { N = 5, C = 2, H = 2 };
    const int32_t offset[] = {0, 2, 5};
    const dt_batch batch = {.problems = 2, .tokens = N, .offset = (int32_t *)offset};
    double qkv[N * 3 * C] = {0}, y[N * C], lse[N * H];
    for (size_t n = 0; n < N; n++) {
        qkv[n * 3 * C] = 7; /* q of head 0; its keys are 0 */
        qkv[n * 3 * C + 2 * C] = (double)(n + 1);
        qkv[n * 3 * C + 2 * C + 1] = -10 * (double)(n + 1);
    }
    reference_attention_forward(y, lse, qkv, &batch, C, H, 0);
    const double expected[N * C] = {1, -10, 1.5, -15, 3, -30, 3.5, -35, 4, -40};
    expect_close("y", y, expected, N * C, 1e-14);
    assert_true(fabs(lse[4 * H] - log(3)) < 1e-14);
}

/* ---- loss ---- */

static double loss_value(void *context) {
    operation *o = context;
    dt_score score = {0};
    reference_loss(&score, NULL, NULL, o->x, o->batch, o->C);
    return score.loss;
}

static void loss_gradient_is_the_slope(void **state) {
    (void)state;
    enum { V = 5 };
    fixture_random random = {5};
    dt_batch batch;
    fixture_batch_create(&batch, &(fixture_lengths){{1, 4, 7}}, V, 2, &random);
    operation o = {.batch = &batch, .C = V, .x = fixture_values(batch.tokens * V, 0, 3, &random)};
    double *d_logits = reference_doubles(batch.tokens * V);
    dt_score score = {0};
    reference_loss(&score, NULL, d_logits, o.x, &batch, V);
    assert_true(score.scored == (double)batch.scored);
    expect_gradient("d_logits", o.x, d_logits, batch.tokens * V, loss_value, &o);
    free(d_logits);
    free(o.x);
    fixture_batch_destroy(&batch);
}

static void loss_counts_what_is_right(void **state) {
    (void)state;
    enum { N = 4, V = 3 };
    const int32_t offset[] = {0, 2, 4}, target[] = {-1, 2, 0, 1};
    const dt_batch batch = {
        .problems = 2, .tokens = N, .offset = (int32_t *)offset, .target = (int32_t *)target};
    /* The first problem's only scored token is right; of the second's two, the last. */
    const double logits[N * V] = {9, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0};
    dt_score score = {.loss = 100, .scored = 10, .correct = 20, .problems = 30, .exact = 40};
    int32_t matched[2];
    reference_loss(&score, matched, NULL, logits, &batch, V);
    const double hit = log(1 + 2 * exp(-1)), miss = log(2 + exp(1));
    assert_true(fabs(score.loss - (100 + 2 * hit + miss)) < 1e-12);
    assert_true(score.scored == 13 && score.correct == 22 && score.problems == 32 &&
                score.exact == 41);
    assert_true(matched[0] == 1 && matched[1] == 0);
}

/* ---- update ---- */

/* The first update moves each weight by the learning rate against its gradient's sign, for any size
 * of the gradient. */
static void adamw_starts_with_the_sign(void **state) {
    (void)state;
    const double gradient[3] = {1e-3, -5, 200};
    double weight[3] = {1, 2, -3}, m[3] = {0}, v[3] = {0};
    const dt_adamw constants = {.lr = 0.5f,
                                .beta1 = 0.75f,
                                .beta2 = 0.9375f,
                                .decay = 0.25f,
                                .gradient_scale = 4,
                                .correction1 = 4,
                                .correction2 = 16};
    reference_adamw(weight, m, v, gradient, 3, &constants);
    const double expected[3] = {1 - 0.125 - 0.5, 2 - 0.25 + 0.5, -3 + 0.375 - 0.5};
    expect_close("weight", weight, expected, 3, 1e-14);
    assert_true(m[1] == -5 && v[1] == 25);
}

/* ---- the whole model ---- */

typedef struct {
    double *weights;
    const dt_layout *layout;
    const dt_model_shape *shape;
    const dt_batch *batch;
    const double *const *mask;
} model_context;

static double model_value(void *context) {
    const model_context *m = context;
    dt_score score = {0};
    reference_model_run(&score, NULL, NULL, m->weights, m->layout, m->shape, m->batch, m->mask);
    return score.loss;
}

/* Masks for all dropouts of the model, with probability 0.25: release with masks_destroy. */
static double **masks_create(const dt_model_shape *shape, size_t tokens, fixture_random *random) {
    double **mask = reference_alloc(1 + 2 * shape->L, sizeof *mask);
    for (size_t i = 0; i < 1 + 2 * shape->L; i++) {
        mask[i] = reference_doubles(tokens * shape->C);
        for (size_t j = 0; j < tokens * shape->C; j++) {
            mask[i][j] = fixture_below(random, 4) ? 1 / 0.75 : 0;
        }
    }
    return mask;
}

static void masks_destroy(double **mask, const dt_model_shape *shape) {
    for (size_t i = 0; i < 1 + 2 * shape->L; i++) free(mask[i]);
    free(mask);
}

static void model_check(const dt_model_shape *shape, const fixture_lengths *lengths, bool dropout) {
    fixture_random random = {6};
    dt_batch batch;
    dt_layout layout;
    fixture_batch_create(&batch, lengths, shape->V, shape->P, &random);
    reference_layout_create(&layout, shape);
    double **mask = dropout ? masks_create(shape, batch.tokens, &random) : NULL;
    double *weights = fixture_values(layout.count, 0, 0.7, &random);
    double *gradient = reference_doubles(layout.count);
    const double *const *read_mask = (const double *const *)mask;
    model_context m = {weights, &layout, shape, &batch, read_mask};
    dt_score score = {0};
    reference_model_run(&score, NULL, gradient, weights, &layout, shape, &batch, read_mask);
    for (size_t i = 0; i < layout.parameters; i++) {
        const dt_parameter *p = &layout.parameter[i];
        expect_gradient(p->name, weights + p->offset, gradient + p->offset, p->count, model_value,
                        &m);
    }
    if (mask) masks_destroy(mask, shape);
    free(weights);
    free(gradient);
    free(layout.parameter);
    fixture_batch_destroy(&batch);
}

static void model_gradient_is_the_slope(void **state) {
    (void)state;
    const dt_model_shape wide = {.L = 2, .C = 6, .H = 3, .F = 24, .V = 7, .T = 8, .P = 4};
    model_check(&wide, &(fixture_lengths){{1, 5, 8}}, false);
    const dt_model_shape narrow = {.L = 1, .C = 3, .H = 3, .F = 5, .V = 4, .T = 4, .P = 2};
    model_check(&narrow, &(fixture_lengths){{4}}, false);
}

static void model_gradient_goes_through_the_masks(void **state) {
    (void)state;
    const dt_model_shape shape = {.L = 2, .C = 6, .H = 2, .F = 12, .V = 7, .T = 6, .P = 4};
    model_check(&shape, &(fixture_lengths){{1, 6, 3}}, true);
}

/* With zero weights all tokens are equally likely. */
static void model_without_weights_knows_nothing(void **state) {
    (void)state;
    const dt_model_shape shape = {.L = 1, .C = 4, .H = 2, .F = 16, .V = 7, .T = 6, .P = 2};
    fixture_random random = {7};
    dt_batch batch;
    dt_layout layout;
    fixture_batch_create(&batch, &(fixture_lengths){{3, 6}}, shape.V, shape.P, &random);
    reference_layout_create(&layout, &shape);
    double *weights = reference_doubles(layout.count);
    dt_score score = {0};
    reference_model_run(&score, NULL, NULL, weights, &layout, &shape, &batch, NULL);
    assert_true(fabs(score.loss - (double)batch.scored * log(7)) < 1e-12);
    free(weights);
    free(layout.parameter);
    fixture_batch_destroy(&batch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embed_gradient_is_the_slope),
        cmocka_unit_test(norm_gradient_is_the_slope),
        cmocka_unit_test(norm_gives_known_values),
        cmocka_unit_test(linear_gradient_is_the_slope),
        cmocka_unit_test(gelu_gives_known_values),
        cmocka_unit_test(attention_gradient_is_the_slope),
        cmocka_unit_test(attention_with_equal_keys_is_a_running_mean),
        cmocka_unit_test(loss_gradient_is_the_slope),
        cmocka_unit_test(loss_counts_what_is_right),
        cmocka_unit_test(adamw_starts_with_the_sign),
        cmocka_unit_test(model_gradient_is_the_slope),
        cmocka_unit_test(model_gradient_goes_through_the_masks),
        cmocka_unit_test(model_without_weights_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
