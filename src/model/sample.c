/* Draws texts from a model: temperature, top-k and top-p, with random numbers that depend on seed,
 * text and token alone. */
#include "dtrain/model/sample.h"

#include <math.h>
#include <stdlib.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"

/* ---- one token ---- */

typedef struct {
    double weight; /* probability, not divided by the sum */
    int32_t id;
} candidate;

struct dt_drawer {
    size_t vocabulary;
    candidate *candidate; /* (V) */
};

dt_status dt_drawer_create(dt_drawer **out, size_t vocabulary) {
    dt_drawer *drawer = NULL;
    dt_status status;
    *out = NULL;
    DT_TRY_DONE(dt_memory_alloc(&drawer, 1, sizeof *drawer, "drawing tokens"));
    DT_TRY_DONE(dt_memory_alloc(&drawer->candidate, vocabulary, sizeof *drawer->candidate,
                                "drawing tokens"));
    drawer->vocabulary = vocabulary;
    *out = drawer;
    drawer = NULL;
done:
    dt_drawer_destroy(&drawer);
    return status;
}

void dt_drawer_destroy(dt_drawer **drawer) {
    if (!*drawer) return;
    dt_memory_free(&(*drawer)->candidate);
    dt_memory_free(drawer);
}

/* The likeliest first; equal ones by id, so that there is one order. */
static int compare_candidates(const void *x, const void *y) {
    const candidate *a = x, *b = y;
    if (a->weight != b->weight) return a->weight > b->weight ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

static double sum_of(const candidate *list, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += list[i].weight;
    return sum;
}

/* How many of the sorted candidates remain. */
static size_t cut(const candidate *list, size_t count, const dt_drawing *how) {
    if (how->top_k > 0 && how->top_k < count) count = how->top_k;
    if (how->top_p >= 1) return count;
    const double enough = how->top_p * sum_of(list, count);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += list[i].weight;
        if (sum >= enough) return i + 1;
    }
    return count;
}

/* Evenly in [0, 1). */
static double random_share(const dt_drawing *how, uint64_t number) {
    uint32_t word[4];
    dt_random_block(word, how->seed, DT_RANDOM_SAMPLE, how->text, number);
    return (double)(((uint64_t)word[1] << 32 | word[0]) >> 11) * 0x1p-53;
}

int32_t dt_drawer_draw(dt_drawer *drawer, const dt_drawing *how, const float *logits,
                       uint64_t number) {
    candidate *list = drawer->candidate;
    const size_t V = drawer->vocabulary;
    size_t best = 0;
    for (size_t i = 0; i < V; i++) {
        if (!isfinite(logits[i])) return -1;
        if (logits[i] > logits[best]) best = i;
    }
    if (how->temperature <= 0 || how->top_k == 1) return (int32_t)best;
    for (size_t i = 0; i < V; i++) {
        const double below = (double)logits[i] - (double)logits[best];
        list[i] = (candidate){exp(below / how->temperature), (int32_t)i};
    }
    const bool all = (how->top_k == 0 || how->top_k >= V) && how->top_p >= 1;
    if (!all) qsort(list, V, sizeof *list, compare_candidates);
    const size_t count = all ? V : cut(list, V, how);
    const double wanted = random_share(how, number) * sum_of(list, count);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += list[i].weight;
        if (sum > wanted) return list[i].id;
    }
    return (int32_t)best; /* rounding */
}

/* ---- a text ---- */

/* Gives what is known of the text to the generator; *given: tokens. */
static dt_status begin(size_t *given, dt_generator *generator, const dt_text *prompt,
                       const dt_tokenizer *tokenizer) {
    int32_t *id = NULL;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&id, prompt->length + 1, sizeof *id, "the tokens of a prompt"));
    DT_TRY_DONE(dt_text_tokens(id, prompt->length, given, prompt, tokenizer));
    DT_REQUIRE_DONE(*given > 0, DT_ERR_ARG, "an empty prompt has no continuation");
    dt_generator_begin(generator, tokenizer);
    dt_generator_append(generator, id, *given);
done:
    dt_memory_free(&id);
    return status;
}

/* Draws the next token. */
static dt_status draw(int32_t *id, bool *ended, dt_generator *generator, dt_drawer *drawer,
                      const dt_sample_request *request, uint64_t number) {
    const float *logits = NULL;
    DT_TRY(dt_generator_next(generator, &logits));
    *id = dt_drawer_draw(drawer, &request->drawing, logits, number);
    DT_REQUIRE(*id >= 0, DT_ERR_DATA,
               "what the model calculates is not finite: it has diverged; use an earlier "
               "checkpoint, or another --precision");
    *ended = *id == request->end;
    return DT_OK;
}

dt_status dt_sample(size_t *count, bool *ended, dt_generator *generator,
                    const dt_sample_request *request, const dt_text *prompt,
                    const dt_tokenizer *tokenizer, dt_sample_taker *take, void *context) {
    dt_drawer *drawer = NULL;
    dt_text piece = {0};
    size_t most = request->tokens, given = 0;
    const size_t context_size = dt_generator_context(generator);
    bool stop = false;
    dt_status status;
    *count = 0;
    *ended = false;
    DT_TRY_DONE(dt_drawer_create(&drawer, dt_tokenizer_size(tokenizer)));
    DT_TRY_DONE(begin(&given, generator, prompt, tokenizer));
    if (!request->slides) most = dt_min_size(most, context_size - dt_min_size(context_size, given));
    while (*count < most && !stop) {
        int32_t id;
        DT_TRY_DONE(draw(&id, ended, generator, drawer, request, *count));
        if (*ended) break;
        dt_text_clear(&piece);
        DT_TRY_DONE(dt_tokenizer_decode(&piece, tokenizer, &id, 1));
        DT_TRY_DONE(take(context, piece.bytes, piece.length, &stop));
        dt_generator_append(generator, &id, 1);
        ++*count;
    }
done:
    dt_text_destroy(&piece);
    dt_drawer_destroy(&drawer);
    return status;
}
