/* A model's memory for one micro-batch of activations, and the upload of batches. */
#include <string.h>

#include "internal.h"

/* Assigns parts of a buffer. With buffer NULL it only counts bytes, before the buffer is created.
 */
typedef struct {
    dt_buffer *buffer;
    size_t used; /* bytes */
} arena;

static dt_tensor take_elements(arena *a, dt_element element, size_t count) {
    const dt_tensor tensor = {a->buffer, a->used, element};
    a->used += dt_round_up(dt_element_bytes(element, count), DT_ALIGNMENT);
    return tensor;
}
static dt_tensor take(arena *a, size_t count) {
    return take_elements(a, DT_ELEMENT_FLOAT32, count);
}
/* An operand of products. */
static dt_tensor take_operand(const dt_model *model, arena *a, size_t count) {
    return take_elements(a, model->shape.bfloat16 ? DT_ELEMENT_BFLOAT16 : DT_ELEMENT_FLOAT32,
                         count);
}
static dt_tensor take_ids(arena *a, size_t count) {
    return take_elements(a, DT_ELEMENT_INT32, count);
}

static void lay_out_ids(dt_model *model, arena *a) {
    const size_t N = model->tokens;
    model->packed = (dt_packed){
        .offset = take_ids(a, model->problems + 1),
        .token = take_ids(a, N),
        .position = take_ids(a, N),
        .place = take_ids(a, N),
        .target = take_ids(a, N),
    };
    if (model->shape.window > 0) model->packed.spot = take_ids(a, N);
    model->documents.offset = take_ids(a, N + 1);
    model->matched = take_ids(a, model->problems);
    model->no_position = take_ids(a, N);
}

/* What adapters need. */
static void lay_out_adapters(dt_model *model, arena *a) {
    const size_t N = model->tokens, F = model->shape.F, C = model->shape.C;
    const dt_lora *lora = &model->shape.lora;
    if (lora->rank == 0) return;
    for (size_t l = 0; l < model->shape.L; l++) {
        for (size_t i = 0; i < DT_TARGETS; i++) {
            if (lora->target[i])
                model->layer[l].lowered[i] = take_operand(model, a, N * lora->rank);
        }
    }
    model->low = take(a, N * lora->rank);
    model->added = take(a, N * dt_max_size(F, 3 * C));
    if (lora->dropout > 0) model->thinned = take_operand(model, a, N * F);
}

static void lay_out_activations(dt_model *model, arena *a) {
    const size_t N = model->tokens, C = model->shape.C;
    for (size_t l = 0; l < model->shape.L; l++) {
        model->layer[l] = (layer_activations){
            .input = take(a, N * C),
            .attn_normed = take_operand(model, a, N * C),
            .attn_mean = take(a, N),
            .attn_rstd = take(a, N),
            .qkv = take_operand(model, a, N * 3 * C),
            .lse = take(a, N * model->shape.H),
            .attended = take_operand(model, a, N * C),
            .middle = take(a, N * C),
            .mlp_normed = take_operand(model, a, N * C),
            .mlp_mean = take(a, N),
            .mlp_rstd = take(a, N),
            .hidden_slope = take_operand(model, a, N * model->shape.F),
            .hidden = take_operand(model, a, N * model->shape.F),
        };
    }
    model->final = (final_activations){
        .input = take(a, N * C),
        .normed = take_operand(model, a, N * C),
        .mean = take(a, N),
        .rstd = take(a, N),
        .logits = take(a, N * model->shape.V),
    };
    model->branch = take(a, N * C);
    lay_out_adapters(model, a);
}

static void lay_out_gradients(dt_model *model, arena *a) {
    const size_t N = model->tokens, C = model->shape.C;
    model->d_stream = take(a, N * C);
    model->d_branch = take(a, N * C);
    /* In float32 they can share memory; in bfloat16 d_attended has another type. */
    model->d_attended = model->shape.bfloat16 ? take_operand(model, a, N * C) : model->d_branch;
    model->d_wide = take_operand(model, a, N * dt_max_size(model->shape.F, 3 * C));
}

/* Counts bytes, creates the buffer, then assigns its parts. */
static dt_status create_part(dt_model *model, dt_buffer **buffer,
                             void (*lay_out)(dt_model *, arena *), const char *what) {
    arena count = {NULL, 0};
    lay_out(model, &count);
    DT_TRY(model->backend->op->buffer_create(buffer, model->backend, count.used, what));
    arena real = {*buffer, 0};
    lay_out(model, &real);
    return DT_OK;
}

dt_status dt_model_create(dt_model **out, dt_backend *backend, const dt_model_shape *shape,
                          dt_buffer *weights, size_t problems, size_t tokens) {
    *out = NULL;
    dt_model *model = NULL;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&model, 1, sizeof *model, "the model"));
    model->backend = backend;
    model->shape = *shape;
    dt_model_sharpen(model, shape->sharpness);
    model->weights = weights;
    model->problems = problems;
    model->tokens = tokens;
    DT_TRY_DONE(dt_layout_create(&model->layout, shape));
    model->in_layer = layout_number(model->number, shape);
    DT_TRY_DONE(dt_memory_alloc(&model->layer, shape->L, sizeof *model->layer, "the layer table"));
    if (shape->index_positions)
        DT_TRY_DONE(dt_memory_alloc(&model->index, tokens, sizeof *model->index, "positions"));
    DT_TRY_DONE(create_part(model, &model->ids, lay_out_ids, "packed batches"));
    DT_TRY_DONE(create_part(model, &model->activations, lay_out_activations, "activations"));
    DT_TRY_DONE(
        create_part(model, &model->gradients, lay_out_gradients, "gradients of activations"));
    *out = model;
done:
    if (status != DT_OK) dt_model_destroy(&model);
    return status;
}

void dt_model_sharpen(dt_model *model, double sharpness) {
    model->sharpness = sharpness > 0 ? (float)sharpness : 1.0f;
}

size_t dt_model_bytes(const dt_model_shape *shape, size_t problems, size_t tokens) {
    dt_model model = {.shape = *shape, .problems = problems, .tokens = tokens};
    arena count = {NULL, 0};
    if (dt_memory_alloc(&model.layer, shape->L, sizeof *model.layer, "the layer table") != DT_OK) {
        dt_error_clear();
        return 0;
    }
    lay_out_ids(&model, &count);
    lay_out_activations(&model, &count);
    lay_out_gradients(&model, &count);
    dt_memory_free(&model.layer);
    return count.used + (shape->index_positions ? tokens * sizeof *model.index : 0);
}

void dt_model_use_weights(dt_model *model, dt_buffer *weights) { model->weights = weights; }

void dt_model_freeze(dt_model *model, const dt_layout *layout, dt_buffer *frozen) {
    dt_parameter *own = model->layout.parameter;
    memcpy(own, layout->parameter, layout->parameters * sizeof *own);
    model->layout = *layout;
    model->layout.parameter = own;
    model->frozen = frozen;
}

void dt_model_destroy(dt_model **out) {
    dt_model *model = *out;
    if (!model) return;
    model->backend->op->buffer_destroy(&model->ids, model->backend);
    model->backend->op->buffer_destroy(&model->activations, model->backend);
    model->backend->op->buffer_destroy(&model->gradients, model->backend);
    dt_memory_free(&model->layer);
    dt_memory_free(&model->index);
    dt_layout_destroy(&model->layout);
    dt_memory_free(out);
}

void dt_model_watch(dt_model *model, dt_model_watcher *watcher, void *context) {
    model->watcher = watcher;
    model->watcher_context = context;
}

const dt_layout *dt_model_layout(const dt_model *model) { return &model->layout; }

static const int32_t *positions_of(dt_model *model, const dt_batch *batch) {
    if (!model->index) return batch->position;
    for (size_t d = 0; d < batch->documents; d++) {
        const int32_t begin = batch->document[d];
        for (int32_t i = begin; i < batch->document[d + 1]; i++) model->index[i] = i - begin;
    }
    return model->index;
}

dt_status model_upload(dt_model *model, const dt_batch *batch) {
    DT_REQUIRE(
        batch->problems > 0 && batch->problems <= model->problems && batch->tokens <= model->tokens,
        DT_ERR_INTERNAL,
        "a batch of %zu problems and %zu tokens does not fit a model with room for %zu and %zu",
        batch->problems, batch->tokens, model->problems, model->tokens);
    dt_packed *p = &model->packed;
    p->problems = batch->problems;
    p->tokens = batch->tokens;
    p->host_offset = batch->offset;
    RUN(model, upload, p->offset, batch->offset, batch->problems + 1);
    RUN(model, upload, p->token, batch->token, batch->tokens);
    RUN(model, upload, p->position, positions_of(model, batch), batch->tokens);
    RUN(model, upload, p->place, batch->place, batch->tokens);
    RUN(model, upload, p->target, batch->target, batch->tokens);
    if (model->shape.window > 0) RUN(model, upload, p->spot, batch->spot, batch->tokens);
    dt_packed *documents = &model->documents;
    const dt_tensor offset = documents->offset;
    *documents = *p;
    documents->problems = batch->documents;
    documents->offset = offset;
    documents->host_offset = batch->document;
    RUN(model, upload, offset, batch->document, batch->documents + 1);
    return DT_OK;
}
