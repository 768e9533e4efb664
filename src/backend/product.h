/* The kinds of matrix products that a model computes, to test whether a library computes them
 * right. */
#ifndef DTRAIN_PRODUCT_H
#define DTRAIN_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

/* c (M,N) = a b, where a is stored (M,K), or (K,M) if it is transposed, and b (K,N), or (N,K).
 * Row-major. */
typedef struct {
    const char *what;
    bool transpose_a, transpose_b;
    size_t M, N, K;
} product;

/* Transposes and sizes of forward, gradient of the input, gradient of the weight; no matrix has
 * more than PRODUCT_MOST elements.
 */
extern const product PRODUCTS[];
extern const size_t PRODUCT_COUNT;
enum { PRODUCT_MOST = 520 * 520 };

/* Numbers between -1 and 1 for a and b, PRODUCT_MOST each. */
void product_fill(float *a, float *b);

/* Largest error of c = 1 + a b over sampled elements, compared with a plain double loop, in units
 * of 1e-6 times the sum of the absolute terms; below 20 c is right. */
double product_error(const product *p, const float *a, const float *b, const float *c);

#endif
