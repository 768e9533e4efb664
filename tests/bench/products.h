/* The matrix products of the model, and how fast they are computed alone: by BLAS, by the backend's
 * kernels, by another library. */
#ifndef BENCH_PRODUCTS_H
#define BENCH_PRODUCTS_H

#include "bench.h"
#include "dtrain/model/model.h"

enum { PRODUCTS_MAX = 15, WAYS_MAX = 6 };

/* One product (M,K) by (K,N) of the model. */
typedef struct {
    const char *name; /* "qkv" */
    const char *of;   /* "forward", "input gradient", "weight gradient" */
    bool transpose_a, transpose_b, accumulate;
    size_t M, N, K;
    size_t times;             /* in one pass over the model */
    double seconds[WAYS_MAX]; /* total of each way so far */
} product;

/* One way to compute them. */
typedef struct {
    /* Not measured: bring the operands into the way's own form. NULL: nothing. */
    dt_status (*prepare)(void *context, const product *x);
    dt_status (*compute)(void *context, const product *x);
    void (*close)(void *context);
    void *context;
} product_way;

typedef struct {
    product each[PRODUCTS_MAX];
    size_t count, passes;
    clock_reader *now;
    dt_backend *host;
    product_way way[WAYS_MAX];
    size_t ways;
    /* Operands, the same for all products, so that they stay in the cache. */
    float *a, *b, *c;
    size_t a_count, b_count, c_count;
} products;

/**
 * The products of one pass over a micro-batch, with BLAS as the first way.
 *
 * @param host      the CPU backend
 * @param tokens    packed tokens of the micro-batch
 * @param backward  those of the backward pass as well
 * @return DT_ERR_MEMORY; products_close it, also after an error
 */
dt_status products_open(products *p, dt_backend *host, const dt_model_shape *shape, size_t tokens,
                        bool backward, clock_reader *now);
void products_close(products *p);

/* Each adds a way; DT_ERR_MEMORY. */

/* The backend's kernel for float32, which packs the right side each time. */
dt_status products_add_kernel(products *p);

/* Its linear layers with bfloat16 operands: activations are bfloat16 already, weights and gradients
 * are rounded and packed each time. */
dt_status products_add_layer(products *p);

/* Its kernel for bfloat16 alone, with the processor's instruction if there is one: both sides are
 * rounded and packed beforehand. */
dt_status products_add_packed(products *p);

/* Likewise the one that does without the processor's instruction. */
dt_status products_add_plain(products *p);

/* Compute passes, each product in all ways in turn, until BLAS has taken `seconds`; rate receives
 * FLOP per second of each way. */
dt_status products_run(double *rate, products *p, double seconds);

/* FLOP per second of one product over all runs. */
double product_rate(const products *p, size_t i, size_t way);

/* ---- the model's own arithmetic ---- */

/* FLOP of the products of a forward pass over `tokens` tokens: 2 tokens (L (4 C^2 + 2 C F) + C V).
 */
double model_linear_flops(const dt_model_shape *shape, double tokens);

/* FLOP of attention's two products in a forward pass, lower triangles only: 2 L C n (n + 1) for a
 * problem of n tokens. */
double model_attention_flops(const dt_model_shape *shape, const dt_batch *batch);

/* Kernels that BLAS has chosen for this processor: "SkylakeX". */
const char *blas_kernels(void);

#endif
