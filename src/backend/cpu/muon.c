/* Muon's update of one matrix: momentum, then the nearest orthogonal matrix from a few polynomials.
 */
#include <limits.h>
#include <math.h>

#include "cpu.h"

static void momentum_step(float *restrict m, const float *restrict g, size_t count,
                          const dt_muon *k) {
    for (size_t i = 0; i < count; i++) m[i] = k->momentum * m[i] + g[i] * k->gradient_scale;
}

dt_status cpu_momentum(dt_backend *backend, dt_tensor m, dt_tensor gradient, size_t count,
                       const dt_muon *constants) {
    (void)backend;
    CPU_FLOATS("momentum", m, gradient);
    momentum_step(cpu_f32(m), cpu_f32(gradient), count, constants);
    return DT_OK;
}

/* x = g + momentum m, transposed on request, so that it is wide. */
static void direction(float *x, const float *m, const float *g, size_t rows, size_t columns,
                      bool transpose, const dt_muon *k) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            const size_t at = i * columns + j;
            x[transpose ? j * rows + i : at] = g[at] * k->gradient_scale + k->momentum * m[at];
        }
    }
}

static void scale_all(float *x, size_t count, float factor) {
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}

static void apply(float *w, const float *x, size_t rows, size_t columns, bool transpose,
                  const dt_muon *k) {
    const float keep = 1.0f - k->lr * k->decay, step = k->lr * k->scale;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            const size_t at = i * columns + j;
            w[at] = w[at] * keep - step * x[transpose ? j * rows + i : at];
        }
    }
}

/* Copies the part below the diagonal of (r, r) to the part above, in tiles of a few cache lines. */
static void mirror(float *c, size_t r) {
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

/* Chooses our own kernel if the backend has it and it is the faster one; b (K, N) or its transpose.
 */
static dt_status open_right(cpu_right *right, cpu_backend *cpu, const float *b, bool transposed,
                            size_t K, size_t N) {
    const bool own = cpu->own && cpu_kernel_suits(K, N, false);
    return cpu_right_open(right, own ? &cpu->packing : NULL, b, transposed, K, N);
}

/* c (M, N) = a (M, K) b, b (K, N) */
static dt_status product(cpu_backend *cpu, float *c, const float *a, const float *b, size_t M,
                         size_t N, size_t K) {
    cpu_right right;
    DT_TRY(open_right(&right, cpu, b, false, K, N));
    cpu_multiply(c, (cpu_addend){0}, (cpu_left){a, K, 1}, &right, M);
    return DT_OK;
}

/* c (r, r) = a (r, K) b, which is known to be symmetric; b is (K, r) or its transpose. Computes
 * little more than the lower half. */
static dt_status symmetric_product(cpu_backend *cpu, float *c, const float *a, const float *b,
                                   bool transposed, size_t r, size_t K) {
    enum { ROWS = 48 };
    cpu_right right;
    DT_TRY(open_right(&right, cpu, b, transposed, K, r));
    for (size_t top = 0, rows; top < r; top += rows) {
        rows = dt_min_size(ROWS, r - top);
        right.columns = top + rows;
        cpu_multiply(c + top * r, (cpu_addend){0}, (cpu_left){a + top * K, K, 1}, &right, rows);
    }
    mirror(c, r);
    return DT_OK;
}

/* {p, q, s} of each step of the iteration x' = (p I + q A + s A^2) x with A = x x^T. Together they
 * map singular values from 0.003 … 1 to 0.79 … 1.21; each polynomial is the best one for the range
 * that the one before leaves. Source: Amsel et al. 2025, arXiv:2505.16932, algorithm 1, for the
 * lower bound 0.003 and four steps. */
static const float STEP[][3] = {
    {8.2191011f, -23.4019567f, 17.1581989f},
    {4.0048761f, -2.9223468f, 0.5491185f},
    {3.5235614f, -2.6398035f, 0.5272128f},
    {2.5115272f, -1.8524484f, 0.4388326f},
};
enum { STEPS = sizeof STEP / sizeof *STEP };

/* poly = p I + q gram + s gram^2 */
static void add_powers(float *poly, const float *gram, size_t r, const float step[3]) {
    const float q = step[1], s = step[2];
    for (size_t i = 0; i < r * r; i++) poly[i] = s * poly[i] + q * gram[i];
    for (size_t i = 0; i < r * r; i += r + 1) poly[i] += step[0];
}

static dt_status polynomial(cpu_backend *cpu, float *poly, const float *gram, size_t r, int step) {
    DT_TRY(symmetric_product(cpu, poly, gram, gram, false, r, r));
    add_powers(poly, gram, r, STEP[step]);
    return DT_OK;
}

/* x (r, c), r <= c, singular values at most 1, step by step. `next` is as large as x. */
static dt_status orthogonalise_square(cpu_backend *cpu, float *x, float *next, float *gram,
                                      float *poly, size_t r, size_t c) {
    for (int step = 0; step < STEPS; step++) {
        DT_TRY(symmetric_product(cpu, gram, x, x, true, r, c));
        DT_TRY(polynomial(cpu, poly, gram, r, step));
        DT_TRY(product(cpu, next, poly, x, r, c, r));
        memcpy(x, next, r * c * sizeof *x);
    }
    return DT_OK;
}

/* The same for a wide x. All polynomials are polynomials of x x^T, so their product is computed
 * from (r, r) matrices, A' = poly A poly, and only that product is applied to x. Polynomials of one
 * symmetric matrix commute, and their products are symmetric. `next` has room for two (r, r)
 * matrices. */
static dt_status orthogonalise_wide(cpu_backend *cpu, float *x, float *next, float *gram,
                                    float *poly, size_t r, size_t c) {
    const size_t square = r * r;
    float *all = next, *work = next + square;
    DT_TRY(symmetric_product(cpu, gram, x, x, true, r, c));
    DT_TRY(polynomial(cpu, all, gram, r, 0));
    memcpy(poly, all, square * sizeof *poly);
    for (int step = 1; step < STEPS; step++) {
        DT_TRY(symmetric_product(cpu, work, poly, gram, false, r, r));
        DT_TRY(symmetric_product(cpu, gram, work, poly, false, r, r));
        DT_TRY(polynomial(cpu, poly, gram, r, step));
        DT_TRY(symmetric_product(cpu, work, poly, all, false, r, r));
        memcpy(all, work, square * sizeof *all);
    }
    memcpy(poly, all, square * sizeof *poly);
    DT_TRY(product(cpu, next, poly, x, r, c, r));
    memcpy(x, next, r * c * sizeof *x);
    return DT_OK;
}

dt_status cpu_muon(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor gradient,
                   size_t rows, size_t columns, const dt_muon *constants) {
    cpu_backend *cpu = (cpu_backend *)backend;
    const size_t count = rows * columns, r = dt_min_size(rows, columns);
    const bool transpose = rows > columns;
    CPU_FLOATS("muon", weight, m, gradient);
    DT_REQUIRE(rows <= INT_MAX && columns <= INT_MAX, DT_ERR_ARG,
               "a matrix of (%zu,%zu) exceeds what BLAS can count; lower --width", rows, columns);
    DT_TRY(cpu_reserve(&cpu->scratch, dt_muon_scratch(rows, columns), "muon scratch"));
    float *x = cpu->scratch.at, *next = x + count, *gram = next + count, *poly = gram + r * r;
    double square;
    momentum_step(cpu_f32(m), cpu_f32(gradient), count, constants);
    direction(x, cpu_f32(m), cpu_f32(gradient), rows, columns, transpose, constants);
    dt_buffer whole = {.data = x, .bytes = count * sizeof *x};
    DT_TRY(cpu_square_sum(backend, &square, dt_floats(&whole, 0), count));
    /* Slightly below 1: at 1 the polynomials are so steep that rounding errors would show in a
     * matrix of rank 1. */
    scale_all(x, count, (float)(1.0 / (1.05 * sqrt(square) + 1e-12)));
    const size_t c = dt_max_size(rows, columns);
    DT_TRY(
        (c >= 2 * r ? orthogonalise_wide : orthogonalise_square)(cpu, x, next, gram, poly, r, c));
    apply(cpu_f32(weight), x, rows, columns, transpose, constants);
    return DT_OK;
}
