/* Products of linear layers, with bias, GELU and residual, forward and backward, against the
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

typedef struct {
    size_t N, in, out;
} linear_shape;

static const linear_shape LINEAR[] = {
    {1, 1, 1},
    {1, 5, 3},
    {3, 1, 7},
    {2, 21, 20},
    {7, 33, 20},
    {17, 96, 24},
    {5, 128, 9},
    {64, 40, 120},
    {130, 24, 96},
    {33, 17, 15},
    {200, 128, 64},
    /* deeper than one block of a kernel, forward and in both gradients */
    {460, 33, 39},
    {13, 1000, 50},
    {30, 40, 905},
    {1013, 39, 17},
    {20, 6, 1},
    /* too large for our own kernel: only the weight gradient, or all */
    {5, 20, 900},
    {3, 520, 510},
};

enum { NO_RESIDUAL, OWN_RESIDUAL, RESIDUAL_IS_Y };

static void linear_forward_check(dt_backend *backend, const linear_shape *s,
                                 dt_activation activation, bool with_bias, int residual_kind,
                                 double scale) {
    const size_t N = s->N, in = s->in, out = s->out;
    fixture_random random = {N + in + out};
    char what[120];
    snprintf(what, sizeof what,
             "linear forward N %zu in %zu out %zu activation %d bias %d residual %d", N, in, out,
             activation, with_bias, residual_kind);
    device_tensor x = device_random("x", backend, N * in, 0, scale, &random);
    device_tensor weight = device_random("weight", backend, out * in, 0, 1, &random);
    device_tensor bias = device_none(), slope = device_none(), residual = device_none(), y;
    if (with_bias) bias = device_random("bias", backend, out, 0, 1, &random);
    if (activation == DT_GELU) slope = device_blank("slope", backend, N * out);
    if (residual_kind == OWN_RESIDUAL) {
        residual = device_random("residual", backend, N * out, 0, 2, &random);
    }
    y = residual_kind == RESIDUAL_IS_Y ? device_random("y", backend, N * out, 0, 2, &random)
                                       : device_blank("y", backend, N * out);

    double *before = residual_kind == OWN_RESIDUAL ? fixture_copy(residual.host, N * out)
                                                   : fixture_copy(y.host, N * out);
    expect_ok(backend->op->linear_forward(backend, y.at, slope.at, x.at, weight.at, bias.at,
                                          residual_kind == RESIDUAL_IS_Y ? y.at : residual.at, N,
                                          in, out, activation));
    reference_linear_forward(y.host, slope.host, x.host, weight.host, bias.host, N, in, out,
                             activation);
    for (size_t i = 0; i < N * out; i++) {
        if (activation == DT_GELU) {
            /* the slope holds what goes into the activation */
            const double z = slope.host[i] + (residual.host ? before[i] : 0);
            y.host[i] = reference_gelu(z);
            slope.host[i] = reference_gelu_derivative(z);
        } else {
            y.host[i] += before[i];
        }
    }
    expect_device(what, &y, &slope, &x, &weight, &bias, &residual, NULL);
    if (activation == DT_GELU) {
        /* evaluation does not ask for the slope */
        device_tensor alone = device_blank("y without slope", backend, N * out);
        memcpy(alone.host, y.host, N * out * sizeof *alone.host);
        expect_ok(backend->op->linear_forward(backend, alone.at, DT_NO_TENSOR, x.at, weight.at,
                                              bias.at, residual.at, N, in, out, activation));
        expect_device(what, &alone, NULL);
        device_destroy(&alone, NULL);
    }
    free(before);
    device_destroy(&x, &weight, &bias, &slope, &residual, &y, NULL);
}

static void linear_forward_agrees(void **state) {
    for (size_t i = 0; i < LENGTH(LINEAR); i++) {
        for (int bias = 0; bias < 2; bias++) {
            linear_forward_check(*state, &LINEAR[i], DT_GELU, bias, NO_RESIDUAL, 1);
            linear_forward_check(*state, &LINEAR[i], DT_GELU, bias, OWN_RESIDUAL, 1);
            for (int residual = NO_RESIDUAL; residual <= RESIDUAL_IS_Y; residual++) {
                linear_forward_check(*state, &LINEAR[i], DT_IDENTITY, bias, residual, 1);
            }
        }
    }
}

static void linear_backward_check(dt_backend *backend, const linear_shape *s,
                                  dt_activation activation, bool with_bias, bool with_d_x,
                                  double scale) {
    const size_t N = s->N, in = s->in, out = s->out;
    fixture_random random = {N + in + out};
    char what[120];
    snprintf(what, sizeof what,
             "linear backward N %zu in %zu out %zu activation %d d_bias %d d_x %d", N, in, out,
             activation, with_bias, with_d_x);
    device_tensor x = device_random("x", backend, N * in, 0, 1, &random);
    device_tensor weight = device_random("weight", backend, out * in, 0, 1, &random);
    device_tensor d_y = device_random("d_y", backend, N * out, 0, 1, &random);
    device_tensor d_weight = device_random("d_weight", backend, out * in, 0, 1, &random);
    device_tensor slope = device_none(), d_bias = device_none(), d_x = device_none();
    double *z = NULL;
    if (activation == DT_GELU) {
        device_tensor drawn = device_random("z", backend, N * out, 0, scale, &random);
        z = fixture_copy(drawn.host, N * out);
        for (size_t i = 0; i < N * out; i++) drawn.host[i] = reference_gelu_derivative(z[i]);
        slope = device_from("slope", backend, drawn.host, N * out);
        device_destroy(&drawn, NULL);
    }
    if (with_bias) d_bias = device_random("d_bias", backend, out, 0, 1, &random);
    if (with_d_x) d_x = device_blank("d_x", backend, N * in);
    expect_ok(backend->op->linear_backward(backend, d_x.at, d_weight.at, d_bias.at, d_y.at,
                                           slope.at, x.at, weight.at, N, in, out, activation));
    /* d_y becomes the gradient with respect to z; without an activation it does not change. */
    double *d_y_before = fixture_copy(d_y.host, N * out);
    reference_linear_backward(d_x.host, d_weight.host, d_bias.host, d_y.host, d_y_before, z, x.host,
                              weight.host, N, in, out, activation);
    expect_device(what, &d_x, &d_weight, &d_bias, &d_y, &slope, &x, &weight, NULL);
    free(d_y_before);
    free(z);
    device_destroy(&x, &weight, &d_y, &d_weight, &slope, &d_bias, &d_x, NULL);
}

static void linear_backward_agrees(void **state) {
    for (size_t i = 0; i < LENGTH(LINEAR); i++) {
        for (int choice = 0; choice < 8; choice++) {
            linear_backward_check(*state, &LINEAR[i], choice & 1 ? DT_GELU : DT_IDENTITY,
                                  choice & 2, choice & 4, 3);
        }
    }
}

/* Compares y (N,out) and d_x (N,in) with the weights at `at` with the reference for `weight`. */
static void weights_check(dt_backend *backend, const char *what, dt_tensor at, const double *weight,
                          size_t N, size_t in, size_t out, fixture_random *random) {
    device_tensor x = device_random("x", backend, N * in, 0, 1, random);
    device_tensor d_y = device_random("d_y", backend, N * out, 0, 1, random);
    device_tensor d_weight = device_random("d_weight", backend, out * in, 0, 1, random);
    device_tensor y = device_blank("y", backend, N * out),
                  d_x = device_blank("d_x", backend, N * in);
    expect_ok(backend->op->linear_forward(backend, y.at, DT_NO_TENSOR, x.at, at, DT_NO_TENSOR,
                                          DT_NO_TENSOR, N, in, out, DT_IDENTITY));
    expect_ok(backend->op->linear_backward(backend, d_x.at, d_weight.at, DT_NO_TENSOR, d_y.at,
                                           DT_NO_TENSOR, x.at, at, N, in, out, DT_IDENTITY));
    double *d_y_before = fixture_copy(d_y.host, N * out);
    reference_linear_forward(y.host, NULL, x.host, weight, NULL, N, in, out, DT_IDENTITY);
    reference_linear_backward(d_x.host, d_weight.host, NULL, d_y.host, d_y_before, NULL, x.host,
                              weight, N, in, out, DT_IDENTITY);
    expect_device(what, &y, &d_x, &d_weight, NULL);
    free(d_y_before);
    device_destroy(&x, &d_y, &d_weight, &y, &d_x, NULL);
}

/* A push replaces all weights that a backend has packed: all matrices of a buffer, for both passes,
 * even if only part of the buffer is pushed. */
static void pushed_weights_count_from_then_on(void **state) {
    dt_backend *backend = *state;
    const dt_backend_table *op = backend->op;
    enum { IN = 24, OUT = 40, SIZE = IN * OUT, COUNT = 2 * SIZE };
    fixture_random random = {5};
    float host[COUNT];
    double weight[COUNT];
    dt_buffer *buffer = NULL;
    expect_ok(op->buffer_attach(&buffer, backend, host, COUNT * sizeof(float), "weights"));
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            host[i] = (float)(fixture_uniform(&random) - 0.5);
            weight[i] = (double)host[i];
        }
        expect_ok(op->push(backend, dt_floats(buffer, 0), COUNT));
        expect_ok(op->finish(backend));
        /* and the second matrix alone */
        for (size_t i = SIZE; i < COUNT; i++) weight[i] = (double)(host[i] *= 2);
        expect_ok(op->push(backend, dt_floats(buffer, SIZE), SIZE));
        for (int pass = 0; pass < 2; pass++) {
            weights_check(backend, "first matrix", dt_floats(buffer, 0), weight, 7, IN, OUT,
                          &random);
            weights_check(backend, "second matrix", dt_floats(buffer, SIZE), weight + SIZE, 50, IN,
                          OUT, &random);
        }
    }
    op->buffer_destroy(&buffer, backend);
}

/* ---- GELU ---- */

/* Weights of 8 and 4 bits: as with the values that they stand for, also if they are more than fit
 * into the cache and so are unpacked part by part. An adapter's residual and the activation follow.
 */
static void quantised_check(dt_backend *backend, dt_element element, size_t N, size_t in,
                            size_t out, dt_activation activation) {
    const dt_backend_table *op = backend->op;
    const size_t count = in * out, bytes = dt_element_bytes(element, count);
    fixture_random random = {in + out};
    char what[100];
    snprintf(what, sizeof what, "%s of N %zu in %zu out %zu activation %d",
             element == DT_ELEMENT_NF4 ? "nf4" : "q8_0", N, in, out, activation);
    float *drawn = reference_alloc(count, sizeof *drawn);
    double *weight = reference_alloc(count, sizeof *weight);
    unsigned char *packed = reference_alloc(bytes, 1);
    for (size_t i = 0; i < count; i++) drawn[i] = (float)(fixture_uniform(&random) - 0.5);
    if (element == DT_ELEMENT_NF4) {
        dt_nf4_pack(packed, drawn, count);
        dt_nf4_unpack(drawn, packed, count, 0, count);
    } else {
        dt_q8_0_pack(packed, drawn, count);
        dt_q8_0_unpack(drawn, packed, 0, count);
    }
    for (size_t i = 0; i < count; i++) weight[i] = (double)drawn[i];
    dt_buffer *buffer = NULL;
    expect_ok(op->buffer_attach(&buffer, backend, packed, bytes, "weights"));
    const dt_tensor at = {buffer, 0, element};
    device_tensor x = device_random("x", backend, N * in, 0, 1, &random);
    device_tensor bias = device_random("bias", backend, out, 0, 1, &random);
    device_tensor y = device_blank("y", backend, N * out), slope = device_none();
    device_tensor d_x = device_blank("d_x", backend, N * in);
    device_tensor d_y = device_random("d_y", backend, N * out, 0, 1, &random);
    if (activation == DT_GELU) slope = device_blank("slope", backend, N * out);
    expect_ok(op->linear_forward(backend, y.at, slope.at, x.at, at, bias.at, DT_NO_TENSOR, N, in,
                                 out, activation));
    expect_ok(op->linear_backward(backend, d_x.at, DT_NO_TENSOR, DT_NO_TENSOR, d_y.at, slope.at,
                                  x.at, at, N, in, out, activation));
    double *z = reference_alloc(N * out, sizeof *z), *before = fixture_copy(d_y.host, N * out);
    double *none = reference_alloc(count, sizeof *none);
    reference_linear_forward(y.host, z, x.host, weight, bias.host, N, in, out, activation);
    reference_linear_backward(d_x.host, none, NULL, d_y.host, before, z, x.host, weight, N, in, out,
                              activation);
    expect_device(what, &y, &d_x, &x, &bias, NULL);
    op->buffer_destroy(&buffer, backend);
    device_destroy(&x, &bias, &y, &slope, &d_x, &d_y, NULL);
    free(drawn);
    free(weight);
    free(packed);
    free(z);
    free(before);
    free(none);
}

static void quantised_weights_agree(void **state) {
    dt_backend *backend = *state;
    if (strcmp(backend->op->name, "opencl") == 0) {
        assert_false(backend->op->quantised);
        return;
    }
    static const linear_shape SHAPE[] = {
        {1, 64, 128}, {50, 128, 384}, {60, 1024, 576}, {7, 576, 640}};
    for (size_t i = 0; i < LENGTH(SHAPE); i++) {
        const linear_shape *s = &SHAPE[i];
        for (int a = 0; a < 2; a++) {
            const dt_activation activation = a ? DT_GELU : DT_IDENTITY;
            quantised_check(backend, DT_ELEMENT_Q8_0, s->N, s->in, s->out, activation);
            quantised_check(backend, DT_ELEMENT_NF4, s->N, s->in, s->out, activation);
        }
    }
}

/* Checked to float precision, so that it is GPT-2's approximation: the exact function differs by
 * 5e-4. */
static void gelu_is_the_tanh_one(void **state) {
    dt_backend *backend = *state;
    enum { N = 1201 };
    const double one = 1;
    double grid[N], derivative[N], ones[N];
    for (int i = 0; i < N; i++) {
        grid[i] = (double)(float)((i - N / 2) / 100.0);
        derivative[i] = reference_gelu_derivative(grid[i]);
        ones[i] = 1;
    }
    device_tensor x = device_from("x", backend, grid, N),
                  weight = device_from("weight", backend, &one, 1);
    device_tensor y = device_blank("y", backend, N), slope = device_blank("slope", backend, N);
    device_tensor d_y = device_from("d_y", backend, ones, N);
    device_tensor d_weight = device_from("d_weight", backend, &one, 1);
    expect_ok(backend->op->linear_forward(backend, y.at, slope.at, x.at, weight.at, DT_NO_TENSOR,
                                          DT_NO_TENSOR, N, 1, 1, DT_GELU));
    expect_ok(backend->op->linear_backward(backend, DT_NO_TENSOR, d_weight.at, DT_NO_TENSOR, d_y.at,
                                           slope.at, x.at, weight.at, N, 1, 1, DT_GELU));
    double *value = device_read(&y), *d_z = device_read(&d_y);
    for (int i = 0; i < N; i++) {
        assert_true(fabs(value[i] - reference_gelu(grid[i])) < 1e-6 * (1 + fabs(grid[i])));
        assert_true(fabs(d_z[i] - derivative[i]) < 2e-6);
    }
    free(value);
    free(d_z);
    device_destroy(&x, &weight, &y, &slope, &d_y, &d_weight, NULL);
}

static void add_agrees(void **state) {
    dt_backend *backend = *state;
    const size_t N = 1037;
    fixture_random random = {N};
    device_tensor x = device_random("x", backend, N, 0, 1, &random);
    device_tensor residual = device_random("residual", backend, N, 0, 1, &random);
    device_tensor y = device_blank("y", backend, N), scaled = device_blank("scaled", backend, N);
    expect_ok(backend->op->add(backend, y.at, x.at, residual.at, N, -1.5f));
    expect_ok(backend->op->add(backend, scaled.at, x.at, DT_NO_TENSOR, N, 0.3f));
    expect_ok(backend->op->add(backend, scaled.at, scaled.at, scaled.at, N, 2));
    for (size_t i = 0; i < N; i++) {
        y.host[i] = residual.host[i] - 1.5 * x.host[i];
        scaled.host[i] = 3 * 0.3 * x.host[i];
    }
    expect_device("add", &y, &scaled, &x, &residual, NULL);
    device_destroy(&x, &residual, &y, &scaled, NULL);
}

/* For large inputs GELU is the identity or zero, and its slope one or zero: never infinity or NaN.
 */
static void gelu_stays_finite(void **state) {
    const double scale[] = {10, 100, 1e4};
    for (size_t i = 0; i < LENGTH(scale); i++) {
        linear_forward_check(*state, &(linear_shape){20, 3, 37}, DT_GELU, true, NO_RESIDUAL,
                             scale[i]);
        linear_backward_check(*state, &(linear_shape){20, 3, 37}, DT_GELU, true, true, scale[i]);
    }
}

/* The result of a NaN weight is NaN. */
static void gelu_keeps_nan(void **state) {
    dt_backend *backend = *state;
    const double one = 1;
    device_tensor x = device_from("x", backend, &one, 1), y = device_blank("y", backend, 1);
    device_tensor weight = device_blank("weight", backend, 1),
                  slope = device_blank("slope", backend, 1);
    expect_ok(backend->op->linear_forward(backend, y.at, slope.at, x.at, weight.at, DT_NO_TENSOR,
                                          DT_NO_TENSOR, 1, 1, 1, DT_GELU));
    double *actual = device_read(&y);
    assert_true(isnan(actual[0]));
    free(actual);
    device_destroy(&x, &y, &weight, &slope, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_forward_agrees),
        cmocka_unit_test(linear_backward_agrees),
        cmocka_unit_test(pushed_weights_count_from_then_on),
        cmocka_unit_test(quantised_weights_agree),
        cmocka_unit_test(gelu_is_the_tanh_one),
        cmocka_unit_test(add_agrees),
        cmocka_unit_test(gelu_stays_finite),
        cmocka_unit_test(gelu_keeps_nan),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
