/* Optimizers, learning-rate schedules and clipping, in terms of backend operations. */
#ifndef DTRAIN_OPTIM_H
#define DTRAIN_OPTIM_H

#include "dtrain/model/model.h"

/* Learning rate of a step (0-based): linear warm-up, then constant, or a cosine down to lr * min_lr
 * at the last step. */
double dt_schedule_lr(const dt_config *config, int64_t step);

/* Factor that scales a gradient of this norm down to `clip`; 1 if the norm is smaller or clip is 0.
 */
double dt_clip_factor(double norm, double clip);

/* Elements of one block of the gradient norm: sums are taken per block, then over blocks in order.
 */
enum { DT_NORM_BLOCK = 4096 };

/* sums[i] = sum of squares of block i, for the blocks that begin in [begin, end); begin is a
 * multiple of a block. `count`: elements in all. */
dt_status dt_norm_blocks(double *sums, dt_backend *host, dt_tensor gradient, size_t count,
                         size_t begin, size_t end);

/* A matrix that Muon updates as a whole: those inside the layers; the three of attn_qkv separately.
 */
typedef struct {
    size_t begin, end; /* elements of the layout */
    size_t rows, columns;
    size_t worker; /* who updates it */
} dt_matrix;

/* List them in the order of the layout, all for worker 0; with AdamW there are none. The list is
 * the caller's: dt_memory_free. */
dt_status dt_matrices_list(dt_matrix **matrix, size_t *count, const dt_layout *layout,
                           const dt_config *config);

/* Floats that an update of the largest of them works in; 0 with AdamW. */
size_t dt_matrices_scratch(const dt_layout *layout, const dt_config *config);

/**
 * Give each matrix to a worker, so that all have about as much to compute: the largest first, each
 * to the worker that has the least so far, and to the first of several.
 *
 * @param load  (workers) what each has to compute in addition, as dt_matrix_cost counts;
 *   afterwards all that it has
 */
void dt_matrices_share(dt_matrix *matrix, size_t count, double *load, size_t workers);

/* Floating-point operations of the update of a matrix, about. */
double dt_matrix_cost(size_t rows, size_t columns);

/* Update one matrix, weights and momentum in place; or only its momentum, with the same bits.
 * gradient: of the whole layout. */
dt_status dt_matrix_update(dt_backend *host, const dt_matrix *matrix, dt_buffer *weights,
                           dt_buffer *m, dt_tensor gradient, const dt_config *config, int64_t step,
                           double gradient_scale);
dt_status dt_matrix_update_momentum(dt_backend *host, const dt_matrix *matrix, dt_buffer *m,
                                    dt_tensor gradient, const dt_config *config,
                                    double gradient_scale);

/**
 * Update elements begin … end of weights and moments in place with AdamW, except what
 * dt_matrices_list lists. Only matrices and embeddings decay.
 *
 * @param step            0-based: the number of updates made before
 * @param gradient_scale  multiplies the gradient first
 * @param gradient        the summed gradient; gradient.offset is where element 0 of the layout
 *   would be
 *
 * Source: Loshchilov and Hutter 2019, arXiv:1711.05101.
 */
dt_status dt_optimizer_update(dt_backend *host, dt_buffer *weights, dt_buffer *m, dt_buffer *v,
                              dt_tensor gradient, const dt_layout *layout, size_t begin, size_t end,
                              const dt_config *config, int64_t step, double gradient_scale);

#endif
