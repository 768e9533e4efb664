/* What the forward pass, the backward pass and generation share: where each layer's parameters lie,
 * and activations. */
#ifndef DTRAIN_MODEL_INTERNAL_H
#define DTRAIN_MODEL_INTERNAL_H

#include "dtrain/core/memory.h"
#include "dtrain/model/model.h"

/* Offsets of one layer's parameters in the flat block. */
typedef struct {
    size_t attn_norm_scale, attn_norm_bias, attn_qkv_weight, attn_qkv_bias, attn_out_weight,
        attn_out_bias;
    size_t mlp_norm_scale, mlp_norm_bias, mlp_in_weight, mlp_in_bias, mlp_out_weight, mlp_out_bias;
} layer_offsets;

typedef struct {
    size_t tok_embed, pos_embed, place_embed, final_norm_scale, final_norm_bias;
    layer_offsets *layer; /* (L) */
} model_offsets;

/* What one layer keeps for its backward pass. */
typedef struct {
    dt_tensor input; /* (N,C) the residual stream */
    dt_tensor attn_normed, attn_mean, attn_rstd;
    dt_tensor qkv, lse, attended; /* (N,3C) (N,H) (N,C) */
    dt_tensor middle;             /* (N,C) the stream after attention */
    dt_tensor mlp_normed, mlp_mean, mlp_rstd;
    dt_tensor hidden_slope, hidden; /* (N,F) the slope of GELU, and its result */
} layer_activations;

struct dt_model {
    dt_backend *backend;
    dt_model_shape shape;
    dt_layout layout;
    model_offsets offsets;
    dt_buffer *weights;
    size_t problems, tokens; /* room for */

    dt_buffer *ids; /* the packed batch: int32 */
    dt_packed packed;
    dt_tensor no_position; /* (N) int32: zeros */
    dt_buffer *activations;
    layer_activations *layer;                     /* (L) */
    dt_tensor output, normed, mean, rstd, logits; /* after the last layer */
    dt_tensor branch;                             /* (N,C) a branch before dropout */
    dt_buffer *gradients;                         /* of activations: */
    dt_tensor d_stream, d_branch, d_wide;         /* (N,C) (N,C) (N,F), which also holds (N,3C) */
    dt_tensor matched;                            /* (B) int32 */

    dt_model_watcher *watcher; /* of backward passes; NULL: none */
    void *watcher_context;
};

static inline dt_tensor model_weight(const dt_model *model, size_t offset) {
    return (dt_tensor){model->weights, offset};
}

/* Run `call` of the backend table, pass errors on. */
#define RUN(model, call, ...) DT_TRY((model)->backend->op->call((model)->backend, __VA_ARGS__))

/* The dropout sites: embedding, then two per layer. */
static inline uint32_t dropout_site(size_t layer, bool mlp) {
    return (uint32_t)(1 + 2 * layer + mlp);
}

dt_status model_upload(dt_model *model, const dt_batch *batch);

/* The batch as the embedding reads it: where tokens are not told their position, all have one. */
static inline dt_packed model_embedded(const dt_model *model) {
    dt_packed packed = model->packed;
    if (model->shape.no_positions) packed.position = model->no_position;
    return packed;
}

/* key NULL: no dropout. keep: every layer's activations, for the backward pass; otherwise they all
 * work in the memory of the first, which then stays in the cache. Leaves the logits. */
dt_status model_forward(dt_model *model, const dt_step_key *key, bool keep);
dt_status model_dropout(dt_model *model, dt_tensor y, dt_tensor x, dt_tensor residual,
                        uint32_t site, const dt_step_key *key);

#endif
