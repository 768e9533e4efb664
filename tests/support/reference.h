/* The whole model in double precision and plain loops, written from the formulas; tests compare the
 * fast code with it. */
#ifndef DTRAIN_TESTS_REFERENCE_H
#define DTRAIN_TESTS_REFERENCE_H

#include "dtrain/model/model.h"

/* Shape letters and tensor layouts as in dtrain/backend/backend.h. Nothing here calls the code
 * under src/. Outputs are replaced unless a comment says that they are added to. A batch may lack
 * the arrays that an operation does not read. */

/* ---- operations ---- */

void reference_embed_forward(double *x, const dt_batch *batch, const double *tok_embed,
                             const double *pos_embed, const double *place_embed, size_t C);
/* Adds to the three tables' gradients. */
void reference_embed_backward(double *d_tok_embed, double *d_pos_embed, double *d_place_embed,
                              const dt_batch *batch, const double *d_x, size_t C);

/* Pairs of channels of q and k in qkv (N,3C), as complex numbers, times those of row place[n] of
 * turns (P,C), or times their conjugates. */
void reference_turn(double *qkv, const dt_batch *batch, const double *turns, size_t C, bool back);

/* y = (x - mean) / sqrt(variance + 1e-5) * scale + bias. mean, rstd (N) or NULL. Source:
 * arXiv:1607.06450, eq. 4. */
void reference_norm_forward(double *y, double *mean, double *rstd, const double *x,
                            const double *scale, const double *bias, size_t N, size_t C);
/* Adds to d_x, d_scale and d_bias. */
void reference_norm_backward(double *d_x, double *d_scale, double *d_bias, const double *d_y,
                             const double *x, const double *scale, size_t N, size_t C);

/* 0.5 z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))): GPT-2's. Source: arXiv:1606.08415, section 2. */
double reference_gelu(double z);
double reference_gelu_derivative(double z);

/* y = act(x weight^T + bias); bias or z (the input of the activation) may be NULL. */
void reference_linear_forward(double *y, double *z, const double *x, const double *weight,
                              const double *bias, size_t N, size_t in, size_t out,
                              dt_activation activation);
/* Adds to d_weight and d_bias (or NULL); replaces d_x (or NULL) and d_z, which equals d_y without
 * an activation. */
void reference_linear_backward(double *d_x, double *d_weight, double *d_bias, double *d_z,
                               const double *d_y, const double *z, const double *x,
                               const double *weight, size_t N, size_t in, size_t out,
                               dt_activation activation);

/* Whether token t sees token s of its text in a window: digits see what is near and of no number
 * with another letter, and what has no place; all else sees no digits but near ones. */
bool reference_sees(const dt_batch *batch, size_t t, size_t s, int32_t window);

/* qkv (N,3C): q, k and v side by side, each with H heads side by side. lse (N,H) or NULL. window:
 * what tokens see of each other by the batch's spots; 0: all. Source: arXiv:1706.03762, eq. 1. */
void reference_attention_forward(double *y, double *lse, const double *qkv, const dt_batch *batch,
                                 size_t C, size_t H, int32_t window);
void reference_attention_backward(double *d_qkv, const double *d_y, const double *qkv,
                                  const dt_batch *batch, size_t C, size_t H, int32_t window);

/* Adds to *score; d_logits (or NULL) is the gradient of the summed loss; matched (B) or NULL.
 * d_logits may be logits. */
void reference_loss(dt_score *score, int32_t *matched, double *d_logits, const double *logits,
                    const dt_batch *batch, size_t V);

/* One AdamW update in place. Source: arXiv:1711.05101, algorithm 2, with the learning rate on the
 * decay. */
void reference_adamw(double *weight, double *m, double *v, const double *gradient, size_t count,
                     const dt_adamw *constants);

/* ---- the whole model ---- */

/* Names, shapes and order of all parameters as in the checkpoint's schema, without gaps. The caller
 * frees `parameter`. */
void reference_layout_create(dt_layout *layout, const dt_model_shape *shape);

/**
 * Forward pass, loss, and optionally logits and gradient.
 *
 * @param[out] score     added to
 * @param[out] logits    (N,V), or NULL
 * @param[out] gradient  layout.count elements, or NULL; the gradient of the loss summed over scored
 *   tokens is added to it
 * @param[in]  mask      dropout's factors, 0 or 1/(1-p), or NULL for none; 1 + 2L pointers: for the
 *   embeddings' sum (N,C), then for each layer the outputs of its attention (N,C) and its MLP (N,C)
 */
void reference_model_run(dt_score *score, double *logits, double *gradient, const double *weights,
                         const dt_layout *layout, const dt_model_shape *shape,
                         const dt_batch *batch, const double *const *mask);

/* ---- memory of tests: zeroed; if there is none, the program aborts ---- */

void *reference_alloc(size_t count, size_t size);
static inline double *reference_doubles(size_t count) {
    return reference_alloc(count, sizeof(double));
}

#endif
