/* Generation: greedily for many prompts at once, or one text token by token. Keys and values are
 * cached, so each token is computed once. */
#include <string.h>

#include "internal.h"

struct dt_generator {
    dt_model *model;
    size_t B;         /* most sequences */
    size_t used;      /* sequences of this call; only they are computed */
    dt_buffer *cache; /* keys, then values, of each layer: (L,2,B,T,C) */
    dt_buffer *ids;
    dt_packed packed; /* one token of each sequence */
    dt_tensor length; /* (B) int32: index of the new token in its sequence */
    dt_tensor index;  /* (T) int32: 0, 1, 2 … */
    dt_tensor spots;  /* (B,T) int32 of the tokens so far; of a window */
    dt_buffer *rows;
    layer_activations layer; /* used by all layers in turn */
    final_activations final;
    /* host */
    int32_t *token, *position, *place, *spot, *offset, *length_now;
    int32_t *text;                           /* (B,T) */
    size_t *count;                           /* (B) tokens known */
    int32_t *positions, *places, *spots_now; /* (T) of one sequence, scratch */
    float *host_logits;
    /* one text token by token: sequence 0 */
    const dt_tokenizer *tokenizer;
    size_t cached; /* tokens whose keys and values are in the cache */
};

static dt_attention_cache cache_of(const dt_generator *g, size_t layer) {
    const dt_model_shape *s = &g->model->shape;
    const size_t each = g->B * s->T * s->C;
    return (dt_attention_cache){.k = dt_floats(g->cache, 2 * layer * each),
                                .v = dt_floats(g->cache, (2 * layer + 1) * each),
                                .spot = g->spots,
                                .T = s->T};
}

static dt_status create_rows(dt_generator *g) {
    const dt_model_shape *s = &g->model->shape;
    dt_tensor stream, normed, mean, rstd, qkv, attended, hidden, logits;
    const size_t width[] = {s->C, s->C, 1, 1, 3 * s->C, s->C, s->F, s->V};
    dt_tensor *const part[] = {&stream, &normed, &mean, &rstd, &qkv, &attended, &hidden, &logits};
    const bool is_operand[] = {false, true, false, false, true, true, true, false};
    size_t used = 0;
    for (size_t i = 0; i < sizeof width / sizeof *width; i++) {
        const dt_element element =
            s->bfloat16 && is_operand[i] ? DT_ELEMENT_BFLOAT16 : DT_ELEMENT_FLOAT32;
        *part[i] = (dt_tensor){NULL, used, element};
        used += dt_round_up(dt_element_bytes(element, g->B * width[i]), DT_ALIGNMENT);
    }
    DT_TRY(g->model->backend->op->buffer_create(&g->rows, g->model->backend, used, "generation"));
    for (size_t i = 0; i < sizeof width / sizeof *width; i++) part[i]->buffer = g->rows;
    g->layer = (layer_activations){.input = stream,
                                   .attn_normed = normed,
                                   .attn_mean = mean,
                                   .attn_rstd = rstd,
                                   .qkv = qkv,
                                   .attended = attended,
                                   .middle = stream,
                                   .mlp_normed = normed,
                                   .mlp_mean = mean,
                                   .mlp_rstd = rstd,
                                   .hidden = hidden};
    g->final = (final_activations){stream, normed, mean, rstd, logits};
    /* The model's own serve as well: no pass keeps them for a backward pass. */
    if (s->L) memcpy(g->layer.lowered, g->model->layer[0].lowered, sizeof g->layer.lowered);
    return DT_OK;
}

static dt_status create_ids(dt_generator *g) {
    const size_t step = dt_round_up(g->B + 1, DT_ALIGNED_FLOATS), T = g->model->shape.T;
    const size_t index = dt_round_up(T, DT_ALIGNED_FLOATS),
                 spots = g->model->shape.window > 0 ? g->B * T : 0;
    DT_TRY(g->model->backend->op->buffer_create(
        &g->ids, g->model->backend, (6 * step + index + spots) * sizeof(int32_t), "generation"));
    g->packed.token = dt_ints(g->ids, 0);
    g->packed.position = dt_ints(g->ids, step);
    g->packed.place = dt_ints(g->ids, 2 * step);
    g->packed.offset = dt_ints(g->ids, 3 * step);
    g->length = dt_ints(g->ids, 4 * step);
    g->packed.spot = dt_ints(g->ids, 5 * step);
    g->index = dt_ints(g->ids, 6 * step);
    g->spots = dt_ints(g->ids, 6 * step + index);
    for (size_t i = 0; i < T; i++) g->positions[i] = (int32_t)i;
    RUN(g->model, upload, g->index, g->positions, T);
    return DT_OK;
}

static dt_status create_host(dt_generator *g) {
    const dt_model_shape *s = &g->model->shape;
    DT_TRY(dt_memory_alloc(&g->token, g->B, sizeof *g->token, "generation"));
    DT_TRY(dt_memory_alloc(&g->position, g->B, sizeof *g->position, "generation"));
    DT_TRY(dt_memory_alloc(&g->length_now, g->B, sizeof *g->length_now, "generation"));
    DT_TRY(dt_memory_alloc(&g->place, g->B, sizeof *g->place, "generation"));
    DT_TRY(dt_memory_alloc(&g->spot, g->B, sizeof *g->spot, "generation"));
    DT_TRY(dt_memory_alloc(&g->offset, g->B + 1, sizeof *g->offset, "generation"));
    DT_TRY(dt_memory_alloc(&g->text, g->B * s->T, sizeof *g->text, "generation"));
    DT_TRY(dt_memory_alloc(&g->count, g->B, sizeof *g->count, "generation"));
    DT_TRY(dt_memory_alloc(&g->positions, s->T, sizeof *g->positions, "generation"));
    DT_TRY(dt_memory_alloc(&g->places, s->T, sizeof *g->places, "generation"));
    DT_TRY(dt_memory_alloc(&g->spots_now, s->T, sizeof *g->spots_now, "generation"));
    DT_TRY(dt_memory_alloc(&g->host_logits, g->B * s->V, sizeof *g->host_logits, "generation"));
    for (size_t b = 0; b <= g->B; b++) g->offset[b] = (int32_t)b;
    return DT_OK;
}

dt_status dt_generator_create(dt_generator **out, dt_model *model, size_t problems) {
    *out = NULL;
    dt_generator *g = NULL;
    dt_status status;
    const dt_model_shape *s = &model->shape;
    DT_REQUIRE(s->lora.rank == 0 || problems <= model->tokens, DT_ERR_INTERNAL,
               "%zu texts at once, of a model with adapters that has room for %zu tokens", problems,
               model->tokens);
    DT_TRY_DONE(dt_memory_alloc(&g, 1, sizeof *g, "the generator"));
    g->model = model;
    g->B = problems;
    DT_TRY_DONE(model->backend->op->buffer_create(&g->cache, model->backend,
                                                  2 * s->L * problems * s->T * s->C * sizeof(float),
                                                  "the key and value cache"));
    DT_TRY_DONE(create_rows(g));
    DT_TRY_DONE(create_host(g));
    DT_TRY_DONE(create_ids(g));
    *out = g;
done:
    if (status != DT_OK) dt_generator_destroy(&g);
    return status;
}

void dt_generator_destroy(dt_generator **out) {
    dt_generator *g = *out;
    if (!g) return;
    dt_backend *backend = g->model->backend;
    backend->op->buffer_destroy(&g->cache, backend);
    backend->op->buffer_destroy(&g->ids, backend);
    backend->op->buffer_destroy(&g->rows, backend);
    dt_memory_free(&g->token);
    dt_memory_free(&g->position);
    dt_memory_free(&g->length_now);
    dt_memory_free(&g->place);
    dt_memory_free(&g->spot);
    dt_memory_free(&g->offset);
    dt_memory_free(&g->text);
    dt_memory_free(&g->count);
    dt_memory_free(&g->positions);
    dt_memory_free(&g->places);
    dt_memory_free(&g->spots_now);
    dt_memory_free(&g->host_logits);
    dt_memory_free(out);
}

/* Attends over the tokens of each sequence so far. */
static dt_status attend(void *context, size_t l, const layer_activations *a) {
    dt_generator *g = context;
    const dt_attention_cache cache = cache_of(g, l);
    const dt_heads heads = model_heads(g->model, true);
    RUN(g->model, attention_decode, a->attended, &cache, a->qkv, g->packed.spot, g->length, g->used,
        g->model->shape.C, &heads);
    return DT_OK;
}

/* One token of each sequence in, logits of the next one out. */
static dt_status decode(dt_generator *g) {
    dt_model *model = g->model;
    const size_t B = g->used;
    g->packed.problems = g->packed.tokens = B;
    g->packed.host_offset = g->offset;
    RUN(model, upload, g->packed.token, g->token, B);
    /* with no_positions they stay 0 */
    if (!model->shape.no_positions) RUN(model, upload, g->packed.position, g->position, B);
    RUN(model, upload, g->packed.place, g->place, B);
    if (model->shape.window > 0) RUN(model, upload, g->packed.spot, g->spot, B);
    RUN(model, upload, g->length, g->length_now, B);
    const forward_pass pass = {
        .batch = &g->packed, .layer = &g->layer, .final = g->final, .attend = attend, .context = g};
    DT_TRY(model_pass(model, &pass));
    RUN(model, download, g->host_logits, g->final.logits, B * model->shape.V);
    return DT_OK;
}

/* Positions, places and spots of a sequence's first tokens. */
static void find_places(dt_generator *g, const dt_tokenizer *tokenizer, size_t b, size_t count) {
    const dt_model_shape *s = &g->model->shape;
    if (s->index_positions) {
        for (size_t i = 0; i < count; i++) {
            g->positions[i] = (int32_t)i;
            g->places[i] = g->spots_now[i] = 0;
        }
        return;
    }
    dt_tokenizer_places(g->positions, g->places, g->spots_now, tokenizer, g->text + b * s->T,
                        count);
    /* An untrained model may write more than there are positions, or places, for. */
    for (size_t i = 0; i < count; i++) {
        g->positions[i] = (int32_t)dt_min_size((size_t)g->positions[i], s->T - 1);
        g->places[i] = (int32_t)dt_min_size((size_t)g->places[i], s->P - 1);
    }
}

/* Sets sequence b's input token of a step. A finished sequence repeats its last token, and the
 * result is ignored. */
static void set_input(dt_generator *g, const dt_tokenizer *tokenizer, size_t b, size_t step) {
    const size_t at = dt_min_size(step, g->count[b] - 1);
    find_places(g, tokenizer, b, at + 1);
    g->token[b] = g->text[b * g->model->shape.T + at];
    g->length_now[b] = (int32_t)at;
    g->position[b] = g->positions[at];
    g->place[b] = g->places[at];
    g->spot[b] = g->spots_now[at];
}

static int32_t most_likely(const float *logit, size_t V) {
    size_t best = 0;
    for (size_t j = 1; j < V; j++) {
        if (logit[j] > logit[best]) best = j;
    }
    return (int32_t)best;
}

/* Which token ends what is generated. */
static int32_t end_of(const dt_tokenizer *tokenizer) {
    return dt_tokenizer_bpe(tokenizer) ? dt_tokenizer_end(tokenizer) : 0;
}

/* Appends the most likely token to each sequence whose last token was computed; true if any
 * continues. */
static bool extend(dt_generator *g, int32_t end, size_t step, bool *done) {
    const size_t T = g->model->shape.T, V = g->model->shape.V;
    bool going = false;
    for (size_t b = 0; b < g->used; b++) {
        if (!done[b] && step + 1 == g->count[b]) {
            const int32_t next = most_likely(g->host_logits + b * V, V);
            if (next == end || g->count[b] >= T) {
                done[b] = true;
            } else {
                g->text[b * T + g->count[b]++] = next;
            }
        }
        going = going || !done[b];
    }
    return going;
}

dt_status dt_generator_run(dt_generator *g, dt_text *produced, const char *const *prompt,
                           size_t count, const dt_tokenizer *tokenizer) {
    const size_t T = g->model->shape.T;
    bool *done = NULL;
    size_t *given = NULL;
    dt_status status;
    DT_REQUIRE(count <= g->B, DT_ERR_INTERNAL, "%zu prompts for a generator of %zu", count, g->B);
    DT_TRY_DONE(dt_memory_alloc(&done, g->B, sizeof *done, "generation"));
    DT_TRY_DONE(dt_memory_alloc(&given, g->B, sizeof *given, "generation"));
    g->used = count;
    for (size_t b = 0; b < count; b++) {
        DT_TRY_DONE(dt_tokenizer_encode(g->text + b * T, T, &g->count[b], tokenizer, prompt[b],
                                        strlen(prompt[b])));
        DT_REQUIRE_DONE(g->count[b] > 0, DT_ERR_ARG, "an empty prompt has no continuation");
        given[b] = g->count[b];
    }
    bool going = count > 0;
    for (size_t step = 0; going && step < T; step++) {
        for (size_t b = 0; b < count; b++) set_input(g, tokenizer, b, step);
        DT_TRY_DONE(decode(g));
        going = extend(g, end_of(tokenizer), step, done);
    }
    for (size_t b = 0; b < count; b++) {
        const int32_t *text = g->text + b * T + given[b];
        dt_text_clear(&produced[b]);
        DT_TRY_DONE(dt_tokenizer_decode(&produced[b], tokenizer, text, g->count[b] - given[b]));
    }
done:
    dt_memory_free(&done);
    dt_memory_free(&given);
    return status;
}

/* ---- one text, token by token ---- */

size_t dt_generator_context(const dt_generator *g) { return g->model->shape.T; }

void dt_generator_begin(dt_generator *g, const dt_tokenizer *tokenizer) {
    g->tokenizer = tokenizer;
    g->used = 1;
    g->count[0] = g->cached = 0;
}

/* The last of T positions is never trained on: in a text of T tokens the last one is only
 * predicted. */
static void append(dt_generator *g, int32_t id) {
    const size_t T = g->model->shape.T, most = T - 1;
    if (g->count[0] >= most) {
        const size_t kept = dt_max_size(T / 2, 1) - 1;
        memmove(g->text, g->text + most - kept, kept * sizeof *g->text);
        g->count[0] = kept;
        g->cached = 0;
    }
    g->text[g->count[0]++] = id;
}

void dt_generator_append(dt_generator *g, const int32_t *id, size_t count) {
    for (size_t i = 0; i < count; i++) append(g, id[i]);
}

/* Attends over the text for each token of the pass in turn. */
static dt_status attend_all(void *context, size_t l, const layer_activations *a) {
    dt_generator *g = context;
    const dt_model *model = g->model;
    const size_t C = model->shape.C;
    const dt_attention_cache cache = cache_of(g, l);
    const dt_heads heads = model_heads(model, true);
    for (size_t i = 0; i < model->packed.tokens; i++) {
        RUN(model, attention_decode, dt_tensor_at(a->attended, i * C), &cache,
            dt_tensor_at(a->qkv, i * 3 * C), dt_tensor_at(model->packed.spot, i),
            dt_tensor_at(g->index, g->cached + i), 1, C, &heads);
    }
    return DT_OK;
}

/* Computes keys and values of the next `count` tokens in one pass with the model's activations. */
static dt_status fill_cache(dt_generator *g, size_t count) {
    dt_model *model = g->model;
    dt_packed *p = &model->packed;
    const size_t first = g->cached;
    const int32_t offset[] = {0, (int32_t)count};
    p->problems = 1;
    p->tokens = count;
    p->host_offset = offset;
    RUN(model, upload, p->offset, offset, 2);
    RUN(model, upload, p->token, g->text + first, count);
    RUN(model, upload, p->position, g->positions + first, count);
    RUN(model, upload, p->place, g->places + first, count);
    if (model->shape.window > 0) RUN(model, upload, p->spot, g->spots_now + first, count);
    const dt_packed embedded = model_embedded(model);
    const forward_pass pass = {.batch = &embedded,
                               .layer = model->layer,
                               .final = {.input = model->final.input},
                               .attend = attend_all,
                               .context = g};
    DT_TRY(model_pass(model, &pass));
    g->cached += count;
    return DT_OK;
}

dt_status dt_generator_next(dt_generator *g, const float **logits) {
    const size_t last = g->count[0] - 1;
    DT_REQUIRE(g->count[0] > g->cached, DT_ERR_INTERNAL, "no token after which there is a next");
    find_places(g, g->tokenizer, 0, last);
    while (g->cached < last) DT_TRY(fill_cache(g, dt_min_size(last - g->cached, g->model->tokens)));
    set_input(g, g->tokenizer, 0, last);
    DT_TRY(decode(g));
    g->cached = g->count[0];
    *logits = g->host_logits;
    return DT_OK;
}
