/* The forward and the backward pass in terms of backend operations. */
#include "internal.h"

dt_status model_dropout(dt_model *model, dt_tensor y, dt_tensor x, dt_tensor residual,
                        uint32_t site, const dt_step_key *key) {
    const dt_dropout dropout = {
        .probability = (float)model->shape.dropout,
        .seed = key->seed,
        .step = key->step,
        .site = site,
        .first_problem = key->first_problem,
        .T = model->shape.T,
    };
    RUN(model, dropout, y, x, residual, &model->packed, model->shape.C, &dropout);
    return DT_OK;
}

/* out = stream + dropout(x weight^T + bias): the end of both branches of a layer. */
static dt_status close_branch(dt_model *model, dt_tensor out, dt_tensor stream, dt_tensor x,
                              size_t weight, size_t bias, size_t in, uint32_t site,
                              const dt_step_key *key) {
    const size_t N = model->packed.tokens, C = model->shape.C;
    const dt_tensor w = model_weight(model, weight), b = model_weight(model, bias);
    if (!key) {
        RUN(model, linear_forward, out, DT_NO_TENSOR, x, w, b, stream, N, in, C, DT_IDENTITY);
        return DT_OK;
    }
    RUN(model, linear_forward, model->branch, DT_NO_TENSOR, x, w, b, DT_NO_TENSOR, N, in, C,
        DT_IDENTITY);
    return model_dropout(model, out, model->branch, stream, site, key);
}

/* Layer l, with the activations of a, its own or the first's; its output goes to `next`, which may
 * be a's input. */
static dt_status layer_forward(dt_model *model, size_t l, const layer_activations *a,
                               dt_tensor next, const dt_step_key *key) {
    const layer_offsets *o = &model->offsets.layer[l];
    const size_t N = model->packed.tokens, C = model->shape.C, F = model->shape.F;
    RUN(model, norm_forward, a->attn_normed, a->attn_mean, a->attn_rstd, a->input,
        model_weight(model, o->attn_norm_scale), model_weight(model, o->attn_norm_bias), N, C);
    RUN(model, linear_forward, a->qkv, DT_NO_TENSOR, a->attn_normed,
        model_weight(model, o->attn_qkv_weight), model_weight(model, o->attn_qkv_bias),
        DT_NO_TENSOR, N, C, 3 * C, DT_IDENTITY);
    RUN(model, attention_forward, a->attended, a->lse, a->qkv, &model->packed, C, model->shape.H);
    DT_TRY(close_branch(model, a->middle, a->input, a->attended, o->attn_out_weight,
                        o->attn_out_bias, C, dropout_site(l, false), key));
    RUN(model, norm_forward, a->mlp_normed, a->mlp_mean, a->mlp_rstd, a->middle,
        model_weight(model, o->mlp_norm_scale), model_weight(model, o->mlp_norm_bias), N, C);
    RUN(model, linear_forward, a->hidden, a->hidden_slope, a->mlp_normed,
        model_weight(model, o->mlp_in_weight), model_weight(model, o->mlp_in_bias), DT_NO_TENSOR, N,
        C, F, DT_GELU);
    return close_branch(model, next, a->middle, a->hidden, o->mlp_out_weight, o->mlp_out_bias, F,
                        dropout_site(l, true), key);
}

dt_status model_forward(dt_model *model, const dt_step_key *key, bool keep) {
    const model_offsets *o = &model->offsets;
    const dt_tensor first = model->shape.L ? model->layer[0].input : model->output;
    const size_t N = model->packed.tokens, C = model->shape.C, L = model->shape.L;
    const dt_packed embedded = model_embedded(model);
    RUN(model, embed_forward, first, &embedded, model_weight(model, o->tok_embed),
        model_weight(model, o->pos_embed), model_weight(model, o->place_embed), C);
    if (key) DT_TRY(model_dropout(model, first, first, DT_NO_TENSOR, 0, key));
    for (size_t l = 0; l < L; l++) {
        const dt_tensor next = l + 1 < L ? model->layer[keep ? l + 1 : 0].input : model->output;
        layer_activations own = model->layer[keep ? l : 0];
        /* only the backward pass wants it */
        if (!keep) own.hidden_slope = DT_NO_TENSOR;
        DT_TRY(layer_forward(model, l, &own, next, key));
    }
    RUN(model, norm_forward, model->normed, model->mean, model->rstd, model->output,
        model_weight(model, o->final_norm_scale), model_weight(model, o->final_norm_bias), N, C);
    RUN(model, linear_forward, model->logits, DT_NO_TENSOR, model->normed,
        model_weight(model, o->tok_embed), DT_NO_TENSOR, DT_NO_TENSOR, N, C, model->shape.V,
        DT_IDENTITY);
    return DT_OK;
}

/* The gradient of a branch's end: through dropout, if there is any. */
static dt_status open_branch(dt_model *model, dt_tensor *d_end, uint32_t site,
                             const dt_step_key *key) {
    *d_end = model->d_stream;
    if (!key) return DT_OK;
    *d_end = model->branch;
    return model_dropout(model, model->branch, model->d_stream, DT_NO_TENSOR, site, key);
}

/* All parameters from `from` on have their gradients: the layout is in the order of the forward
 * pass. */
static dt_status tell(const dt_model *model, size_t from) {
    return model->watcher ? model->watcher(model->watcher_context, from) : DT_OK;
}

/* d_stream holds the gradient of the layer's output, and afterwards that of its input. */
static dt_status layer_backward(dt_model *model, dt_buffer *gradient, size_t l,
                                const dt_step_key *key) {
    const layer_activations *a = &model->layer[l];
    const layer_offsets *o = &model->offsets.layer[l];
    const size_t N = model->packed.tokens, C = model->shape.C, F = model->shape.F;
    dt_tensor d_end;
    DT_TRY(open_branch(model, &d_end, dropout_site(l, true), key));
    RUN(model, linear_backward, model->d_wide, (dt_tensor){gradient, o->mlp_out_weight},
        (dt_tensor){gradient, o->mlp_out_bias}, d_end, DT_NO_TENSOR, a->hidden,
        model_weight(model, o->mlp_out_weight), N, F, C, DT_IDENTITY);
    DT_TRY(tell(model, o->mlp_out_weight));
    RUN(model, linear_backward, model->d_branch, (dt_tensor){gradient, o->mlp_in_weight},
        (dt_tensor){gradient, o->mlp_in_bias}, model->d_wide, a->hidden_slope, a->mlp_normed,
        model_weight(model, o->mlp_in_weight), N, C, F, DT_GELU);
    DT_TRY(tell(model, o->mlp_in_weight));
    RUN(model, norm_backward, model->d_stream, (dt_tensor){gradient, o->mlp_norm_scale},
        (dt_tensor){gradient, o->mlp_norm_bias}, model->d_branch, a->middle, a->mlp_mean,
        a->mlp_rstd, model_weight(model, o->mlp_norm_scale), N, C);
    DT_TRY(tell(model, o->mlp_norm_scale));

    DT_TRY(open_branch(model, &d_end, dropout_site(l, false), key));
    RUN(model, linear_backward, model->d_branch, (dt_tensor){gradient, o->attn_out_weight},
        (dt_tensor){gradient, o->attn_out_bias}, d_end, DT_NO_TENSOR, a->attended,
        model_weight(model, o->attn_out_weight), N, C, C, DT_IDENTITY);
    DT_TRY(tell(model, o->attn_out_weight));
    RUN(model, attention_backward, model->d_wide, model->d_branch, a->attended, a->lse, a->qkv,
        &model->packed, C, model->shape.H);
    DT_TRY(tell(model, o->attn_out_weight));
    RUN(model, linear_backward, model->d_branch, (dt_tensor){gradient, o->attn_qkv_weight},
        (dt_tensor){gradient, o->attn_qkv_bias}, model->d_wide, DT_NO_TENSOR, a->attn_normed,
        model_weight(model, o->attn_qkv_weight), N, C, 3 * C, DT_IDENTITY);
    DT_TRY(tell(model, o->attn_qkv_weight));
    RUN(model, norm_backward, model->d_stream, (dt_tensor){gradient, o->attn_norm_scale},
        (dt_tensor){gradient, o->attn_norm_bias}, model->d_branch, a->input, a->attn_mean,
        a->attn_rstd, model_weight(model, o->attn_norm_scale), N, C);
    return tell(model, o->attn_norm_scale);
}

dt_status dt_model_backward(dt_model *model, dt_score *score, dt_buffer *gradient,
                            const dt_batch *batch, const dt_step_key *key) {
    const model_offsets *o = &model->offsets;
    const size_t N = batch->tokens, C = model->shape.C, V = model->shape.V;
    const dt_step_key *drop = model->shape.dropout > 0 ? key : NULL;
    DT_TRY(model_upload(model, batch));
    DT_TRY(model_forward(model, drop, true));
    RUN(model, loss, score, DT_NO_TENSOR, model->logits, &model->packed, V, true);
    RUN(model, linear_backward, model->d_branch, (dt_tensor){gradient, o->tok_embed}, DT_NO_TENSOR,
        model->logits, DT_NO_TENSOR, model->normed, model_weight(model, o->tok_embed), N, C, V,
        DT_IDENTITY);
    RUN(model, fill_zero, model->d_stream, N * C);
    RUN(model, norm_backward, model->d_stream, (dt_tensor){gradient, o->final_norm_scale},
        (dt_tensor){gradient, o->final_norm_bias}, model->d_branch, model->output, model->mean,
        model->rstd, model_weight(model, o->final_norm_scale), N, C);
    DT_TRY(tell(model, o->final_norm_scale));
    for (size_t l = model->shape.L; l-- > 0;) DT_TRY(layer_backward(model, gradient, l, drop));
    if (drop) DT_TRY(model_dropout(model, model->d_stream, model->d_stream, DT_NO_TENSOR, 0, drop));
    const dt_packed embedded = model_embedded(model);
    RUN(model, embed_backward, (dt_tensor){gradient, o->tok_embed},
        (dt_tensor){gradient, o->pos_embed}, (dt_tensor){gradient, o->place_embed}, &embedded,
        model->d_stream, C);
    return tell(model, 0);
}
