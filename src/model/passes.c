/* The forward and backward pass in terms of backend operations. */
#include "internal.h"

static dt_status drop_out(dt_model *model, dt_tensor y, dt_tensor x, dt_tensor residual,
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
static dt_status close_branch(dt_model *model, const forward_pass *pass, dt_tensor out,
                              dt_tensor stream, dt_tensor x, size_t l, size_t weight, size_t in) {
    const size_t N = pass->batch->tokens, C = model->shape.C;
    const dt_tensor w = model_weight(model, l, weight), b = model_weight(model, l, weight + 1);
    if (!pass->dropout) {
        RUN(model, linear_forward, out, DT_NO_TENSOR, x, w, b, stream, N, in, C, DT_IDENTITY);
        return DT_OK;
    }
    RUN(model, linear_forward, model->branch, DT_NO_TENSOR, x, w, b, DT_NO_TENSOR, N, in, C,
        DT_IDENTITY);
    return drop_out(model, out, model->branch, stream, dropout_site(l, weight == MLP_OUT_WEIGHT),
                    pass->dropout);
}

/* Layer l with activations a; its output goes to `next`, which may be a's input. */
static dt_status layer_forward(dt_model *model, const forward_pass *pass, size_t l,
                               const layer_activations *a, dt_tensor next) {
    const size_t N = pass->batch->tokens, C = model->shape.C, F = model->shape.F;
    RUN(model, norm_forward, a->attn_normed, a->attn_mean, a->attn_rstd, a->input,
        model_weight(model, l, ATTN_NORM_SCALE), model_weight(model, l, ATTN_NORM_BIAS), N, C);
    RUN(model, linear_forward, a->qkv, DT_NO_TENSOR, a->attn_normed,
        model_weight(model, l, ATTN_QKV_WEIGHT), model_weight(model, l, ATTN_QKV_BIAS),
        DT_NO_TENSOR, N, C, 3 * C, DT_IDENTITY);
    DT_TRY(pass->attend(pass->context, l, a));
    DT_TRY(close_branch(model, pass, a->middle, a->input, a->attended, l, ATTN_OUT_WEIGHT, C));
    RUN(model, norm_forward, a->mlp_normed, a->mlp_mean, a->mlp_rstd, a->middle,
        model_weight(model, l, MLP_NORM_SCALE), model_weight(model, l, MLP_NORM_BIAS), N, C);
    RUN(model, linear_forward, a->hidden, a->hidden_slope, a->mlp_normed,
        model_weight(model, l, MLP_IN_WEIGHT), model_weight(model, l, MLP_IN_BIAS), DT_NO_TENSOR, N,
        C, F, DT_GELU);
    return close_branch(model, pass, next, a->middle, a->hidden, l, MLP_OUT_WEIGHT, F);
}

dt_status model_pass(dt_model *model, const forward_pass *pass) {
    const final_activations *f = &pass->final;
    const size_t N = pass->batch->tokens, C = model->shape.C, L = model->shape.L;
    const dt_tensor first = L ? pass->layer[0].input : f->input;
    RUN(model, embed_forward, first, pass->batch, embedding_weight(model, TOK_EMBED),
        embedding_weight(model, POS_EMBED), embedding_weight(model, PLACE_EMBED), C);
    if (pass->dropout) DT_TRY(drop_out(model, first, first, DT_NO_TENSOR, 0, pass->dropout));
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
        model->shape.H, model->attention_scale);
    return DT_OK;
}

/* The forward pass over the model's packed batch; `keep` as in forward_pass. */
static dt_status forward(dt_model *model, const dt_step_key *dropout, bool keep) {
    const dt_packed embedded = model_embedded(model);
    model->attention_scale = keep ? model_plain_scale(model) : model_sharp_scale(model);
    const forward_pass pass = {.batch = &embedded,
                               .layer = model->layer,
                               .keep = keep,
                               .final = model->final,
                               .dropout = dropout,
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
    if (!key) return DT_OK;
    *d_end = model->branch;
    return drop_out(model, model->branch, model->d_stream, DT_NO_TENSOR, site, key);
}

/* Reports that the gradient is complete from p on: the layout has the order of the forward pass. */
static dt_status tell(const dt_model *model, const dt_parameter *p) {
    return model->watcher ? model->watcher(model->watcher_context, p->offset) : DT_OK;
}

/* Whether all parameters before p are frozen, so that the backward pass ends at p. */
static bool is_lowest(const dt_parameter *p) { return p->offset == 0; }

/* The gradients of a parameter and of its input, if they are needed. */
static dt_tensor gradient_of(dt_buffer *gradient, const dt_parameter *p) {
    return p->frozen ? DT_NO_TENSOR : dt_floats(gradient, p->offset);
}
static dt_tensor gradient_before(dt_tensor d_x, const dt_parameter *p) {
    return is_lowest(p) ? DT_NO_TENSOR : d_x;
}

/* A linear layer of layer l; its bias follows its weight. */
static dt_status linear_backward(dt_model *model, dt_buffer *gradient, dt_tensor d_x, dt_tensor d_y,
                                 dt_tensor slope, dt_tensor x, size_t l, size_t weight, size_t in,
                                 size_t out) {
    const dt_parameter *w = model_parameter(model, l, weight), *b = w + 1;
    RUN(model, linear_backward, gradient_before(d_x, w), gradient_of(gradient, w),
        gradient_of(gradient, b), d_y, slope, x, parameter_weight(model, w), model->packed.tokens,
        in, out, slope.buffer ? DT_GELU : DT_IDENTITY);
    return tell(model, w);
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
    const size_t C = model->shape.C, F = model->shape.F;
    dt_tensor d_end;
    DT_TRY(open_branch(model, &d_end, dropout_site(l, true), key));
    DT_TRY(linear_backward(model, gradient, model->d_wide, d_end, DT_NO_TENSOR, a->hidden, l,
                           MLP_OUT_WEIGHT, F, C));
    if (is_lowest(model_parameter(model, l, MLP_OUT_WEIGHT))) return DT_OK;
    DT_TRY(linear_backward(model, gradient, model->d_branch, model->d_wide, a->hidden_slope,
                           a->mlp_normed, l, MLP_IN_WEIGHT, C, F));
    if (is_lowest(model_parameter(model, l, MLP_IN_WEIGHT))) return DT_OK;
    return norm_backward(model, gradient, a->middle, a->mlp_mean, a->mlp_rstd, l, MLP_NORM_SCALE);
}

/* The backward pass of a layer's attention. */
static dt_status attn_backward(dt_model *model, dt_buffer *gradient, size_t l,
                               const dt_step_key *key) {
    const layer_activations *a = &model->layer[l];
    const size_t C = model->shape.C;
    dt_tensor d_end;
    DT_TRY(open_branch(model, &d_end, dropout_site(l, false), key));
    DT_TRY(linear_backward(model, gradient, model->d_attended, d_end, DT_NO_TENSOR, a->attended, l,
                           ATTN_OUT_WEIGHT, C, C));
    if (is_lowest(model_parameter(model, l, ATTN_OUT_WEIGHT))) return DT_OK;
    RUN(model, attention_backward, model->d_wide, model->d_attended, a->attended, a->lse, a->qkv,
        &model->documents, C, model->shape.H);
    DT_TRY(tell(model, model_parameter(model, l, ATTN_OUT_WEIGHT)));
    DT_TRY(linear_backward(model, gradient, model->d_branch, model->d_wide, DT_NO_TENSOR,
                           a->attn_normed, l, ATTN_QKV_WEIGHT, C, 3 * C));
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
    if (key) DT_TRY(drop_out(model, model->d_stream, model->d_stream, DT_NO_TENSOR, 0, key));
    RUN(model, embed_backward, gradient_of(gradient, &embedding[TOK_EMBED]),
        gradient_of(gradient, &embedding[POS_EMBED]),
        gradient_of(gradient, &embedding[PLACE_EMBED]), &embedded, model->d_stream, model->shape.C);
    return tell(model, &embedding[TOK_EMBED]);
}

/* d_stream holds the gradient of a layer's output, then that of its input. */
dt_status dt_model_backward(dt_model *model, dt_score *score, dt_buffer *gradient,
                            const dt_batch *batch, const dt_step_key *key) {
    const dt_step_key *dropout = model->shape.dropout > 0 ? key : NULL;
    const size_t L = model->shape.L;
    DT_TRY(model_upload(model, batch));
    DT_TRY(forward(model, dropout, true));
    RUN(model, loss, score, DT_NO_TENSOR, model->final.logits, &model->packed, model->shape.V,
        true);
    DT_TRY(final_backward(model, gradient));
    if (is_lowest(model_parameter(model, L, FINAL_NORM_SCALE))) return DT_OK;
    for (size_t l = L; l-- > 0;) {
        DT_TRY(mlp_backward(model, gradient, l, dropout));
        if (is_lowest(model_parameter(model, l, MLP_NORM_SCALE))) return DT_OK;
        DT_TRY(attn_backward(model, gradient, l, dropout));
        if (is_lowest(model_parameter(model, l, ATTN_NORM_SCALE))) return DT_OK;
    }
    return embed_backward(model, gradient, dropout);
}
