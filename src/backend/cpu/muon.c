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

/* x (r, c), r <= c, singular values at most 1: five steps x' = a x + (b A + c A^2) x, A = x x^T,
   which bring them near 1. The coefficients trade exactness for speed: values end between about 0.7
   and 1.2. Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon. */
static void orthogonalise(float *x, float *next, float *gram, float *poly, int r, int c) {
    enum { STEPS = 5 };
    const float a = 3.4445f, b = -4.7750f, d = 2.0315f;
    const size_t square = (size_t)r * (size_t)r, count = (size_t)r * (size_t)c;
    for (int step = 0; step < STEPS; step++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r, r, c, 1.0f, x, c, x, c, 0.0f, gram,
                    r);
        memcpy(poly, gram, square * sizeof *poly);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, r, r, r, d, gram, r, gram, r, b,
                    poly, r);
        memcpy(next, x, count * sizeof *next);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, r, c, r, 1.0f, poly, r, x, c, a,
                    next, c);
        memcpy(x, next, count * sizeof *x);
    }
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
    orthogonalise(x, next, gram, poly, (int)r, (int)dt_max_size(rows, columns));
    apply(cpu_f32(weight), x, rows, columns, transpose, constants);
    return DT_OK;
}
