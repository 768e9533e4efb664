/* Operations of bfloat16 on the CPU: values and gradients against the double-precision reference
 * with equally rounded operands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"
#include "half.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* Values computed in float32 and then rounded: nearly all equal the rounded exact values; those
 * near the middle of two neighbours may be the other neighbour. */
static void expect_rounded(const char *what, dt_backend *backend, const half_tensor *t,
                           const double *expected, double share) {
    double *actual = half_read(backend, t), *wanted = reference_doubles(t->count);
    size_t other = 0;
    double most = 0;
    for (size_t i = 0; i < t->count; i++) {
        wanted[i] = half_nearest(expected[i]);
        most = fmax(most, fabs(wanted[i]));
    }
    /* A value that is tiny compared with the others is only a rounding error of a difference. */
    for (size_t i = 0; i < t->count; i++) other += fabs(actual[i] - wanted[i]) > 1e-5 * most;
    expect_close(what, actual, wanted, t->count, 1.0 / 128);
    if ((double)other > share * (double)t->count + 1)
        fail_msg("%s: %zu of %zu differ after rounding", what, other, t->count);
    free(actual);
    free(wanted);
}

/* ---- linear layers ---- */

/* Of a layer: N tokens, from `in` to `out`. */
static const struct layer_shape {
    size_t N, out, in;
} LINEAR[] = {{1, 2, 3}, {7, 31, 32}, {60, 64, 33}, {61, 96, 32}, {56, 128, 128}, {113, 17, 64}};

static void linear_forward_agrees(void **state) {
    dt_backend *backend = *state;
    fixture_random random = {11};
    for (size_t i = 0; i < LENGTH(LINEAR); i++) {
        const size_t N = LINEAR[i].N, out = LINEAR[i].out, in = LINEAR[i].in;
        double *x_values = half_values(N * in, 1, &random);
        device_tensor weight = device_random("weight", backend, out * in, 0, 1, &random);
        device_tensor bias = device_random("bias", backend, out, 0, 1, &random);
        device_tensor residual = device_random("residual", backend, N * out, 0, 1, &random);
        double *w = reference_doubles(out * in), *y = reference_doubles(N * out);
        double *z = reference_doubles(N * out), *slope = reference_doubles(N * out);
        for (size_t k = 0; k < out * in; k++) w[k] = half_nearest(weight.host[k]);
        half_tensor x = half_create(backend, x_values, N * in);
        device_tensor direct = device_blank("y", backend, N * out);
        half_tensor plain = half_create(backend, NULL, N * out),
                    hidden = half_create(backend, NULL, N * out),
                    slopes = half_create(backend, NULL, N * out);

        reference_linear_forward(direct.host, NULL, x_values, w, bias.host, N, in, out,
                                 DT_IDENTITY);
        expect_ok(backend->op->linear_forward(backend, plain.at, DT_NO_TENSOR, x.at, weight.at,
                                              bias.at, DT_NO_TENSOR, N, in, out, DT_IDENTITY));
        expect_rounded("linear", backend, &plain, direct.host, 0.001);
        for (size_t k = 0; k < N * out; k++) direct.host[k] += residual.host[k];
        expect_ok(backend->op->linear_forward(backend, direct.at, DT_NO_TENSOR, x.at, weight.at,
                                              bias.at, residual.at, N, in, out, DT_IDENTITY));
        double *actual = device_read(&direct);
        expect_close("linear with residual", actual, direct.host, N * out, 1e-5);
        free(actual);

        reference_linear_forward(y, z, x_values, w, bias.host, N, in, out, DT_GELU);
        for (size_t k = 0; k < N * out; k++) slope[k] = reference_gelu_derivative(z[k]);
        expect_ok(backend->op->linear_forward(backend, hidden.at, slopes.at, x.at, weight.at,
                                              bias.at, DT_NO_TENSOR, N, in, out, DT_GELU));
        expect_rounded("linear and GELU", backend, &hidden, y, 0.02);
        expect_rounded("slope of GELU", backend, &slopes, slope, 0.02);

        half_tensor *const halves[] = {&x, &plain, &hidden, &slopes};
        for (size_t k = 0; k < LENGTH(halves); k++)
            backend->op->buffer_destroy(&halves[k]->buffer, backend);
        device_destroy(&weight, &bias, &residual, &direct, NULL);
        free(x_values);
        free(w);
        free(y);
        free(z);
        free(slope);
    }
}

/* d_y is rounded first, so its product with the slope is exact, and rounding that product gives the
 * same value everywhere. */
static void linear_backward_check(dt_backend *backend, const struct layer_shape *s, bool gelu,
                                  bool d_y_is_half, bool d_x_is_half) {
    const size_t N = s->N, out = s->out, in = s->in;
    fixture_random random = {17 + N};
    double *x_values = half_values(N * in, 1, &random);
    double *dy_values = half_values(N * out, 1, &random);
    double *slope_values = half_values(N * out, 1, &random);
    device_tensor weight = device_random("weight", backend, out * in, 0, 1, &random);
    device_tensor d_weight = device_random("d_weight", backend, out * in, 0, 1, &random);
    device_tensor d_bias = device_random("d_bias", backend, out, 0, 1, &random);
    device_tensor d_x = device_blank("d_x", backend, N * in);
    device_tensor d_y = device_from("d_y", backend, dy_values, N * out);
    half_tensor x = half_create(backend, x_values, N * in),
                slope = half_create(backend, slope_values, N * out),
                d_y_half = half_create(backend, dy_values, N * out),
                d_x_half = half_create(backend, NULL, N * in);
    double *w = reference_doubles(out * in), *d_z = reference_doubles(N * out);
    for (size_t k = 0; k < out * in; k++) w[k] = half_nearest(weight.host[k]);
    for (size_t k = 0; k < N * out; k++) {
        const double d = dy_values[k] * (gelu ? slope_values[k] : 1);
        d_bias.host[k % out] += d;
        d_z[k] = half_nearest(d);
    }
    reference_linear_backward(d_x.host, d_weight.host, NULL, dy_values, d_z, NULL, x_values, w, N,
                              in, out, DT_IDENTITY);
    expect_ok(backend->op->linear_backward(backend, d_x_is_half ? d_x_half.at : d_x.at, d_weight.at,
                                           d_bias.at, d_y_is_half ? d_y_half.at : d_y.at,
                                           gelu ? slope.at : DT_NO_TENSOR, x.at, weight.at, N, in,
                                           out, gelu ? DT_GELU : DT_IDENTITY));
    double *weights = device_read(&d_weight), *biases = device_read(&d_bias);
    expect_close("d_weight", weights, d_weight.host, out * in, 1e-5);
    expect_close("d_bias", biases, d_bias.host, out, 1e-5);
    if (d_x_is_half) {
        expect_rounded("d_x", backend, &d_x_half, d_x.host, 0.002);
    } else {
        double *actual = device_read(&d_x);
        expect_close("d_x", actual, d_x.host, N * in, 1e-5);
        free(actual);
    }
    half_tensor *const halves[] = {&x, &slope, &d_y_half, &d_x_half};
    for (size_t k = 0; k < LENGTH(halves); k++)
        backend->op->buffer_destroy(&halves[k]->buffer, backend);
    device_destroy(&weight, &d_weight, &d_bias, &d_x, &d_y, NULL);
    double *const all[] = {x_values, dy_values, slope_values, w, d_z, weights, biases};
    for (size_t k = 0; k < LENGTH(all); k++) free(all[k]);
}

static void linear_backward_agrees(void **state) {
    for (size_t i = 0; i < LENGTH(LINEAR); i++) {
        for (int choice = 0; choice < 8; choice++)
            linear_backward_check(*state, &LINEAR[i], choice & 1, choice & 2, choice & 4);
    }
}

/* ---- attention: the reference rounds the operands of the same products ---- */

typedef struct {
    const double *qkv, *d_y;
    double *y, *lse, *d_qkv;
    size_t n, C, H; /* of one problem */
    const dt_batch *batch;
    size_t first; /* its first token there */
    int32_t window;
} attention_case;

static void attention_head(const attention_case *a, size_t h) {
    const size_t n = a->n, C = a->C, D = C / a->H;
    const double scale = 1 / sqrt((double)D);
    const double *q = a->qkv + h * D, *k = q + C, *v = k + C, *d_y = a->d_y + h * D;
    double *p = reference_doubles(n * n), *ds = reference_doubles(n * n);
    double *y = a->y + h * D, *d_q = a->d_qkv + h * D, *d_k = d_q + C, *d_v = d_k + C;
    for (size_t i = 0; i < n; i++) {
        double most = -INFINITY, sum = 0;
        for (size_t j = 0; j <= i; j++) {
            for (size_t d = 0; d < D; d++) p[i * n + j] += q[i * 3 * C + d] * k[j * 3 * C + d];
            p[i * n + j] *= scale;
            if (!reference_sees(a->batch, a->first + i, a->first + j, a->window))
                p[i * n + j] = -INFINITY;
            most = fmax(most, p[i * n + j]);
        }
        for (size_t j = 0; j <= i; j++) {
            const double e = exp(p[i * n + j] - most);
            sum += e;
            for (size_t d = 0; d < D; d++) y[i * C + d] += half_nearest(e) * v[j * 3 * C + d];
        }
        a->lse[i * a->H + h] = most + log(sum);
        double dot = 0;
        for (size_t d = 0; d < D; d++) {
            y[i * C + d] = half_nearest(y[i * C + d] / sum);
            dot += y[i * C + d] * d_y[i * C + d];
        }
        for (size_t j = 0; j <= i; j++) {
            double dp = 0;
            for (size_t d = 0; d < D; d++) dp += d_y[i * C + d] * v[j * 3 * C + d];
            p[i * n + j] = exp(p[i * n + j] - most) / sum;
            ds[i * n + j] = half_nearest(p[i * n + j] * (dp - dot));
            p[i * n + j] = half_nearest(p[i * n + j]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            for (size_t d = 0; d < D; d++) {
                d_q[i * 3 * C + d] += scale * ds[i * n + j] * k[j * 3 * C + d];
                d_k[j * 3 * C + d] += scale * ds[i * n + j] * q[i * 3 * C + d];
                d_v[j * 3 * C + d] += p[i * n + j] * d_y[i * C + d];
            }
        }
    }
    free(p);
    free(ds);
}

/* Forward and back: the same numbers, but for rounding. */
static void turns_agree(void **state) {
    enum { C = 24, P = 9 };
    dt_backend *backend = *state;
    fixture_random random = {5};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, &(fixture_lengths){{3, 17, 1}}, 2, P, &random);
    device_batch_create(&device, backend, &batch);
    const size_t N = batch.tokens;
    double *exact = half_values(N * 3 * C, 1.5, &random);
    device_tensor turns = device_random("turns", backend, P * C, 0, 1, &random);
    for (size_t back = 0; back < 2; back++) {
        half_tensor qkv = half_create(backend, exact, N * 3 * C);
        double *before = half_read(backend, &qkv);
        expect_ok(backend->op->turn(backend, qkv.at, &device.packed, turns.at, C, back));
        reference_turn(before, &batch, turns.host, C, back);
        expect_rounded("turned queries and keys", backend, &qkv, before, 0.005);
        backend->op->buffer_destroy(&qkv.buffer, backend);
        free(before);
    }
    device_destroy(&turns, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
    free(exact);
}

static void attention_check(dt_backend *backend, const fixture_lengths *lengths, size_t C, size_t H,
                            int32_t window) {
    const dt_heads heads = heads_of(C, H, window);
    fixture_random random = {C * 100 + H};
    dt_batch batch;
    device_batch device;
    fixture_batch_create(&batch, lengths, 2, 12, &random);
    device_batch_create(&device, backend, &batch);
    const size_t N = batch.tokens;
    double *qkv_values = half_values(N * 3 * C, 1.5, &random);
    double *dy_values = half_values(N * C, 1, &random);
    half_tensor qkv = half_create(backend, qkv_values, N * 3 * C),
                y = half_create(backend, NULL, N * C), d_y = half_create(backend, dy_values, N * C),
                d_qkv = half_create(backend, NULL, N * 3 * C);
    device_tensor lse = device_blank("lse", backend, N * H);
    double *y_exact = reference_doubles(N * C), *d_exact = reference_doubles(N * 3 * C);
    for (size_t b = 0; b < batch.problems; b++) {
        const size_t first = (size_t)batch.offset[b];
        const attention_case a = {.qkv = qkv_values + first * 3 * C,
                                  .d_y = dy_values + first * C,
                                  .y = y_exact + first * C,
                                  .lse = lse.host + first * H,
                                  .d_qkv = d_exact + first * 3 * C,
                                  .n = (size_t)batch.offset[b + 1] - first,
                                  .C = C,
                                  .H = H,
                                  .batch = &batch,
                                  .first = first,
                                  .window = window};
        for (size_t h = 0; h < H; h++) attention_head(&a, h);
    }
    expect_ok(
        backend->op->attention_forward(backend, y.at, lse.at, qkv.at, &device.packed, C, &heads));
    expect_rounded("y of attention", backend, &y, y_exact, 0.005);
    double *sums = device_read(&lse);
    expect_close("log-sums of attention", sums, lse.host, N * H, 1e-5);
    expect_ok(backend->op->attention_backward(backend, d_qkv.at, d_y.at, y.at, lse.at, qkv.at,
                                              &device.packed, C, &heads));
    expect_rounded("d_qkv of attention", backend, &d_qkv, d_exact, 0.05);
    half_tensor *const halves[] = {&qkv, &y, &d_y, &d_qkv};
    for (size_t k = 0; k < LENGTH(halves); k++)
        backend->op->buffer_destroy(&halves[k]->buffer, backend);
    device_destroy(&lse, NULL);
    device_batch_destroy(&device);
    fixture_batch_destroy(&batch);
    double *const all[] = {qkv_values, dy_values, y_exact, d_exact, sums};
    for (size_t k = 0; k < LENGTH(all); k++) free(all[k]);
}

static void attention_agrees(void **state) {
    static const fixture_lengths BATCHES[] = {
        {{1}}, {{1, 1, 1}}, {{17}}, {{2, 1, 16, 3, 33}}, {{31, 1, 70, 8}}};
    static const struct {
        size_t C, H;
    } SHAPES[] = {{1, 1}, {21, 3}, {24, 3}, {64, 4}, {80, 2}, {128, 4}, {128, 1}, {33, 1}};
    for (size_t b = 0; b < LENGTH(BATCHES); b++) {
        for (size_t i = 0; i < LENGTH(SHAPES); i++)
            attention_check(*state, &BATCHES[b], SHAPES[i].C, SHAPES[i].H, 0);
    }
    /* More queries than are computed at a time. */
    attention_check(*state, &(fixture_lengths){{257, 1, 531}}, 24, 3, 0);
    attention_check(*state, &(fixture_lengths){{257, 1, 531}}, 24, 3, 2);
    attention_check(*state, &(fixture_lengths){{31, 1, 70, 8}}, 80, 2, 1);
    attention_check(*state, &(fixture_lengths){{256, 512}}, 33, 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_forward_agrees),
        cmocka_unit_test(linear_backward_agrees),
        cmocka_unit_test(turns_agree),
        cmocka_unit_test(attention_agrees),
    };
    return cmocka_run_group_tests_name("bfloat16", tests, device_open, device_close);
}
