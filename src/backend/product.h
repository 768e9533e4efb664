/* The matrix products that a model is made of, for testing whether a library calculates them. */
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

/* Largest error of c = 1 + a b over sampled elements, beside a plain double loop, in units of what
 * float rounding allows: below 20 it is right. */
double product_error(const product *p, const float *a, const float *b, const float *c);

#endif
