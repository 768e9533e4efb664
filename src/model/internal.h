/* Shared by the forward pass, the backward pass and generation: parameters, activations, and the
 * pass over the layers. */
#ifndef DTRAIN_MODEL_INTERNAL_H
#define DTRAIN_MODEL_INTERNAL_H

#include <math.h>

#include "dtrain/core/memory.h"
#include "dtrain/model/model.h"

/* The parameters in order: embeddings, those of each layer, those after the last layer. Adapters,
 * _A and _B, may be missing. */
enum { TOK_EMBED, POS_EMBED, PLACE_EMBED, EMBEDDINGS };
enum {
    ATTN_NORM_SCALE,
    ATTN_NORM_BIAS,
    ATTN_QKV_WEIGHT,
    ATTN_QKV_BIAS,
    ATTN_QKV_A,
    ATTN_QKV_B,
    ATTN_OUT_WEIGHT,
    ATTN_OUT_BIAS,
    ATTN_OUT_A,
    ATTN_OUT_B,
    MLP_NORM_SCALE,
    MLP_NORM_BIAS,
    MLP_IN_WEIGHT,
    MLP_IN_BIAS,
    MLP_IN_A,
    MLP_IN_B,
    MLP_OUT_WEIGHT,
    MLP_OUT_BIAS,
    MLP_OUT_A,
    MLP_OUT_B,
    LAYER_PARAMETERS
};
enum { FINAL_NORM_SCALE, FINAL_NORM_BIAS, FINAL_PARAMETERS };

/* The number of each parameter in its layer; returns how many there are. */
size_t layout_number(size_t number[LAYER_PARAMETERS], const dt_model_shape *shape);

/* What a layer stores for its backward pass. */
typedef struct {
    dt_tensor input; /* (N,C) the residual stream */
    dt_tensor attn_normed, attn_mean, attn_rstd;
    dt_tensor qkv, lse, attended; /* (N,3C) (N,H) (N,C) */
    dt_tensor middle;             /* (N,C) the stream after attention */
    dt_tensor mlp_normed, mlp_mean, mlp_rstd;
    dt_tensor hidden_slope, hidden; /* (N,F) the slope of GELU, and its result */
    dt_tensor lowered[DT_TARGETS];  /* (N,rank) what adapters have between their two products */
} layer_activations;

/* Between the last layer and the loss. */
typedef struct {
    dt_tensor input, normed, mean, rstd, logits;
} final_activations;

struct dt_model {
    dt_backend *backend;
    dt_model_shape shape;
    dt_layout layout;
    size_t number[LAYER_PARAMETERS]; /* of parameters in their layer */
    size_t in_layer;                 /* parameters of a layer */
    dt_buffer *weights;              /* of the trained parameters */
    dt_buffer *frozen;               /* weights of the frozen parameters; NULL: none is frozen */
    size_t problems, tokens;         /* the most of a batch */

    dt_buffer *ids; /* the packed batch: int32 */
    dt_packed packed;
    dt_tensor no_position; /* (N) int32: zeros */
    dt_packed documents;   /* the batch by documents, as attention reads it */
    int32_t *index;        /* (N) of each token in its document; NULL: positions are not indices */
    dt_buffer *activations;
    layer_activations *layer; /* (L) */
    final_activations final;
    dt_tensor branch;             /* (N,C) a branch's result before dropout */
    dt_buffer *gradients;         /* of activations: */
    dt_tensor d_stream, d_branch; /* (N,C) */
    dt_tensor d_attended, d_wide; /* (N,C) (N,F), which also holds (N,3C) */
    dt_tensor matched;            /* (B) int32 */
    dt_tensor low;                /* (N,rank) float32; of adapters, as the next two */
    dt_tensor added;   /* (N,3C) or (N,F) float32: what they add to a product or to d_x */
    dt_tensor thinned; /* (N,F) their input after dropout */

    float sharpness; /* of attention in evaluation and generation */
    dt_heads heads;  /* of the forward pass that is under way */

    dt_model_watcher *watcher; /* of backward passes; NULL: none */
    void *watcher_context;
};

/* A parameter of layer l; with l = L, of the final ones. */
static inline const dt_parameter *model_parameter(const dt_model *model, size_t l, size_t which) {
    const size_t number = l < model->shape.L ? model->number[which] : which;
    return &model->layout.parameter[EMBEDDINGS + l * model->in_layer + number];
}

static inline dt_tensor parameter_weight(const dt_model *model, const dt_parameter *p) {
    if (p->frozen) return (dt_tensor){model->frozen, p->frozen_offset, p->element};
    return dt_floats(model->weights, p->offset);
}
static inline dt_tensor embedding_weight(const dt_model *model, size_t which) {
    return parameter_weight(model, &model->layout.parameter[which]);
}
static inline dt_tensor model_weight(const dt_model *model, size_t l, size_t which) {
    return parameter_weight(model, model_parameter(model, l, which));
}

/* How attention looks in training; `sharp`: in evaluation and generation. */
static inline dt_heads model_heads(const dt_model *model, bool sharp) {
    const size_t H = model->shape.H, D = model->shape.C / H;
    const float plain = 1.0f / sqrtf((float)D);
    return (dt_heads){H, sharp ? model->sharpness * plain : plain, model->shape.window};
}

/* Run `call` of the backend table, pass errors on. */
#define RUN(model, call, ...) DT_TRY((model)->backend->op->call((model)->backend, __VA_ARGS__))

/* The dropout sites: embedding, two per layer, then one for each adapter that there may be. */
static inline uint32_t dropout_site(size_t layer, bool mlp) {
    return (uint32_t)(1 + 2 * layer + mlp);
}
static inline uint32_t adapter_site(const dt_model *model, size_t layer, dt_target target) {
    return (uint32_t)(1 + 2 * model->shape.L + DT_TARGETS * layer + target);
}

dt_status model_upload(dt_model *model, const dt_batch *batch);

/* The batch as the embedding reads it: if the model uses no positions or places, all tokens have
 * number 0. */
static inline dt_packed model_embedded(const dt_model *model) {
    dt_packed packed = model->packed;
    if (model->shape.no_positions) packed.position = model->no_position;
    if (model->shape.index_positions) packed.place = model->no_position;
    return packed;
}

/* Describes a forward pass: over whole packed problems, or over one new token of each. */
typedef struct {
    const dt_packed *batch; /* as the embedding reads it */
    layer_activations *layer;
    /* Every layer has its own activations, for the backward pass; otherwise all layers use those of
     * the first, which then stay in the cache. */
    bool keep;
    final_activations final; /* without logits the pass ends after the last layer */
    const dt_step_key *key;  /* of dropout; NULL: none */
    /* a->attended from a->qkv */
    dt_status (*attend)(void *context, size_t l, const layer_activations *a);
    void *context;
} forward_pass;

/* One linear layer of a layer: its sizes, and where its input and output are. */
typedef struct {
    size_t l, weight; /* of which layer, and which of its weights; its bias follows */
    size_t N, in, out;
    dt_activation activation;
    const layer_activations *a;
    const dt_step_key *key; /* of the adapter's dropout; NULL: none */
} linear_layer;

/* y = act(x W^T + bias + what its adapter computes + residual). */
dt_status model_linear_forward(dt_model *model, const linear_layer *layer, dt_tensor y,
                               dt_tensor slope, dt_tensor x, dt_tensor residual);

/* Adds to the gradients of what is trained; d_x is replaced if it is needed. */
dt_status model_linear_backward(dt_model *model, const linear_layer *layer, dt_buffer *gradient,
                                dt_tensor d_x, dt_tensor d_y, dt_tensor slope, dt_tensor x);

/* Whether all parameters before p are frozen, so that the backward pass ends at p. */
static inline bool is_lowest(const dt_parameter *p) { return p->offset == 0; }

/* The gradient of a parameter, if it is needed. */
static inline dt_tensor gradient_of(dt_buffer *gradient, const dt_parameter *p) {
    return p->frozen || p->constant ? DT_NO_TENSOR : dt_floats(gradient, p->offset);
}

/* Dropout of (N,C) with probability p, as the step's key says. */
dt_status model_drop_out(dt_model *model, dt_tensor y, dt_tensor x, dt_tensor residual, size_t C,
                         double probability, uint32_t site, const dt_step_key *key);

/* Computes the logits. */
dt_status model_pass(dt_model *model, const forward_pass *pass);

#endif
