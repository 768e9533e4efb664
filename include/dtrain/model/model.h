/* The decoder-only Transformer: its parameters by name, forward and backward, generation. */
#ifndef DTRAIN_MODEL_H
#define DTRAIN_MODEL_H

#include "dtrain/backend/backend.h"
#include "dtrain/core/config.h"
#include "dtrain/data/pack.h"

/* Low-rank adapters: y = x W^T + alpha / rank (x a^T) b^T, where W is frozen. Source: Hu et al.
 * 2021, arXiv:2106.09685. */
typedef struct {
    size_t rank; /* 0: none */
    double alpha;
    double dropout; /* of x, in what the adapter computes */
    bool target[DT_TARGETS];
    dt_element matrices; /* how the frozen matrices of the layers are stored */
} dt_lora;

/* What fixes every shape. */
typedef struct {
    size_t L, C, H, F, V, T, P;
    double dropout;
    double sharpness;  /* factor of attention's scores where the model answers; 0: as in training */
    bool no_positions; /* pos_embed has one row, for all tokens */
    bool index_positions; /* a token's position is its index in its text; no token has a place, and
                             place_embed has one row */
    bool place_waves;     /* place_embed begins as sines and cosines of the place */
    bool places_constant; /* it is not trained */
    bool rotary;          /* it holds the turns of queries and keys, and is added to nothing */
    int32_t window;       /* of attention, in places; 0: none */
    bool bfloat16;        /* the operands of products; otherwise float32 */
    dt_lora lora;
    dt_element quantised; /* how the matrices of the layers are stored in a model of which nothing
                             is trained; DT_ELEMENT_FLOAT32: it is no such model */
} dt_model_shape;

/* From the settings: F = 4C, T = context, P = places + 1, or 1; DT_ERR_ARG if the data of training
 * or evaluation does not fit. */
dt_status dt_model_shape_from(dt_model_shape *shape, const dt_config *config, size_t vocabulary);

/* Let nothing be trained, and the matrices of the layers be stored so. DT_ERR_ARG: the blocks do
 * not fit the width. */
dt_status dt_model_shape_quantise(dt_model_shape *shape, dt_element element);

/* How the frozen matrices of its layers are stored. */
dt_element dt_model_shape_matrices(const dt_model_shape *shape);

/* "q8_0", "nf4"; and back, where DT_ELEMENT_FLOAT32 means that it is no such name. */
const char *dt_quantised_name(dt_element element);
dt_element dt_quantised_find(const char *name);

/* Whether the problems of the settings fit: DT_ERR_ARG says what is too long. */
dt_status dt_model_shape_holds(const dt_model_shape *shape, const dt_config *config);

/* What a parameter is for. It decides decay, initial values and how it is updated. */
typedef enum {
    DT_ROLE_EMBEDDING, /* a table of rows, not a map between spaces */
    DT_ROLE_MATRIX,    /* inside a layer */
    DT_ROLE_VECTOR,    /* scale or bias; not decayed */
    DT_ROLE_ADAPTER,   /* one of an adapter's two matrices, which AdamW always updates */
} dt_role;

/* One named tensor. Trained parameters lie in float32 blocks with one common layout: weights,
 * gradient, moments, average. Frozen parameters have only weights, in a separate block. */
typedef struct {
    char name[48]; /* "layers/0/attn_qkv/weight" */
    dt_role role;
    bool frozen;
    bool constant; /* in the blocks of trained parameters, but without gradient: it stays */
    size_t offset; /* trained: first element in its blocks, a multiple of DT_ALIGNED_FLOATS; frozen:
                      the offset of the next trained parameter, or the end */
    dt_element element;   /* of frozen weights; trained parameters are float32 */
    size_t frozen_offset; /* frozen: first byte in the block of frozen weights, a multiple of
                             DT_ALIGNMENT */
    size_t count;
    size_t rank; /* 1 or 2 */
    size_t extent[2];
    size_t stacked;   /* matrices one above the other: 3 for attn_qkv, otherwise 1 */
    double initial;   /* mean of the initial values */
    double deviation; /* of the initial values; 0: all are the same */
    bool waves;       /* deviation is that of sines and cosines of the number of the row */
    size_t turned;    /* of rotary places: the heads that a row's turns are for; otherwise 0 */
    double bound;     /* they are uniform between -bound and bound instead; 0: they are not */
} dt_parameter;

/* All parameters, in the order in which the forward pass meets them; owned by the layout. */
typedef struct {
    dt_parameter *parameter;
    size_t parameters;
    size_t count; /* elements of a block of trained parameters, with gaps (which stay zero) */
    size_t frozen_bytes; /* of the block of frozen weights */
    size_t weights;      /* elements of all parameters, without gaps */
} dt_layout;

/* All parameters are trained; of a quantised shape none; if the shape has adapters, those alone:
 * "layers/0/attn_qkv/lora_a" and "…/lora_b" follow what belongs to their matrix. To freeze others,
 * set their `frozen` and `element`, then call dt_layout_arrange. */
dt_status dt_layout_create(dt_layout *layout, const dt_model_shape *shape);
void dt_layout_destroy(dt_layout *layout);

/* Compute offsets and sizes from what is frozen and how it is stored. */
void dt_layout_arrange(dt_layout *layout);

/**
 * Fill the block of frozen weights from a model that has all of them.
 *
 * @param[out] frozen  (layout->frozen_bytes)
 * @param base, weights  layout and block of the other model, which are trained there
 * @return DT_ERR_DATA: it is a model of another shape
 */
dt_status dt_layout_fill_frozen(void *frozen, const dt_layout *layout, const dt_layout *base,
                                const float *weights);

/* How many elements are trained, frozen, and of these quantised, and the bytes that they take. */
typedef struct {
    size_t trained, trained_bytes;
    size_t frozen, frozen_bytes; /* without gaps */
    size_t quantised, quantised_bytes;
    dt_element element; /* of what is quantised */
} dt_weight_count;
dt_weight_count dt_layout_weights(const dt_layout *layout);

/* The values of a frozen parameter, (p->count). */
void dt_layout_values(float *values, const void *frozen, const dt_parameter *p);

const dt_parameter *dt_layout_find(const dt_layout *layout, const char *name);

/* The adapter a, b of a matrix; false: it has none. */
bool dt_layout_find_adapter(const dt_parameter **a, const dt_parameter **b, const dt_layout *layout,
                            const dt_parameter *matrix);

/**
 * Initial weights of the trained parameters: N(0, 0.02), matrices into the residual stream divided
 * by sqrt(2L), scales 1, biases 0 (GPT-2). Adapters: a uniform between -1/sqrt(in) and 1/sqrt(in)
 * (Kaiming, a = sqrt 5), b 0.
 *
 * @param worker, workers  fills only this worker's share of the parameters; 0, 1: all
 */
void dt_model_initialise(float *weights, const dt_layout *layout, uint64_t seed, size_t worker,
                         size_t workers);

typedef struct dt_model dt_model;

/**
 * A model with room for the activations of one micro-batch.
 *
 * @param weights  attached buffer of layout.count elements, kept by reference; must outlive
 *   the model
 * @param problems, tokens  the most a batch holds
 */
dt_status dt_model_create(dt_model **model, dt_backend *backend, const dt_model_shape *shape,
                          dt_buffer *weights, size_t problems, size_t tokens);
void dt_model_destroy(dt_model **model);

/* Bytes that such a model takes, without its weights; 0: there is no memory even to count. */
size_t dt_model_bytes(const dt_model_shape *shape, size_t problems, size_t tokens);

/* Multiply attention's scores in evaluation and generation from now on; see the shape. */
void dt_model_sharpen(dt_model *model, double sharpness);

/* Use other weights from now on; see dt_model_create. */
void dt_model_use_weights(dt_model *model, dt_buffer *weights);

/**
 * Freeze some parameters: the backward pass computes no gradient for them, and ends as soon as all
 * remaining parameters are frozen.
 *
 * @param layout  of the same shape, arranged; its offsets apply to weights and gradients. Copied.
 * @param frozen  attached buffer of layout.frozen_bytes; must outlive the model
 */
void dt_model_freeze(dt_model *model, const dt_layout *layout, dt_buffer *frozen);

const dt_layout *dt_model_layout(const dt_model *model);

/* Forward pass and loss, without gradients or dropout; adds to *score. matched (B) on the host, or
 * NULL. */
dt_status dt_model_evaluate(dt_model *model, dt_score *score, int32_t *matched,
                            const dt_batch *batch);

/* Logits (N,V) to the host. */
dt_status dt_model_logits(dt_model *model, float *logits, const dt_batch *batch);

/* Where dropout's random numbers come from. */
typedef struct {
    uint64_t seed;
    uint32_t step;
    uint64_t first_problem; /* number of the batch's first problem in the global batch */
} dt_step_key;

/**
 * Forward and backward pass: the gradient of the loss summed over scored tokens (not averaged) is
 * added to `gradient`, a buffer of layout.count elements; adds to *score.
 */
dt_status dt_model_backward(dt_model *model, dt_score *score, dt_buffer *gradient,
                            const dt_batch *batch, const dt_step_key *key);

/* Called by a backward pass after each of its operations: the gradient is complete from element
 * `from` on, which is 0 at the end. An error ends the pass. */
typedef dt_status dt_model_watcher(void *context, size_t from);

/* Set what the next backward passes call; NULL: nothing. */
void dt_model_watch(dt_model *model, dt_model_watcher *watcher, void *context);

/* ---- generation ---- */

typedef struct dt_generator dt_generator;

/* Room for B sequences of T tokens. */
dt_status dt_generator_create(dt_generator **generator, dt_model *model, size_t problems);
void dt_generator_destroy(dt_generator **generator);

/**
 * Continue each prompt greedily until the end token or the context is full.
 *
 * @param[in,out] produced  (count) replaced by the generated texts, without the end token
 */
dt_status dt_generator_run(dt_generator *generator, dt_text *produced, const char *const *prompt,
                           size_t count, const dt_tokenizer *tokenizer);

/* Most tokens of a text that is generated greedily. */
size_t dt_generator_context(const dt_generator *generator);

/* One text, token by token. Begin with no token at all. tokenizer: kept by reference. */
void dt_generator_begin(dt_generator *generator, const dt_tokenizer *tokenizer);

/* Go on with these tokens. Whenever the context is full, its last half stays, and what stands
 * before is forgotten: a text may be of any length. */
void dt_generator_append(dt_generator *generator, const int32_t *id, size_t count);

/**
 * Logits of the token that comes next. What was appended since the last call is computed in one
 * pass, so that the bits depend on where these calls are made, and on nothing else.
 *
 * @param[out] logits  (V), the generator's until its next call
 * @return DT_ERR_INTERNAL if nothing was appended
 */
dt_status dt_generator_next(dt_generator *generator, const float **logits);

#endif
