/* The matrix products of the model, and how fast BLAS alone computes them. */
#ifndef BENCH_PRODUCTS_H
#define BENCH_PRODUCTS_H

#include "bench.h"
#include "dtrain/model/model.h"

/* One product (M,K) by (K,N) as the model asks BLAS for it. */
typedef struct {
    const char *name; /* "qkv" */
    const char *of;   /* "forward", "input gradient", "weight gradient" */
    bool transpose_a, transpose_b, accumulate;
    size_t M, N, K;
    size_t times;       /* in one pass over the model */
    double seconds;     /* by BLAS, all measured so far */
    double own_seconds; /* the same products by the backend's kernel */
} product;

enum { PRODUCTS_MAX = 15 };

typedef struct {
    product each[PRODUCTS_MAX];
    size_t count, passes;
    clock_reader *now;
    dt_backend *host;
    float *a, *b, *c; /* operands, the same for all products: they stay in the caches they fit in */
} products;

/**
 * The products of one pass over a micro-batch.
 *
 * @param host      the CPU backend
 * @param tokens    packed tokens of the micro-batch
 * @param backward  those of the backward pass as well
 * @return DT_ERR_MEMORY; products_close it, also after an error
 */
dt_status products_open(products *p, dt_backend *host, const dt_model_shape *shape, size_t tokens,
                        bool backward, clock_reader *now);
void products_close(products *p);

/* Compute passes, each product by BLAS and by the backend's kernel in turn, for at least so many
 * seconds of BLAS; the rate of BLAS in FLOP per second. */
dt_status products_run(double *rate, products *p, double seconds);

/* FLOP per second of one product over all runs, by BLAS or by the backend's kernel. */
double product_rate(const products *p, size_t i, bool own);

/* ---- the model's own arithmetic ---- */

/* FLOP of the products of a forward pass over so many tokens: 2 tokens (L (4 C^2 + 2 C F) + C V).
 */
double model_linear_flops(const dt_model_shape *shape, double tokens);

/* FLOP of attention's two products in a forward pass, lower triangles alone: 2 L C n (n + 1) for a
 * problem of n tokens. */
double model_attention_flops(const dt_model_shape *shape, const dt_batch *batch);

/* Kernels that BLAS has chosen for this processor: "SkylakeX". */
const char *blas_kernels(void);

#endif
