/* The forward and backward pass in terms of backend operations. */
#include "internal.h"

dt_status model_drop_out(dt_model *model, dt_tensor y, dt_tensor x, dt_tensor residual, size_t C,
                         double probability, uint32_t site, const dt_step_key *key) {
    const dt_dropout dropout = {
        .probability = (float)probability,
        .seed = key->seed,
        .step = key->step,
        .site = site,
        .first_problem = key->first_problem,
        .T = model->shape.T,
    };
    RUN(model, dropout, y, x, residual, &model->packed, C, &dropout);
    return DT_OK;
}

/* Dropout of the stream or of what is added to it. */
static dt_status drop_out(dt_model *model, dt_tensor y, dt_tensor x, dt_tensor residual,
                          uint32_t site, const dt_step_key *key) {
    return model_drop_out(model, y, x, residual, model->shape.C, model->shape.dropout, site, key);
}
static bool drops(const dt_model *model, const dt_step_key *key) {
    return key && model->shape.dropout > 0;
}

static linear_layer linear_of(const dt_model *model, const layer_activations *a, size_t N, size_t l,
                              size_t weight, const dt_step_key *key) {
    const dt_parameter *w = model_parameter(model, l, weight);
    return (linear_layer){.l = l,
                          .weight = weight,
                          .N = N,
                          .in = w->extent[1],
                          .out = w->extent[0],
                          .activation = weight == MLP_IN_WEIGHT ? DT_GELU : DT_IDENTITY,
                          .a = a,
                          .key = key};
}

/* out = stream + dropout(x weight^T + bias): the end of both branches of a layer. */
static dt_status close_branch(dt_model *model, const forward_pass *pass, const layer_activations *a,
                              dt_tensor out, dt_tensor stream, dt_tensor x, size_t l,
                              size_t weight) {
    const linear_layer end = linear_of(model, a, pass->batch->tokens, l, weight, pass->key);
    if (!drops(model, pass->key))
        return model_linear_forward(model, &end, out, DT_NO_TENSOR, x, stream);
    DT_TRY(model_linear_forward(model, &end, model->branch, DT_NO_TENSOR, x, DT_NO_TENSOR));
    return drop_out(model, out, model->branch, stream, dropout_site(l, weight == MLP_OUT_WEIGHT),
                    pass->key);
}

/* Layer l with activations a; its output goes to `next`, which may be a's input. */
static dt_status layer_forward(dt_model *model, const forward_pass *pass, size_t l,
                               const layer_activations *a, dt_tensor next) {
    const size_t N = pass->batch->tokens, C = model->shape.C;
    const linear_layer qkv = linear_of(model, a, N, l, ATTN_QKV_WEIGHT, pass->key),
                       in = linear_of(model, a, N, l, MLP_IN_WEIGHT, pass->key);
    RUN(model, norm_forward, a->attn_normed, a->attn_mean, a->attn_rstd, a->input,
        model_weight(model, l, ATTN_NORM_SCALE), model_weight(model, l, ATTN_NORM_BIAS), N, C);
    DT_TRY(model_linear_forward(model, &qkv, a->qkv, DT_NO_TENSOR, a->attn_normed, DT_NO_TENSOR));
    if (model->shape.rotary)
        RUN(model, turn, a->qkv, pass->batch, embedding_weight(model, PLACE_EMBED), C, false);
    DT_TRY(pass->attend(pass->context, l, a));
    DT_TRY(close_branch(model, pass, a, a->middle, a->input, a->attended, l, ATTN_OUT_WEIGHT));
    RUN(model, norm_forward, a->mlp_normed, a->mlp_mean, a->mlp_rstd, a->middle,
        model_weight(model, l, MLP_NORM_SCALE), model_weight(model, l, MLP_NORM_BIAS), N, C);
    DT_TRY(
        model_linear_forward(model, &in, a->hidden, a->hidden_slope, a->mlp_normed, DT_NO_TENSOR));
    return close_branch(model, pass, a, next, a->middle, a->hidden, l, MLP_OUT_WEIGHT);
}

dt_status model_pass(dt_model *model, const forward_pass *pass) {
    const final_activations *f = &pass->final;
    const size_t N = pass->batch->tokens, C = model->shape.C, L = model->shape.L;
    const dt_tensor first = L ? pass->layer[0].input : f->input;
    RUN(model, embed_forward, first, pass->batch, embedding_weight(model, TOK_EMBED),
        embedding_weight(model, POS_EMBED),
        model->shape.rotary ? DT_NO_TENSOR : embedding_weight(model, PLACE_EMBED), C);
    if (drops(model, pass->key)) DT_TRY(drop_out(model, first, first, DT_NO_TENSOR, 0, pass->key));
    for (size_t l = 0; l < L; l++) {
        const dt_tensor next = l + 1 < L ? pass->layer[pass->keep ? l + 1 : 0].input : f->input;
        layer_activations own = pass->layer[pass->keep ? l : 0];
        if (!pass->keep) own.hidden_slope = DT_NO_TENSOR; /* only the backward pass wants it */
        DT_TRY(layer_forward(model, pass, l, &own, next));
    }
    if (!f->logits.buffer) return DT_OK;
    RUN(model, norm_forward, f->normed, f->mean, f->rstd, f->input,
        model_weight(model, L, FINAL_NORM_SCALE), model_weight(model, L, FINAL_NORM_BIAS), N, C);
    RUN(model, linear_forward, f->logits, DT_NO_TENSOR, f->normed,
        embedding_weight(model, TOK_EMBED), DT_NO_TENSOR, DT_NO_TENSOR, N, C, model->shape.V,
        DT_IDENTITY);
    return DT_OK;
}

/* Attends inside each document. */
static dt_status attend(void *context, size_t l, const layer_activations *a) {
    dt_model *model = context;
    (void)l;
    RUN(model, attention_forward, a->attended, a->lse, a->qkv, &model->documents, model->shape.C,
        &model->heads);
    return DT_OK;
}

/* The forward pass over the model's packed batch; `keep` as in forward_pass. */
static dt_status forward(dt_model *model, const dt_step_key *key, bool keep) {
    const dt_packed embedded = model_embedded(model);
    model->heads = model_heads(model, !keep);
    const forward_pass pass = {.batch = &embedded,
                               .layer = model->layer,
                               .keep = keep,
                               .final = model->final,
                               .key = key,
                               .attend = attend,
                               .context = model};
    return model_pass(model, &pass);
}

dt_status dt_model_evaluate(dt_model *model, dt_score *score, int32_t *matched,
                            const dt_batch *batch) {
    DT_TRY(model_upload(model, batch));
    DT_TRY(forward(model, NULL, false));
    RUN(model, loss, score, matched ? model->matched : DT_NO_TENSOR, model->final.logits,
        &model->packed, model->shape.V, false);
    if (matched) RUN(model, download, matched, model->matched, batch->problems);
    return DT_OK;
}

dt_status dt_model_logits(dt_model *model, float *logits, const dt_batch *batch) {
    DT_TRY(model_upload(model, batch));
    DT_TRY(forward(model, NULL, false));
    RUN(model, download, logits, model->final.logits, batch->tokens * model->shape.V);
    return DT_OK;
}

/* The gradient of a branch's result, through dropout if there is any. */
static dt_status open_branch(dt_model *model, dt_tensor *d_end, uint32_t site,
                             const dt_step_key *key) {
    *d_end = model->d_stream;
    if (!drops(model, key)) return DT_OK;
    *d_end = model->branch;
    return drop_out(model, model->branch, model->d_stream, DT_NO_TENSOR, site, key);
}

/* Reports that the gradient is complete from p on: the layout has the order of the forward pass. */
static dt_status tell(const dt_model *model, const dt_parameter *p) {
    return model->watcher ? model->watcher(model->watcher_context, p->offset) : DT_OK;
}

/* A linear layer of layer l, and its adapter. */
static dt_status linear_backward(dt_model *model, dt_buffer *gradient, dt_tensor d_x, dt_tensor d_y,
                                 dt_tensor slope, dt_tensor x, size_t l, size_t weight,
                                 const dt_step_key *key) {
    const linear_layer layer =
        linear_of(model, &model->layer[l], model->packed.tokens, l, weight, key);
    DT_TRY(model_linear_backward(model, &layer, gradient, d_x, d_y, slope, x));
    return tell(model, model_parameter(model, l, weight));
}

/* A norm of layer l; its bias follows its scale. Reads d_branch and adds to d_stream. */
static dt_status norm_backward(dt_model *model, dt_buffer *gradient, dt_tensor x, dt_tensor mean,
                               dt_tensor rstd, size_t l, size_t scale) {
    const dt_parameter *s = model_parameter(model, l, scale), *b = s + 1;
    RUN(model, norm_backward, model->d_stream, gradient_of(gradient, s), gradient_of(gradient, b),
        model->d_branch, x, mean, rstd, parameter_weight(model, s), model->packed.tokens,
        model->shape.C);
    return tell(model, s);
}

/* The backward pass of a layer's MLP. */
static dt_status mlp_backward(dt_model *model, dt_buffer *gradient, size_t l,
                              const dt_step_key *key) {
    const layer_activations *a = &model->layer[l];
    dt_tensor d_end;
    DT_TRY(open_branch(model, &d_end, dropout_site(l, true), key));
    DT_TRY(linear_backward(model, gradient, model->d_wide, d_end, DT_NO_TENSOR, a->hidden, l,
                           MLP_OUT_WEIGHT, key));
    if (is_lowest(model_parameter(model, l, MLP_OUT_WEIGHT))) return DT_OK;
    DT_TRY(linear_backward(model, gradient, model->d_branch, model->d_wide, a->hidden_slope,
                           a->mlp_normed, l, MLP_IN_WEIGHT, key));
    if (is_lowest(model_parameter(model, l, MLP_IN_WEIGHT))) return DT_OK;
    return norm_backward(model, gradient, a->middle, a->mlp_mean, a->mlp_rstd, l, MLP_NORM_SCALE);
}

/* The backward pass of a layer's attention. */
static dt_status attn_backward(dt_model *model, dt_buffer *gradient, size_t l,
                               const dt_step_key *key) {
    const layer_activations *a = &model->layer[l];
    const dt_packed embedded = model_embedded(model);
    const size_t C = model->shape.C;
    dt_tensor d_end;
    DT_TRY(open_branch(model, &d_end, dropout_site(l, false), key));
    DT_TRY(linear_backward(model, gradient, model->d_attended, d_end, DT_NO_TENSOR, a->attended, l,
                           ATTN_OUT_WEIGHT, key));
    if (is_lowest(model_parameter(model, l, ATTN_OUT_WEIGHT))) return DT_OK;
    RUN(model, attention_backward, model->d_wide, model->d_attended, a->attended, a->lse, a->qkv,
        &model->documents, C, &model->heads);
    if (model->shape.rotary)
        RUN(model, turn, model->d_wide, &embedded, embedding_weight(model, PLACE_EMBED), C, true);
    DT_TRY(tell(model, model_parameter(model, l, ATTN_OUT_WEIGHT)));
    DT_TRY(linear_backward(model, gradient, model->d_branch, model->d_wide, DT_NO_TENSOR,
                           a->attn_normed, l, ATTN_QKV_WEIGHT, key));
    if (is_lowest(model_parameter(model, l, ATTN_QKV_WEIGHT))) return DT_OK;
    return norm_backward(model, gradient, a->input, a->attn_mean, a->attn_rstd, l, ATTN_NORM_SCALE);
}

/* From the loss to the input of the final norm. d_stream then holds the gradient of that input. */
static dt_status final_backward(dt_model *model, dt_buffer *gradient) {
    const final_activations *f = &model->final;
    const dt_parameter *tok_embed = &model->layout.parameter[TOK_EMBED];
    const size_t N = model->packed.tokens, C = model->shape.C;
    RUN(model, linear_backward, model->d_branch, gradient_of(gradient, tok_embed), DT_NO_TENSOR,
        f->logits, DT_NO_TENSOR, f->normed, parameter_weight(model, tok_embed), N, C,
        model->shape.V, DT_IDENTITY);
    RUN(model, fill_zero, model->d_stream, N * C);
    return norm_backward(model, gradient, f->input, f->mean, f->rstd, model->shape.L,
                         FINAL_NORM_SCALE);
}

static dt_status embed_backward(dt_model *model, dt_buffer *gradient, const dt_step_key *key) {
    const dt_parameter *embedding = model->layout.parameter;
    const dt_packed embedded = model_embedded(model);
    if (drops(model, key))
        DT_TRY(drop_out(model, model->d_stream, model->d_stream, DT_NO_TENSOR, 0, key));
    RUN(model, embed_backward, gradient_of(gradient, &embedding[TOK_EMBED]),
        gradient_of(gradient, &embedding[POS_EMBED]),
        gradient_of(gradient, &embedding[PLACE_EMBED]), &embedded, model->d_stream, model->shape.C);
    return tell(model, &embedding[TOK_EMBED]);
}

/* d_stream holds the gradient of a layer's output, then that of its input. */
dt_status dt_model_backward(dt_model *model, dt_score *score, dt_buffer *gradient,
                            const dt_batch *batch, const dt_step_key *key) {
    const size_t L = model->shape.L;
    DT_TRY(model_upload(model, batch));
    DT_TRY(forward(model, key, true));
    RUN(model, loss, score, DT_NO_TENSOR, model->final.logits, &model->packed, model->shape.V,
        true);
    DT_TRY(final_backward(model, gradient));
    if (is_lowest(model_parameter(model, L, FINAL_NORM_SCALE))) return DT_OK;
    for (size_t l = L; l-- > 0;) {
        DT_TRY(mlp_backward(model, gradient, l, key));
        if (is_lowest(model_parameter(model, l, MLP_NORM_SCALE))) return DT_OK;
        DT_TRY(attn_backward(model, gradient, l, key));
        if (is_lowest(model_parameter(model, l, ATTN_NORM_SCALE))) return DT_OK;
    }
    return embed_backward(model, gradient, key);
}
