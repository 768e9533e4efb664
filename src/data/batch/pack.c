/* Packs texts back to back into one batch, with what the model needs to know of each token. */
#include "dtrain/data/pack.h"

#include <string.h>

#include "dtrain/core/memory.h"

dt_status dt_batch_create(dt_batch *batch, size_t problems, size_t tokens) {
    dt_status status = DT_OK;
    *batch = (dt_batch){.problem_capacity = problems, .token_capacity = tokens};
    DT_REQUIRE_DONE(tokens <= INT32_MAX && problems < INT32_MAX, DT_ERR_ARG,
                    "a batch of %zu problems and %zu tokens is more than 32-bit offsets reach; "
                    "lower --micro-batch",
                    problems, tokens);
    DT_TRY_DONE(dt_memory_alloc(&batch->offset, problems + 1, sizeof *batch->offset, "offsets"));
    DT_TRY_DONE(
        dt_memory_alloc(&batch->document, tokens + 1, sizeof *batch->document, "documents"));
    /* One more: the last token of a text is written, but not kept. */
    DT_TRY_DONE(dt_memory_alloc(&batch->token, tokens + 1, sizeof *batch->token, "tokens"));
    DT_TRY_DONE(dt_memory_alloc(&batch->position, tokens, sizeof *batch->position, "positions"));
    DT_TRY_DONE(dt_memory_alloc(&batch->place, tokens, sizeof *batch->place, "places"));
    DT_TRY_DONE(dt_memory_alloc(&batch->spot, tokens, sizeof *batch->spot, "places"));
    DT_TRY_DONE(dt_memory_alloc(&batch->target, tokens, sizeof *batch->target, "targets"));
    DT_TRY_DONE(dt_memory_alloc(&batch->apart, tokens, sizeof *batch->apart, "places"));
    DT_TRY_DONE(dt_memory_alloc(&batch->index, problems, sizeof *batch->index, "problem numbers"));
    DT_TRY_DONE(dt_memory_alloc(&batch->note, problems, sizeof *batch->note, "notes of texts"));
done:
    if (status != DT_OK) dt_batch_destroy(batch);
    return status;
}

void dt_batch_destroy(dt_batch *batch) {
    dt_memory_free(&batch->offset);
    dt_memory_free(&batch->document);
    dt_memory_free(&batch->token);
    dt_memory_free(&batch->position);
    dt_memory_free(&batch->place);
    dt_memory_free(&batch->spot);
    dt_memory_free(&batch->target);
    dt_memory_free(&batch->apart);
    dt_memory_free(&batch->index);
    dt_memory_free(&batch->note);
    dt_text_destroy(&batch->text);
    *batch = (dt_batch){0};
}

void dt_batch_clear(dt_batch *batch) {
    batch->problems = 0;
    batch->documents = 0;
    batch->tokens = 0;
    batch->scored = 0;
    batch->bytes = 0;
}

/* How many of the tokens begin within the prompt's bytes. */
static size_t prompt_tokens(const dt_tokenizer *tokenizer, const int32_t *id, size_t count,
                            size_t prompt_length) {
    size_t bytes = 0, tokens = 0;
    while (tokens < count && bytes < prompt_length) {
        bytes += dt_tokenizer_bytes(tokenizer, id[tokens++]).count;
    }
    return tokens;
}

dt_status dt_text_tokens(int32_t *id, size_t capacity, size_t *count, const dt_text *text,
                         const dt_tokenizer *tokenizer) {
    if (text->ids == 0)
        return dt_tokenizer_encode(id, capacity, count, tokenizer, text->bytes, text->length);
    DT_REQUIRE(text->ids <= capacity, DT_ERR_INTERNAL,
               "a text has %zu tokens, and there is room for %zu", text->ids, capacity);
    memcpy(id, text->id, text->ids * sizeof *id);
    *count = text->ids;
    return DT_OK;
}

/* A text is a document, and where one ends in it another begins, with the token that says so. What
 * these tokens stand for are no bytes. */
static void find_documents(dt_batch *batch, const dt_tokenizer *tokenizer, size_t start,
                           size_t inputs) {
    const int32_t end = dt_tokenizer_end(tokenizer);
    for (size_t i = start; i < start + inputs; i++) {
        const bool ends = end >= 0 && batch->token[i] == end;
        if (i == start || ends) batch->document[batch->documents++] = (int32_t)i;
        if (end >= 0 && batch->target[i] == end) batch->bytes -= sizeof DT_END_OF_DOCUMENT - 1;
    }
    batch->document[batch->documents] = (int32_t)(start + inputs);
}

dt_status dt_batch_append(dt_batch *batch, const dt_text *text, uint64_t index,
                          const dt_tokenizer *tokenizer) {
    const size_t start = batch->tokens;
    int32_t *id = batch->token + start;
    size_t count = 0;
    DT_REQUIRE(batch->problems < batch->problem_capacity, DT_ERR_INTERNAL,
               "a batch has room for %zu problems and gets one more", batch->problem_capacity);
    DT_TRY(dt_text_tokens(id, batch->token_capacity - start + 1, &count, text, tokenizer));
    const size_t inputs = count - 1; /* after the last token there is nothing to predict */
    const size_t given = prompt_tokens(tokenizer, id, count, text->prompt_length);
    dt_tokenizer_places(batch->position + start, batch->place + start, batch->spot + start,
                        tokenizer, id, inputs);
    for (size_t i = 0; i < inputs; i++) {
        batch->target[start + i] = i + 1 < given ? -1 : id[i + 1];
    }
    batch->index[batch->problems] = index;
    batch->note[batch->problems] = text->note;
    batch->problems++;
    batch->tokens += inputs;
    batch->scored += count - given;
    batch->bytes += text->length - text->prompt_length;
    batch->offset[batch->problems] = (int32_t)batch->tokens;
    find_documents(batch, tokenizer, start, inputs);
    return DT_OK;
}

void dt_batch_shift_places(dt_batch *batch, size_t b, int32_t offset) {
    for (int32_t i = batch->offset[b]; i < batch->offset[b + 1]; i++) {
        if (batch->place[i] > 0) dt_batch_move(batch, (size_t)i, batch->place[i] + offset);
    }
}

dt_status dt_batch_text(dt_text *text, const dt_batch *batch, size_t b,
                        const dt_tokenizer *tokenizer) {
    const size_t begin = (size_t)batch->offset[b], end = (size_t)batch->offset[b + 1];
    size_t given = 1; /* nothing predicts the first token */
    while (begin + given < end && batch->target[begin + given - 1] < 0) given++;
    dt_text_clear(text);
    DT_TRY(dt_tokenizer_decode(text, tokenizer, batch->token + begin, given));
    text->prompt_length = text->length;
    DT_TRY(dt_tokenizer_decode(text, tokenizer, batch->token + begin + given, end - begin - given));
    text->note = batch->note[b];
    return dt_tokenizer_decode(text, tokenizer, &batch->target[end - 1], 1);
}
