/* Packs problems back to back into one batch, with what the model needs to know of each token. */
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/data.h"

dt_status dt_batch_create(dt_batch *batch, size_t problems, size_t tokens) {
    dt_status status = DT_OK;
    *batch = (dt_batch){.problem_capacity = problems, .token_capacity = tokens};
    DT_REQUIRE_DONE(tokens <= INT32_MAX && problems < INT32_MAX, DT_ERR_ARG,
                    "a batch of %zu problems and %zu tokens is more than 32-bit offsets reach; "
                    "lower --micro-batch",
                    problems, tokens);
    DT_TRY_DONE(dt_memory_alloc(&batch->offset, problems + 1, sizeof *batch->offset, "offsets"));
    DT_TRY_DONE(dt_memory_alloc(&batch->token, tokens, sizeof *batch->token, "tokens"));
    DT_TRY_DONE(dt_memory_alloc(&batch->position, tokens, sizeof *batch->position, "positions"));
    DT_TRY_DONE(dt_memory_alloc(&batch->place, tokens, sizeof *batch->place, "places"));
    DT_TRY_DONE(dt_memory_alloc(&batch->target, tokens, sizeof *batch->target, "targets"));
    DT_TRY_DONE(dt_memory_alloc(&batch->index, problems, sizeof *batch->index, "problem numbers"));
    DT_TRY_DONE(dt_memory_alloc(&batch->problem, problems, sizeof *batch->problem, "problems"));
done:
    if (status != DT_OK) dt_batch_destroy(batch);
    return status;
}

void dt_batch_destroy(dt_batch *batch) {
    dt_memory_free(&batch->offset);
    dt_memory_free(&batch->token);
    dt_memory_free(&batch->position);
    dt_memory_free(&batch->place);
    dt_memory_free(&batch->target);
    dt_memory_free(&batch->index);
    dt_memory_free(&batch->problem);
    *batch = (dt_batch){0};
}

void dt_batch_clear(dt_batch *batch) {
    batch->problems = 0;
    batch->tokens = 0;
    batch->scored = 0;
}

/* How many of the tokens begin within the prompt's bytes. */
static size_t prompt_tokens(const dt_tokenizer *tokenizer, const int32_t *id, size_t count,
                            size_t prompt_length) {
    size_t bytes = 0, tokens = 0;
    while (tokens < count && bytes < prompt_length) {
        bytes += strlen(dt_tokenizer_token(tokenizer, id[tokens++]));
    }
    return tokens;
}

dt_status dt_batch_append_text(dt_batch *batch, const char *text, size_t prompt_length,
                               uint64_t index, const dt_tokenizer *tokenizer) {
    int32_t id[DT_TEXT_MAX];
    size_t count;
    DT_TRY(dt_tokenizer_encode(id, DT_TEXT_MAX, &count, tokenizer, text));
    const size_t inputs = count - 1; /* after the last token there is nothing to predict */
    const size_t start = batch->tokens;
    DT_REQUIRE(batch->problems < batch->problem_capacity, DT_ERR_INTERNAL,
               "a batch has room for %zu problems and gets one more", batch->problem_capacity);
    DT_REQUIRE(inputs <= batch->token_capacity - start, DT_ERR_INTERNAL,
               "a batch has room for %zu tokens and gets %zu", batch->token_capacity,
               start + inputs);
    const size_t given = prompt_tokens(tokenizer, id, count, prompt_length);
    memcpy(batch->token + start, id, inputs * sizeof *id);
    dt_tokenizer_places(batch->position + start, batch->place + start, tokenizer, id, inputs);
    for (size_t i = 0; i < inputs; i++) {
        batch->target[start + i] = i + 1 < given ? -1 : id[i + 1];
    }
    batch->index[batch->problems] = index;
    batch->problem[batch->problems] = (dt_problem){0};
    batch->problems++;
    batch->tokens += inputs;
    batch->scored += count - given;
    batch->offset[batch->problems] = (int32_t)batch->tokens;
    return DT_OK;
}

dt_status dt_batch_append(dt_batch *batch, const dt_problem *problem, uint64_t index,
                          dt_format format, const dt_tokenizer *tokenizer) {
    char text[DT_TEXT_MAX];
    size_t prompt_length;
    DT_TRY(dt_format_write_as(text, sizeof text, &prompt_length, problem, format,
                              dt_chat_phrasing(index)));
    DT_TRY(dt_batch_append_text(batch, text, prompt_length, index, tokenizer));
    batch->problem[batch->problems - 1] = *problem;
    return DT_OK;
}

void dt_batch_shift_places(dt_batch *batch, size_t b, int32_t offset) {
    for (int32_t i = batch->offset[b]; i < batch->offset[b + 1]; i++) {
        if (batch->place[i] > 0) batch->place[i] += offset;
    }
}

dt_status dt_batch_prompt(char *text, size_t size, const dt_batch *batch, size_t b,
                          const dt_tokenizer *tokenizer) {
    const size_t begin = (size_t)batch->offset[b], end = (size_t)batch->offset[b + 1];
    size_t given = 1; /* nothing predicts the first token */
    while (begin + given < end && batch->target[begin + given - 1] < 0) given++;
    return dt_tokenizer_decode(text, size, tokenizer, batch->token + begin, given);
}

dt_status dt_batch_text(char *text, size_t size, const dt_batch *batch, size_t b,
                        const dt_tokenizer *tokenizer) {
    const size_t begin = (size_t)batch->offset[b], end = (size_t)batch->offset[b + 1];
    DT_TRY(dt_tokenizer_decode(text, size, tokenizer, batch->token + begin, end - begin));
    const size_t used = strlen(text);
    return dt_tokenizer_decode(text + used, size - used, tokenizer, &batch->target[end - 1], 1);
}
