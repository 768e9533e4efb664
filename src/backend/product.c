/* Compares matrix products with a plain loop in double. */
#include "product.h"

#include <math.h>

#include "dtrain/core/random.h"

const product PRODUCTS[] = {
    {"X W^T (forward)", false, true, 517, 384, 128},
    {"X W^T (forward, narrow)", false, true, 129, 20, 128},
    {"X W^T (one row)", false, true, 1, 512, 128},
    {"dY W (input gradient)", false, false, 517, 128, 512},
    {"dY W (input gradient, narrow)", false, false, 129, 128, 20},
    {"dY^T X (weight gradient)", true, false, 512, 128, 517},
    {"dY^T X (weight gradient, narrow)", true, false, 20, 128, 129},
};
const size_t PRODUCT_COUNT = sizeof PRODUCTS / sizeof *PRODUCTS;

/* Uniform numbers between -1 and 1. */
static void fill(float *x, uint32_t number) {
    uint32_t word[4];
    for (size_t i = 0; i < PRODUCT_MOST; i++) {
        if (i % 4 == 0) dt_random_block(word, 1, DT_RANDOM_TEST, number, i / 4);
        x[i] = 2 * dt_random_unit(word[i % 4]) - 1;
    }
}

/* Uniform, not normally distributed: every rank waits for these numbers when it starts, and normal
 * ones would take ten times as long. */
void product_fill(float *a, float *b) {
    fill(a, 0);
    fill(b, 1);
}

static double element(const float *a, bool transposed, size_t row, size_t column, size_t rows,
                      size_t columns) {
    return (double)(transposed ? a[column * rows + row] : a[row * columns + column]);
}

double product_error(const product *p, const float *a, const float *b, const float *c) {
    double worst = 0;
    for (uint64_t s = 0; s < 400; s++) {
        uint32_t word[4];
        dt_random_block(word, 2, DT_RANDOM_TEST, 0, s);
        /* Also samples the last row and column, where kernels are most often wrong. */
        const size_t i = s % 4 == 0 ? p->M - 1 : word[0] % p->M;
        const size_t j = s % 8 == 0 ? p->N - 1 : word[1] % p->N;
        double sum = 1, size = 1;
        for (size_t k = 0; k < p->K; k++) {
            const double term = element(a, p->transpose_a, i, k, p->M, p->K) *
                                element(b, p->transpose_b, k, j, p->K, p->N);
            sum += term;
            size += fabs(term);
        }
        const double error = fabs(sum - (double)c[i * p->N + j]) / (1e-6 * size);
        /* Written so that a NaN counts as the worst. */
        if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    }
    return worst;
}
