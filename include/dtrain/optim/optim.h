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

/**
 * Update the matrices that Muon updates as a whole: those inside the layers; the three of attn_qkv
 * separately. They are distributed over the workers of a node by cost, in the same way on every
 * node. With AdamW there are no such matrices, and nothing is done.
 *
 * @param gradient  the whole summed gradient, readable by every worker
 * @param worker, workers  this rank and the number of ranks of the node
 * Memory: weights and m in place.
 */
dt_status dt_optimizer_update_matrices(dt_backend *host, dt_buffer *weights, dt_buffer *m,
                                       dt_tensor gradient, const dt_layout *layout, size_t worker,
                                       size_t workers, const dt_config *config, int64_t step,
                                       double gradient_scale);

/**
 * Update elements begin … end of weights and moments in place with AdamW, except what
 * dt_optimizer_update_matrices updates. Only matrices and embeddings decay.
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
