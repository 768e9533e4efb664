/* Muon's update of a matrix: against the same iterations in double precision, and against its
 * purpose. */
#include "device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

typedef struct {
    size_t rows, columns;
} extent;

static const extent EXTENTS[] = {{1, 1},  {1, 9},   {9, 1},   {16, 16},   {24, 8},
                                 {8, 24}, {33, 70}, {70, 70}, {130, 257}, {300, 130}};

/* c (n,m) = a (n,k) b (k,m); with ta or tb that matrix is read transposed. */
static void product(double *c, const double *a, bool ta, const double *b, bool tb, size_t n,
                    size_t m, size_t k) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < m; j++) {
            double sum = 0;
            for (size_t q = 0; q < k; q++)
                sum += (ta ? a[q * n + i] : a[i * k + q]) * (tb ? b[j * k + q] : b[q * m + j]);
            c[i * m + j] = sum;
        }
    }
}

/* Coefficients of x, x^3 and x^5, computed independently with a Remez exchange; each step is for
 * the interval to which the steps before map [0.003, 1]. */
static const double STEP[4][3] = {
    {8.219101106, -23.401956721, 17.158198943},
    {4.004876059, -2.922346775, 0.549118527},
    {3.523561436, -2.639803529, 0.527212834},
    {2.511527166, -1.852448356, 0.438832636},
};

/* x = a x + b (x x^T) x + c (x x^T)^2 x, four times. */
static void orthogonalise(double *x, size_t n, size_t m) {
    double *gram = reference_doubles(n * n), *once = reference_doubles(n * m),
           *twice = reference_doubles(n * m);
    for (int step = 0; step < 4; step++) {
        product(gram, x, false, x, true, n, n, m);
        product(once, gram, false, x, false, n, m, n);
        product(twice, gram, false, once, false, n, m, n);
        for (size_t i = 0; i < n * m; i++)
            x[i] = STEP[step][0] * x[i] + STEP[step][1] * once[i] + STEP[step][2] * twice[i];
    }
    free(gram);
    free(once);
    free(twice);
}

static void reference_muon(double *w, double *m, const double *g, size_t rows, size_t columns,
                           const dt_muon *k) {
    const size_t count = rows * columns;
    double *x = reference_doubles(count), norm = 0;
    for (size_t i = 0; i < count; i++) {
        const double scaled = g[i] * (double)k->gradient_scale;
        m[i] = (double)k->momentum * m[i] + scaled;
        x[i] = scaled + (double)k->momentum * m[i];
        norm += x[i] * x[i];
    }
    for (size_t i = 0; i < count; i++) x[i] /= 1.05 * sqrt(norm);
    orthogonalise(x, rows, columns);
    for (size_t i = 0; i < count; i++) {
        w[i] =
            w[i] * (1 - (double)k->lr * (double)k->decay) - (double)k->lr * (double)k->scale * x[i];
    }
    free(x);
}

static void expect_same_bits(const device_tensor *x, const device_tensor *y) {
    double *a = device_read(x), *b = device_read(y);
    assert_memory_equal(a, b, x->count * sizeof *a);
    free(a);
    free(b);
}

static void muon_agrees_over_steps(void **state) {
    dt_backend *backend = *state;
    for (size_t e = 0; e < LENGTH(EXTENTS); e++) {
        const size_t rows = EXTENTS[e].rows, columns = EXTENTS[e].columns, count = rows * columns;
        fixture_random random = {e};
        device_tensor weight = device_random("weight", backend, count, 0, 1, &random);
        double *zeros = reference_doubles(count);
        device_tensor m = device_from("m", backend, zeros, count),
                      alone = device_from("momentum alone", backend, zeros, count);
        for (int step = 0; step < 4; step++) {
            char what[80];
            snprintf(what, sizeof what, "Muon on (%zu,%zu), step %d", rows, columns, step);
            const dt_muon constants = {.lr = 0.1f,
                                       .momentum = 0.9f,
                                       .decay = 0.2f,
                                       .gradient_scale = 1 / 32.0f,
                                       .scale = 2};
            device_tensor gradient = device_random("gradient", backend, count, 0, 50, &random);
            expect_ok(backend->update->muon(backend, weight.at, m.at, gradient.at, rows, columns,
                                            &constants));
            expect_ok(backend->update->momentum(backend, alone.at, gradient.at, count, &constants));
            expect_same_bits(&alone, &m);
            reference_muon(weight.host, m.host, gradient.host, rows, columns, &constants);
            expect_device(what, &weight, &m, &gradient, NULL);
            device_destroy(&gradient, NULL);
        }
        free(zeros);
        device_destroy(&weight, &m, &alone, NULL);
    }
}

/* The first update of zero weights is nearly orthogonal: its rows have lengths near 1 and small dot
 * products, for any size of the gradient. */
static void update_is_nearly_orthogonal(void **state) {
    enum { ROWS = 12, COLUMNS = 40, COUNT = ROWS * COLUMNS };
    dt_backend *backend = *state;
    fixture_random random = {7};
    double zeros[COUNT] = {0}, gram[ROWS * ROWS];
    device_tensor weight = device_from("weight", backend, zeros, COUNT),
                  m = device_from("m", backend, zeros, COUNT),
                  gradient = device_random("gradient", backend, COUNT, 0, 1e-3, &random);
    const dt_muon constants = {.lr = 1, .momentum = 0.95f, .gradient_scale = 1, .scale = 1};
    expect_ok(
        backend->update->muon(backend, weight.at, m.at, gradient.at, ROWS, COLUMNS, &constants));
    double *update = device_read(&weight);
    product(gram, update, false, update, true, ROWS, ROWS, COLUMNS);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < ROWS; j++) {
            const double value = gram[i * ROWS + j];
            if (i == j) assert_true(value > 0.4 && value < 1.6);
            if (i != j) assert_true(fabs(value) < 0.4);
        }
    }
    free(update);
    device_destroy(&weight, &m, &gradient, NULL);
}

static void zero_gradient_changes_nothing(void **state) {
    dt_backend *backend = *state;
    const double one[4] = {1, 2, 3, 4}, zero[4] = {0};
    device_tensor weight = device_from("weight", backend, one, 4),
                  m = device_from("m", backend, zero, 4),
                  gradient = device_from("gradient", backend, zero, 4);
    const dt_muon constants = {.lr = 1, .momentum = 0.95f, .gradient_scale = 1, .scale = 1};
    expect_ok(backend->update->muon(backend, weight.at, m.at, gradient.at, 2, 2, &constants));
    expect_device("Muon without a gradient", &weight, &m, &gradient, NULL);
    device_destroy(&weight, &m, &gradient, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(muon_agrees_over_steps),
        cmocka_unit_test(update_is_nearly_orthogonal),
        cmocka_unit_test(zero_gradient_changes_nothing),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
