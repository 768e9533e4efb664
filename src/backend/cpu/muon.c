/* Muon's update of one matrix: momentum, then the nearest orthogonal matrix by Newton-Schulz
 * iterations. */
#include <cblas.h>
#include <limits.h>
#include <math.h>

#include "cpu.h"

DT_HOT static void momentum_step(float *restrict m, const float *restrict g, size_t count,
                                 const dt_muon *k) {
    for (size_t i = 0; i < count; i++) m[i] = k->momentum * m[i] + g[i] * k->gradient_scale;
}

/* x = g + momentum m, transposed if that makes it wide. */
DT_HOT static void direction(float *x, const float *m, const float *g, size_t rows, size_t columns,
                             bool transpose, const dt_muon *k) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            const size_t at = i * columns + j;
            x[transpose ? j * rows + i : at] = g[at] * k->gradient_scale + k->momentum * m[at];
        }
    }
}

DT_HOT static void scale_all(float *x, size_t count, float factor) {
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}

DT_HOT static void apply(float *w, const float *x, size_t rows, size_t columns, bool transpose,
                         const dt_muon *k) {
    const float keep = 1.0f - k->lr * k->decay, step = k->lr * k->scale;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            const size_t at = i * columns + j;
            w[at] = w[at] * keep - step * x[transpose ? j * rows + i : at];
        }
    }
}

/* c (r, n) = alpha a (r, r) b (r, n) + beta c. */
static void product(float *c, const float *a, const float *b, int r, int n, float alpha,
                    float beta) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, r, n, r, alpha, a, r, b, n, beta, c, n);
}

/* poly = p I + q A + s A^2 for the iteration x' = poly x with A = x x^T. The coefficients trade
   exactness for speed: five steps bring singular values between about 0.7 and 1.2. Source: Jordan
   et al. 2024, kellerjordan.github.io/posts/muon. */
static void polynomial(float *poly, const float *gram, int r) {
    const float p = 3.4445f, q = -4.7750f, s = 2.0315f;
    const size_t square = (size_t)r * (size_t)r;
    memcpy(poly, gram, square * sizeof *poly);
    product(poly, gram, gram, r, r, s, q);
    for (size_t i = 0; i < square; i += (size_t)r + 1) poly[i] += p;
}

enum { STEPS = 5 };

/* x (r, c), r <= c, singular values at most 1, step by step. `next` is as large as x. */
static void orthogonalise_square(float *x, float *next, float *gram, float *poly, int r, int c) {
    for (int step = 0; step < STEPS; step++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r, r, c, 1.0f, x, c, x, c, 0.0f, gram,
                    r);
        polynomial(poly, gram, r);
        product(next, poly, x, r, c, 1.0f, 0.0f);
        memcpy(x, next, (size_t)r * (size_t)c * sizeof *x);
    }
}

/* The same for a wide x: all polynomials are of the one x x^T, and so their product is found among
   (r, r) matrices, A' = poly A poly; only that is applied to x. `next` has room for two of them. */
static void orthogonalise_wide(float *x, float *next, float *gram, float *poly, int r, int c) {
    const size_t square = (size_t)r * (size_t)r;
    float *all = next, *work = next + square;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r, r, c, 1.0f, x, c, x, c, 0.0f, gram, r);
    polynomial(all, gram, r);
    memcpy(poly, all, square * sizeof *poly);
    for (int step = 1; step < STEPS; step++) {
        product(work, poly, gram, r, r, 1.0f, 0.0f);
        product(gram, work, poly, r, r, 1.0f, 0.0f);
        polynomial(poly, gram, r);
        product(work, poly, all, r, r, 1.0f, 0.0f);
        memcpy(all, work, square * sizeof *all);
    }
    memcpy(poly, all, square * sizeof *poly);
    product(next, poly, x, r, c, 1.0f, 0.0f);
    memcpy(x, next, (size_t)r * (size_t)c * sizeof *x);
}

dt_status cpu_muon(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor gradient,
                   size_t rows, size_t columns, const dt_muon *constants) {
    cpu_backend *cpu = (cpu_backend *)backend;
    const size_t count = rows * columns, r = dt_min_size(rows, columns);
    const bool transpose = rows > columns;
    DT_REQUIRE(rows <= INT_MAX && columns <= INT_MAX, DT_ERR_ARG,
               "a matrix of (%zu,%zu) exceeds what BLAS can count; lower --width", rows, columns);
    DT_TRY(cpu_reserve(cpu, 2 * count + 2 * r * r, "muon scratch"));
    float *x = cpu->scratch, *next = x + count, *gram = next + count, *poly = gram + r * r;
    double square;
    momentum_step(cpu_f32(m), cpu_f32(gradient), count, constants);
    direction(x, cpu_f32(m), cpu_f32(gradient), rows, columns, transpose, constants);
    dt_buffer whole = {.data = x, .count = count};
    DT_TRY(cpu_square_sum(backend, &square, (dt_tensor){&whole, 0}, count));
    scale_all(x, count, (float)(1.0 / (sqrt(square) + 1e-12)));
    const size_t c = dt_max_size(rows, columns);
    (c >= 2 * r ? orthogonalise_wide : orthogonalise_square)(x, next, gram, poly, (int)r, (int)c);
    apply(cpu_f32(weight), x, rows, columns, transpose, constants);
    return DT_OK;
}
