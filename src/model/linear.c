/* The linear layers, with what their adapters add: alpha / rank (x a^T) b^T. The frozen matrix's
 * product takes the adapter's as its residual. */
#include "internal.h"

/* The adapter of a linear layer. */
typedef struct {
    const dt_parameter *a, *b;
    dt_tensor lowered; /* (N,rank) alpha / rank * x a^T */
    uint32_t site;     /* of its dropout */
    float factor;      /* alpha / rank */
} adapter;

static dt_target target_of(size_t weight) {
    switch (weight) {
    case ATTN_QKV_WEIGHT: return DT_TARGET_ATTN_QKV;
    case ATTN_OUT_WEIGHT: return DT_TARGET_ATTN_OUT;
    case MLP_IN_WEIGHT: return DT_TARGET_MLP_IN;
    default: return DT_TARGET_MLP_OUT;
    }
}

/* false: there is none. */
static bool find_adapter(adapter *found, const dt_model *model, const linear_layer *layer) {
    const dt_lora *lora = &model->shape.lora;
    const dt_target target = target_of(layer->weight);
    if (lora->rank == 0 || !lora->target[target]) return false;
    const dt_parameter *bias = model_parameter(model, layer->l, layer->weight) + 1;
    *found = (adapter){.a = bias + 1,
                       .b = bias + 2,
                       .lowered = layer->a->lowered[target],
                       .site = adapter_site(model, layer->l, target),
                       .factor = (float)(lora->alpha / (double)lora->rank)};
    return true;
}

static bool thins(const dt_model *model, const linear_layer *layer) {
    return layer->key && model->shape.lora.dropout > 0;
}

/* The adapter's input: x, after its dropout in training. */
static dt_status take_input(dt_tensor *input, dt_model *model, const linear_layer *layer,
                            const adapter *with, dt_tensor x) {
    *input = x;
    if (!thins(model, layer)) return DT_OK;
    *input = model->thinned;
    return model_drop_out(model, model->thinned, x, DT_NO_TENSOR, layer->in,
                          model->shape.lora.dropout, with->site, layer->key);
}

/* model->added = the adapter's product + residual. */
static dt_status adapter_forward(dt_model *model, const linear_layer *layer, const adapter *with,
                                 dt_tensor x, dt_tensor residual) {
    const size_t N = layer->N, R = model->shape.lora.rank;
    dt_tensor input;
    DT_TRY(take_input(&input, model, layer, with, x));
    RUN(model, linear_forward, model->low, DT_NO_TENSOR, input, parameter_weight(model, with->a),
        DT_NO_TENSOR, DT_NO_TENSOR, N, layer->in, R, DT_IDENTITY);
    RUN(model, add, with->lowered, model->low, DT_NO_TENSOR, N * R, with->factor);
    RUN(model, linear_forward, model->added, DT_NO_TENSOR, with->lowered,
        parameter_weight(model, with->b), DT_NO_TENSOR, residual, N, R, layer->out, DT_IDENTITY);
    return DT_OK;
}

/* d_y is the gradient of the layer's product, before the activation if it is float32. Adds to d_x
 * unless that is not needed. */
static dt_status adapter_backward(dt_model *model, const linear_layer *layer, const adapter *with,
                                  dt_buffer *gradient, dt_tensor d_x, dt_tensor d_y,
                                  dt_tensor slope, dt_tensor x) {
    const size_t N = layer->N, in = layer->in, R = model->shape.lora.rank;
    const bool opened = layer->activation == DT_IDENTITY || d_y.element == DT_ELEMENT_FLOAT32;
    const dt_tensor d_added = d_x.buffer ? model->added : DT_NO_TENSOR;
    dt_tensor input;
    RUN(model, linear_backward, model->low, gradient_of(gradient, with->b), DT_NO_TENSOR, d_y,
        opened ? DT_NO_TENSOR : slope, with->lowered, parameter_weight(model, with->b), N, R,
        layer->out, opened ? DT_IDENTITY : DT_GELU);
    RUN(model, add, model->low, model->low, DT_NO_TENSOR, N * R, with->factor);
    DT_TRY(take_input(&input, model, layer, with, x));
    RUN(model, linear_backward, d_added, gradient_of(gradient, with->a), DT_NO_TENSOR, model->low,
        DT_NO_TENSOR, input, parameter_weight(model, with->a), N, in, R, DT_IDENTITY);
    if (!d_x.buffer) return DT_OK;
    if (thins(model, layer))
        return model_drop_out(model, d_x, model->added, d_x, in, model->shape.lora.dropout,
                              with->site, layer->key);
    RUN(model, add, d_x, model->added, d_x, N * in, 1);
    return DT_OK;
}

dt_status model_linear_forward(dt_model *model, const linear_layer *layer, dt_tensor y,
                               dt_tensor slope, dt_tensor x, dt_tensor residual) {
    const dt_parameter *w = model_parameter(model, layer->l, layer->weight), *b = w + 1;
    adapter with;
    if (find_adapter(&with, model, layer)) {
        DT_TRY(adapter_forward(model, layer, &with, x, residual));
        residual = model->added;
    }
    RUN(model, linear_forward, y, slope, x, parameter_weight(model, w), parameter_weight(model, b),
        residual, layer->N, layer->in, layer->out, layer->activation);
    return DT_OK;
}

dt_status model_linear_backward(dt_model *model, const linear_layer *layer, dt_buffer *gradient,
                                dt_tensor d_x, dt_tensor d_y, dt_tensor slope, dt_tensor x) {
    const dt_parameter *w = model_parameter(model, layer->l, layer->weight), *b = w + 1;
    adapter with;
    if (is_lowest(w)) d_x = DT_NO_TENSOR;
    RUN(model, linear_backward, d_x, gradient_of(gradient, w), gradient_of(gradient, b), d_y, slope,
        x, parameter_weight(model, w), layer->N, layer->in, layer->out, layer->activation);
    if (!find_adapter(&with, model, layer)) return DT_OK;
    return adapter_backward(model, layer, &with, gradient, d_x, d_y, slope, x);
}
