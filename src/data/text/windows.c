/* Running text as windows: ranges of its tokens. */
#include "dtrain/text/windows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "tokenize.h"

struct dt_windows {
    dt_tokenized tokenized;
    dt_tokenizer *tokenizer; /* of the tokens */
    size_t context;
    dt_windows_facts facts;
};

/* Tokens by which a window is behind the one before. */
static uint64_t advance_of(const dt_windows *windows) { return windows->context - 1; }

/* Windows of a part if all are moved `back` tokens towards its beginning. */
static uint64_t count_of(const dt_windows *windows, dt_split split, uint64_t back) {
    const uint64_t count = windows->facts.tokens[split], advance = advance_of(windows);
    return count < 2 ? 0 : (count - 1 + back + advance - 1) / advance;
}

/* Every epoch needs the same number of windows. Without another window they can move by 0 … missing
 * tokens: what the last one lacks; with one more by missing + 1 … advance - 1. That with more
 * choice is taken; but in a short text no window is added, where it would be much. */
typedef struct {
    uint64_t least, most;
} backs;

static backs find_backs(const dt_windows *windows) {
    static const uint64_t MANY = 16;
    const uint64_t advance = advance_of(windows), count = count_of(windows, DT_TRAIN, 0);
    if (count == 0) return (backs){0, 0};
    const uint64_t missing = count * advance - (windows->facts.tokens[DT_TRAIN] - 1);
    if (count >= MANY && 2 * (missing + 1) < advance) return (backs){missing + 1, advance - 1};
    return (backs){0, missing};
}

static void fill_facts(dt_windows *windows) {
    const dt_tokens_facts *tokens = dt_tokens_about(windows->tokenized.tokens);
    dt_windows_facts *facts = &windows->facts;
    facts->bytes = tokens->bytes;
    facts->documents = tokens->documents;
    memcpy(facts->digest, tokens->digest, sizeof facts->digest);
    for (size_t split = 0; split < DT_SPLITS; split++) {
        facts->tokens[split] = tokens->tokens[split];
        facts->windows[split] = count_of(windows, (dt_split)split, 0);
    }
    facts->moved_windows = count_of(windows, DT_TRAIN, find_backs(windows).most);
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

uint64_t dt_windows_back(const dt_windows *windows, uint64_t seed, uint64_t epoch) {
    const backs range = find_backs(windows);
    uint32_t word[4];
    dt_random_block(word, seed, DT_RANDOM_WINDOWS, 0, epoch);
    return range.least + dt_random_below(word, range.most - range.least + 1);
}

/* A window's tokens in its part: begin … end - 1. */
typedef struct {
    uint64_t begin, end;
} stretch;

static stretch stretch_of(const dt_windows *windows, dt_split split, uint64_t back,
                          uint64_t index) {
    const uint64_t at = index * advance_of(windows), end = at + windows->context - back;
    const uint64_t tokens = windows->facts.tokens[split];
    return (stretch){at > back ? at - back : 0, end < tokens ? end : tokens};
}

size_t dt_windows_length(const dt_windows *windows, dt_split split, uint64_t back, uint64_t index) {
    const stretch tokens = stretch_of(windows, split, back, index);
    return (size_t)(tokens.end - tokens.begin);
}

dt_status dt_windows_read(dt_text *text, const dt_windows *windows, dt_split split, uint64_t back,
                          uint64_t index) {
    const uint64_t count = count_of(windows, split, back);
    DT_REQUIRE(index < count, DT_ERR_INTERNAL,
               "a text has %" PRIu64 " windows of the %s split, and none with number %" PRIu64,
               count, dt_split_name(split), index);
    const stretch tokens = stretch_of(windows, split, back, index);
    const size_t length = (size_t)(tokens.end - tokens.begin);
    dt_text_clear(text);
    DT_TRY(dt_text_reserve_ids(text, length));
    DT_TRY(dt_tokens_read(text->id, windows->tokenized.tokens, split, tokens.begin, length));
    text->ids = length;
    text->prompt_length = dt_tokenizer_bytes(windows->tokenizer, text->id[0]).count;
    return dt_tokenizer_decode(text, windows->tokenizer, text->id, length);
}

dt_status dt_windows_tokenizer(dt_tokenizer **tokenizer, const dt_windows *windows) {
    return dt_tokens_vocabulary(tokenizer, windows->tokenized.tokens);
}
