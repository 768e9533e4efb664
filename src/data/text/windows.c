/* Running text as windows: ranges of its tokens. */
#include "dtrain/text/windows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "tokenize.h"

struct dt_windows {
    dt_tokenized tokenized;
    dt_tokenizer *tokenizer; /* of the tokens */
    size_t context;
    dt_windows_facts facts;
};

/* Tokens by which a window is behind the one before. */
static uint64_t advance_of(const dt_windows *windows) { return windows->context - 1; }

static void fill_facts(dt_windows *windows) {
    const dt_tokens_facts *tokens = dt_tokens_about(windows->tokenized.tokens);
    const uint64_t advance = advance_of(windows);
    dt_windows_facts *facts = &windows->facts;
    facts->bytes = tokens->bytes;
    facts->documents = tokens->documents;
    memcpy(facts->digest, tokens->digest, sizeof facts->digest);
    for (size_t split = 0; split < DT_SPLITS; split++) {
        const uint64_t count = tokens->tokens[split];
        facts->tokens[split] = count;
        facts->windows[split] = count < 2 ? 0 : (count - 1 + advance - 1) / advance;
    }
}

dt_status dt_windows_open(dt_windows **out, const dt_config *config, const dt_tokenizer *tokenizer,
                          size_t context, bool reads) {
    dt_windows *windows = NULL;
    dt_status status;
    *out = NULL;
    DT_REQUIRE(context >= 2, DT_ERR_ARG,
               "--context %zu: a window of running text has 2 tokens at least", context);
    DT_TRY_DONE(dt_memory_alloc(&windows, 1, sizeof *windows, "the windows of a text"));
    windows->context = context;
    DT_TRY_DONE(dt_tokenize(&windows->tokenized, config, tokenizer, reads));
    DT_TRY_DONE(dt_tokens_vocabulary(&windows->tokenizer, windows->tokenized.tokens));
    fill_facts(windows);
    *out = windows;
    windows = NULL;
done:
    dt_windows_discard(&windows);
    return status;
}

void dt_windows_close(dt_windows **windows) {
    if (!*windows) return;
    dt_tokenized_close(&(*windows)->tokenized);
    dt_tokenizer_destroy(&(*windows)->tokenizer);
    dt_memory_free(windows);
}

void dt_windows_discard(dt_windows **windows) {
    if (*windows) dt_tokenized_discard(&(*windows)->tokenized);
    dt_windows_close(windows);
}

const dt_windows_facts *dt_windows_about(const dt_windows *windows) { return &windows->facts; }

size_t dt_windows_length(const dt_windows *windows, dt_split split, uint64_t index) {
    const uint64_t left = windows->facts.tokens[split] - index * advance_of(windows);
    return left < windows->context ? (size_t)left : windows->context;
}

dt_status dt_windows_read(dt_text *text, const dt_windows *windows, dt_split split,
                          uint64_t index) {
    DT_REQUIRE(index < windows->facts.windows[split], DT_ERR_INTERNAL,
               "a text has %" PRIu64 " windows of the %s split, and none with number %" PRIu64,
               windows->facts.windows[split], dt_split_name(split), index);
    const size_t length = dt_windows_length(windows, split, index);
    dt_text_clear(text);
    DT_TRY(dt_text_reserve_ids(text, length));
    DT_TRY(dt_tokens_read(text->id, windows->tokenized.tokens, split, index * advance_of(windows),
                          length));
    text->ids = length;
    text->prompt_length = dt_tokenizer_bytes(windows->tokenizer, text->id[0]).count;
    return dt_tokenizer_decode(text, windows->tokenizer, text->id, length);
}

dt_status dt_windows_tokenizer(dt_tokenizer **tokenizer, const dt_windows *windows) {
    return dt_tokens_vocabulary(tokenizer, windows->tokenized.tokens);
}
