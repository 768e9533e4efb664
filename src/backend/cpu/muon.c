/* Muon's update of one matrix: momentum, then the nearest orthogonal matrix by a few
 * polynomials. */
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

/* c (r, n) = a (r, r) b (r, n). */
static void product(float *c, const float *a, const float *b, int r, int n) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, r, n, r, 1.0f, a, r, b, n, 0.0f, c, n);
}

/* What stands below the diagonal of (r, r) comes above it as well, in tiles of a few cache lines.
 */
DT_HOT static void mirror(float *c, size_t r) {
    enum { TILE = 16 };
    for (size_t top = 0; top < r; top += TILE) {
        const size_t bottom = dt_min_size(top + TILE, r);
        for (size_t left = 0; left <= top; left += TILE) {
            for (size_t i = top; i < bottom; i++) {
                const size_t right = dt_min_size(left + TILE, i);
                for (size_t j = left; j < right; j++) c[j * r + i] = c[i * r + j];
            }
        }
    }
}

/* c (r, r) = alpha a b + beta c, where that is known to be symmetric: a (r, k), b (k, r), or its
 * transpose (r, k). Computes little more than the lower half. */
static void symmetric_product(float *c, const float *a, const float *b, CBLAS_TRANSPOSE transpose,
                              int r, int k, float alpha, float beta) {
    enum { ROWS = 64 };
    for (int top = 0; top < r; top += ROWS) {
        const int rows = r - top < ROWS ? r - top : ROWS;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, transpose, rows, top + rows, k, alpha,
                    a + (size_t)top * (size_t)k, k, b, transpose == CblasTrans ? k : r, beta,
                    c + (size_t)top * (size_t)r, r);
    }
    mirror(c, (size_t)r);
}

/* gram = x x^T */
static void gram_of(float *gram, const float *x, int r, int c) {
    symmetric_product(gram, x, x, CblasTrans, r, c, 1.0f, 0.0f);
}

/* c = a b for polynomials of one symmetric matrix, which commute. */
static void polynomial_product(float *c, const float *a, const float *b, int r) {
    symmetric_product(c, a, b, CblasNoTrans, r, r, 1.0f, 0.0f);
}

/*
 * Of the iteration x' = (p I + q A + s A^2) x with A = x x^T: {p, q, s} for each step. Together
 * they bring singular values from 0.003 … 1 to 0.79 … 1.21, nearest to 1 of all such polynomials
 * one after the other. Source: Amsel et al. 2025, arXiv:2505.16932, algorithm 1, for the lower
 * bound 0.003 and four steps.
 */
static const float STEP[][3] = {
    {8.2191011f, -23.4019567f, 17.1581989f},
    {4.0048761f, -2.9223468f, 0.5491185f},
    {3.5235614f, -2.6398035f, 0.5272128f},
    {2.5115272f, -1.8524484f, 0.4388326f},
};
enum { STEPS = sizeof STEP / sizeof *STEP };

/* poly = p I + q gram + s gram^2 */
static void polynomial(float *poly, const float *gram, int r, int step) {
    const size_t square = (size_t)r * (size_t)r;
    memcpy(poly, gram, square * sizeof *poly);
    symmetric_product(poly, gram, gram, CblasNoTrans, r, r, STEP[step][2], STEP[step][1]);
    for (size_t i = 0; i < square; i += (size_t)r + 1) poly[i] += STEP[step][0];
}

/* x (r, c), r <= c, singular values at most 1, step by step. `next` is as large as x. */
static void orthogonalise_square(float *x, float *next, float *gram, float *poly, int r, int c) {
    for (int step = 0; step < STEPS; step++) {
        gram_of(gram, x, r, c);
        polynomial(poly, gram, r, step);
        product(next, poly, x, r, c);
        memcpy(x, next, (size_t)r * (size_t)c * sizeof *x);
    }
}

/* The same for a wide x: all polynomials are of the one x x^T, and so their product is found among
   (r, r) matrices, A' = poly A poly; only that is applied to x. `next` has room for two of them. */
static void orthogonalise_wide(float *x, float *next, float *gram, float *poly, int r, int c) {
    const size_t square = (size_t)r * (size_t)r;
    float *all = next, *work = next + square;
    gram_of(gram, x, r, c);
    polynomial(all, gram, r, 0);
    memcpy(poly, all, square * sizeof *poly);
    for (int step = 1; step < STEPS; step++) {
        polynomial_product(work, poly, gram, r);
        polynomial_product(gram, work, poly, r);
        polynomial(poly, gram, r, step);
        polynomial_product(work, poly, all, r);
        memcpy(all, work, square * sizeof *all);
    }
    memcpy(poly, all, square * sizeof *poly);
    product(next, poly, x, r, c);
    memcpy(x, next, (size_t)r * (size_t)c * sizeof *x);
}

dt_status cpu_muon(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor gradient,
                   size_t rows, size_t columns, const dt_muon *constants) {
    cpu_backend *cpu = (cpu_backend *)backend;
    const size_t count = rows * columns, r = dt_min_size(rows, columns);
    const bool transpose = rows > columns;
    DT_REQUIRE(rows <= INT_MAX && columns <= INT_MAX, DT_ERR_ARG,
               "a matrix of (%zu,%zu) exceeds what BLAS can count; lower --width", rows, columns);
    DT_TRY(cpu_reserve(&cpu->scratch, 2 * count + 2 * r * r, "muon scratch"));
    float *x = cpu->scratch.at, *next = x + count, *gram = next + count, *poly = gram + r * r;
    double square;
    momentum_step(cpu_f32(m), cpu_f32(gradient), count, constants);
    direction(x, cpu_f32(m), cpu_f32(gradient), rows, columns, transpose, constants);
    dt_buffer whole = {.data = x, .count = count};
    DT_TRY(cpu_square_sum(backend, &square, (dt_tensor){&whole, 0}, count));
    /* Below 1 by a little: at 1 the polynomials are so steep that a matrix of rank 1 would show
       what was rounded. */
    scale_all(x, count, (float)(1.0 / (1.05 * sqrt(square) + 1e-12)));
    const size_t c = dt_max_size(rows, columns);
    (c >= 2 * r ? orthogonalise_wide : orthogonalise_square)(x, next, gram, poly, (int)r, (int)c);
    apply(cpu_f32(weight), x, rows, columns, transpose, constants);
    return DT_OK;
}
