/* The whole Transformer, built of the reference's operations: forward, loss, backward. */
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parameters ---- */

static void layout_append(dt_layout *layout, const char *name, size_t rows, size_t columns) {
    dt_parameter *p = &layout->parameter[layout->parameters++];
    snprintf(p->name, sizeof p->name, "%s", name);
    p->offset = layout->count;
    p->rank = columns ? 2 : 1;
    p->extent[0] = rows;
    p->extent[1] = columns;
    p->count = columns ? rows * columns : rows;
    layout->count += p->count;
    layout->weights += p->count;
}

static void layout_append_layer(dt_layout *layout, size_t layer, const char *what, size_t rows,
                                size_t columns) {
    char name[sizeof layout->parameter->name];
    snprintf(name, sizeof name, "layers/%zu/%s", layer, what);
    layout_append(layout, name, rows, columns);
}

void reference_layout_create(dt_layout *layout, const dt_model_shape *shape) {
    const size_t C = shape->C, F = shape->F;
    *layout = (dt_layout){.parameter = reference_alloc(5 + 12 * shape->L, sizeof(dt_parameter))};
    layout_append(layout, "tok_embed", shape->V, C);
    layout_append(layout, "pos_embed", shape->no_positions ? 1 : shape->T, C);
    layout_append(layout, "place_embed", shape->P, C);
    for (size_t l = 0; l < shape->L; l++) {
        layout_append_layer(layout, l, "attn_norm/scale", C, 0);
        layout_append_layer(layout, l, "attn_norm/bias", C, 0);
        layout_append_layer(layout, l, "attn_qkv/weight", 3 * C, C);
        layout_append_layer(layout, l, "attn_qkv/bias", 3 * C, 0);
        layout_append_layer(layout, l, "attn_out/weight", C, C);
        layout_append_layer(layout, l, "attn_out/bias", C, 0);
        layout_append_layer(layout, l, "mlp_norm/scale", C, 0);
        layout_append_layer(layout, l, "mlp_norm/bias", C, 0);
        layout_append_layer(layout, l, "mlp_in/weight", F, C);
        layout_append_layer(layout, l, "mlp_in/bias", F, 0);
        layout_append_layer(layout, l, "mlp_out/weight", C, F);
        layout_append_layer(layout, l, "mlp_out/bias", C, 0);
    }
    layout_append(layout, "final_norm/scale", C, 0);
    layout_append(layout, "final_norm/bias", C, 0);
}

static size_t offset_of(const dt_layout *layout, const char *name) {
    for (size_t i = 0; i < layout->parameters; i++) {
        if (strcmp(layout->parameter[i].name, name) == 0) return layout->parameter[i].offset;
    }
    fprintf(stderr, "the layout has no tensor %s\n", name);
    abort();
}

static size_t layer_offset_of(const dt_layout *layout, size_t layer, const char *what) {
    char name[sizeof layout->parameter->name];
    snprintf(name, sizeof name, "layers/%zu/%s", layer, what);
    return offset_of(layout, name);
}

/* Where one layer's tensors start, in the weights and in the gradient. */
typedef struct {
    size_t attn_scale, attn_bias, qkv_weight, qkv_bias, out_weight, out_bias;
    size_t mlp_scale, mlp_bias, up_weight, up_bias, down_weight, down_bias;
} layer_offsets;

static layer_offsets layer_find(const dt_layout *layout, size_t layer) {
    return (layer_offsets){
        .attn_scale = layer_offset_of(layout, layer, "attn_norm/scale"),
        .attn_bias = layer_offset_of(layout, layer, "attn_norm/bias"),
        .qkv_weight = layer_offset_of(layout, layer, "attn_qkv/weight"),
        .qkv_bias = layer_offset_of(layout, layer, "attn_qkv/bias"),
        .out_weight = layer_offset_of(layout, layer, "attn_out/weight"),
        .out_bias = layer_offset_of(layout, layer, "attn_out/bias"),
        .mlp_scale = layer_offset_of(layout, layer, "mlp_norm/scale"),
        .mlp_bias = layer_offset_of(layout, layer, "mlp_norm/bias"),
        .up_weight = layer_offset_of(layout, layer, "mlp_in/weight"),
        .up_bias = layer_offset_of(layout, layer, "mlp_in/bias"),
        .down_weight = layer_offset_of(layout, layer, "mlp_out/weight"),
        .down_bias = layer_offset_of(layout, layer, "mlp_out/bias"),
    };
}

/* ---- one layer ---- */

/* What the backward pass needs of one layer's forward pass. */
typedef struct {
    double *x;           /* (N,C) input */
    double *attn_normed; /* (N,C) */
    double *qkv;         /* (N,3C) */
    double *attended;    /* (N,C) */
    double *middle;      /* (N,C) x plus the attention's output */
    double *mlp_normed;  /* (N,C) */
    double *z;           /* (N,F) before GELU */
    double *hidden;      /* (N,F) after it */
} layer_state;

static void layer_state_create(layer_state *s, size_t N, size_t C, size_t F) {
    s->x = reference_doubles(N * C);
    s->attn_normed = reference_doubles(N * C);
    s->qkv = reference_doubles(N * 3 * C);
    s->attended = reference_doubles(N * C);
    s->middle = reference_doubles(N * C);
    s->mlp_normed = reference_doubles(N * C);
    s->z = reference_doubles(N * F);
    s->hidden = reference_doubles(N * F);
}

static void layer_state_destroy(layer_state *s) {
    free(s->x);
    free(s->attn_normed);
    free(s->qkv);
    free(s->attended);
    free(s->middle);
    free(s->mlp_normed);
    free(s->z);
    free(s->hidden);
}

static void apply_mask(double *x, const double *mask, size_t count) {
    for (size_t i = 0; mask && i < count; i++) x[i] *= mask[i];
}

static void add(double *x, const double *y, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] += y[i];
}

/* Inputs that all layers share. */
typedef struct {
    const double *weights;
    const dt_model_shape *shape;
    const dt_batch *batch;
    const double *places; /* (P,C), added; or rather turns, if the model is rotary */
} run_input;

static void layer_forward(double *x_out, layer_state *s, const run_input *in,
                          const layer_offsets *at, const double *attn_mask,
                          const double *mlp_mask) {
    const size_t N = in->batch->tokens, C = in->shape->C, F = in->shape->F;
    const double *w = in->weights;

    reference_norm_forward(s->attn_normed, NULL, NULL, s->x, w + at->attn_scale, w + at->attn_bias,
                           N, C);
    reference_linear_forward(s->qkv, NULL, s->attn_normed, w + at->qkv_weight, w + at->qkv_bias, N,
                             C, 3 * C, DT_IDENTITY);
    if (in->shape->rotary) reference_turn(s->qkv, in->batch, in->places, C, false);
    reference_attention_forward(s->attended, NULL, s->qkv, in->batch, C, in->shape->H,
                                in->shape->window);
    reference_linear_forward(s->middle, NULL, s->attended, w + at->out_weight, w + at->out_bias, N,
                             C, C, DT_IDENTITY);
    apply_mask(s->middle, attn_mask, N * C);
    add(s->middle, s->x, N * C);

    reference_norm_forward(s->mlp_normed, NULL, NULL, s->middle, w + at->mlp_scale,
                           w + at->mlp_bias, N, C);
    reference_linear_forward(s->hidden, s->z, s->mlp_normed, w + at->up_weight, w + at->up_bias, N,
                             C, F, DT_GELU);
    reference_linear_forward(x_out, NULL, s->hidden, w + at->down_weight, w + at->down_bias, N, F,
                             C, DT_IDENTITY);
    apply_mask(x_out, mlp_mask, N * C);
    add(x_out, s->middle, N * C);
}

/* d_x holds the gradient of the layer's output, and afterwards of its input. */
static void layer_backward(double *d_x, double *gradient, const layer_state *s, const run_input *in,
                           const layer_offsets *at, const double *attn_mask,
                           const double *mlp_mask) {
    const size_t N = in->batch->tokens, C = in->shape->C, F = in->shape->F;
    const double *w = in->weights;
    double *g = gradient;
    double *d_branch = reference_doubles(N * C), *d_normed = reference_doubles(N * C);
    double *d_z = reference_doubles(N * (F + 3 * C)),
           *d_hidden = reference_doubles(N * (F + 3 * C));

    memcpy(d_branch, d_x, N * C * sizeof *d_x);
    apply_mask(d_branch, mlp_mask, N * C);
    reference_linear_backward(d_hidden, g + at->down_weight, g + at->down_bias, d_z, d_branch, NULL,
                              s->hidden, w + at->down_weight, N, F, C, DT_IDENTITY);
    reference_linear_backward(d_normed, g + at->up_weight, g + at->up_bias, d_z, d_hidden, s->z,
                              s->mlp_normed, w + at->up_weight, N, C, F, DT_GELU);
    reference_norm_backward(d_x, g + at->mlp_scale, g + at->mlp_bias, d_normed, s->middle,
                            w + at->mlp_scale, N, C);

    memcpy(d_branch, d_x, N * C * sizeof *d_x);
    apply_mask(d_branch, attn_mask, N * C);
    reference_linear_backward(d_normed, g + at->out_weight, g + at->out_bias, d_z, d_branch, NULL,
                              s->attended, w + at->out_weight, N, C, C, DT_IDENTITY);
    reference_attention_backward(d_hidden, d_normed, s->qkv, in->batch, C, in->shape->H,
                                 in->shape->window);
    if (in->shape->rotary) reference_turn(d_hidden, in->batch, in->places, C, true);
    reference_linear_backward(d_normed, g + at->qkv_weight, g + at->qkv_bias, d_z, d_hidden, NULL,
                              s->attn_normed, w + at->qkv_weight, N, C, 3 * C, DT_IDENTITY);
    reference_norm_backward(d_x, g + at->attn_scale, g + at->attn_bias, d_normed, s->x,
                            w + at->attn_scale, N, C);

    free(d_branch);
    free(d_normed);
    free(d_z);
    free(d_hidden);
}

/* ---- all layers ---- */

static const double *layer_mask(const double *const *mask, size_t layer, size_t which) {
    return mask ? mask[1 + 2 * layer + which] : NULL;
}

/* From the gradient of the logits to the gradient of every parameter. */
static void model_backward(double *gradient, const double *d_logits, const layer_state *state,
                           const double *normed, const double *last, const run_input *in,
                           const dt_layout *layout, const double *const *mask) {
    const dt_model_shape *s = in->shape;
    const size_t N = in->batch->tokens, C = s->C, V = s->V;
    const size_t tok_embed = offset_of(layout, "tok_embed"),
                 scale = offset_of(layout, "final_norm/scale");
    double *d_normed = reference_doubles(N * C), *d_x = reference_doubles(N * C),
           *d_z = reference_doubles(N * V);

    reference_linear_backward(d_normed, gradient + tok_embed, NULL, d_z, d_logits, NULL, normed,
                              in->weights + tok_embed, N, C, V, DT_IDENTITY);
    reference_norm_backward(d_x, gradient + scale, gradient + offset_of(layout, "final_norm/bias"),
                            d_normed, last, in->weights + scale, N, C);
    for (size_t l = s->L; l-- > 0;) {
        const layer_offsets at = layer_find(layout, l);
        layer_backward(d_x, gradient, &state[l], in, &at, layer_mask(mask, l, 0),
                       layer_mask(mask, l, 1));
    }
    apply_mask(d_x, mask ? mask[0] : NULL, N * C);
    double *none = reference_doubles(s->P * C);
    reference_embed_backward(
        gradient + tok_embed, gradient + offset_of(layout, "pos_embed"),
        s->places_constant ? none : gradient + offset_of(layout, "place_embed"), in->batch, d_x, C);
    free(none);
    free(d_normed);
    free(d_x);
    free(d_z);
}

void reference_model_run(dt_score *score, double *logits, double *gradient, const double *weights,
                         const dt_layout *layout, const dt_model_shape *shape,
                         const dt_batch *batch, const double *const *mask) {
    const size_t N = batch->tokens, L = shape->L, C = shape->C, V = shape->V;
    dt_batch seen = *batch; /* without positions, every token has the first one */
    int32_t *first = reference_alloc(N, sizeof *first);
    int32_t *index = reference_alloc(N, sizeof *index);
    if (shape->no_positions) seen.position = first;
    if (shape->index_positions) {
        for (size_t b = 0; b < batch->problems; b++) {
            const int32_t begin = batch->offset[b];
            for (int32_t i = begin; i < batch->offset[b + 1]; i++) index[i] = i - begin;
        }
        seen.position = index;
        seen.place = first;
    }
    const run_input in = {weights, shape, &seen, weights + offset_of(layout, "place_embed")};
    double *zeros = reference_doubles(shape->P * C);
    const double *tok_embed = weights + offset_of(layout, "tok_embed");
    /* One more than there are layers: it holds the output of the last layer. */
    layer_state *state = reference_alloc(L + 1, sizeof *state);
    double *normed = reference_doubles(N * C), *own_logits = reference_doubles(N * V);
    double *d_logits = reference_doubles(N * V);

    for (size_t l = 0; l <= L; l++) layer_state_create(&state[l], N, C, shape->F);
    reference_embed_forward(state[0].x, &seen, tok_embed, weights + offset_of(layout, "pos_embed"),
                            shape->rotary ? zeros : in.places, C);
    free(zeros);
    apply_mask(state[0].x, mask ? mask[0] : NULL, N * C);
    for (size_t l = 0; l < L; l++) {
        const layer_offsets at = layer_find(layout, l);
        layer_forward(state[l + 1].x, &state[l], &in, &at, layer_mask(mask, l, 0),
                      layer_mask(mask, l, 1));
    }
    reference_norm_forward(normed, NULL, NULL, state[L].x,
                           weights + offset_of(layout, "final_norm/scale"),
                           weights + offset_of(layout, "final_norm/bias"), N, C);
    reference_linear_forward(own_logits, NULL, normed, tok_embed, NULL, N, C, V, DT_IDENTITY);
    reference_loss(score, NULL, d_logits, own_logits, batch, V);

    if (logits) memcpy(logits, own_logits, N * V * sizeof *logits);
    if (gradient) model_backward(gradient, d_logits, state, normed, state[L].x, &in, layout, mask);
    for (size_t l = 0; l <= L; l++) layer_state_destroy(&state[l]);
    free(state);
    free(first);
    free(index);
    free(normed);
    free(own_logits);
    free(d_logits);
}
