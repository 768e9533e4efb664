/* Distractors: digits before a training text that stand for those of longer numbers, which have
 * other places. */
#include "dtrain/data/distract.h"

#include <ctype.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"

/* Between a text's places and those of its distractors: it still sees where its numbers end. */
enum { GAP = 2 };

/* Places that distractors may have. */
typedef struct {
    int32_t below;       /* 1 … below */
    int32_t above, last; /* above … last */
} free_places;

static int32_t free_count(const free_places *f) {
    const int32_t above = f->last - f->above + 1;
    return f->below + (above > 0 ? above : 0);
}

/* All that such a text's digits may have, but for its own, and the gap. */
static free_places find_free(const dt_batch *batch, size_t begin, size_t end, int32_t offset) {
    int32_t least = INT32_MAX, most = 0;
    for (size_t i = begin; i < end; i++) {
        const int32_t place = batch->place[i];
        if (place > 0 && place < least) least = place;
        if (place > most) most = place;
    }
    if (most == 0) return (free_places){.above = 1};
    const int32_t below = least - GAP - 1;
    return (free_places){
        .below = below > 0 ? below : 0, .above = most + GAP + 1, .last = most - least + 1 + offset};
}

/* A digit or letter of a number. All its tokens have the same position, and the one behind it, too:
 * so the next one tells whether a token belongs to it. */
static bool is_of_number(const dt_batch *batch, size_t i, const dt_tokenizer *tokenizer) {
    const char *token = dt_tokenizer_token(tokenizer, batch->token[i]);
    const bool character = token && token[0] && !token[1] && isalnum((unsigned char)token[0]);
    return character && batch->place[i] > 0 && batch->position[i] == batch->position[i + 1];
}

/* The first token of a number in begin … end - 1 from `from` on, and from `begin`; `end`: there is
 * none. */
static size_t find_of_number(const dt_batch *batch, size_t begin, size_t end, size_t from,
                             const dt_tokenizer *tokenizer) {
    for (size_t i = from; i + 1 < end; i++) {
        if (is_of_number(batch, i, tokenizer)) return i;
    }
    for (size_t i = begin; i < from && i + 1 < end; i++) {
        if (is_of_number(batch, i, tokenizer)) return i;
    }
    return end;
}

static void move(int32_t *value, size_t begin, size_t end, size_t count) {
    memmove(value + begin + count, value + begin, (end - begin) * sizeof *value);
}

size_t dt_distractors(const dt_config *config, uint64_t position) {
    uint32_t word[4];
    if (config->distractors == 0) return 0;
    dt_random_block(word, (uint64_t)config->seed, DT_RANDOM_DISTRACTOR, 0, position);
    return (size_t)dt_random_below(word, (uint64_t)config->distractors + 1);
}

void dt_batch_distract(dt_batch *batch, const dt_config *config, const dt_tokenizer *tokenizer,
                       uint64_t position) {
    const size_t b = batch->problems - 1, begin = (size_t)batch->offset[b], end = batch->tokens;
    const size_t room = batch->token_capacity / batch->problem_capacity;
    const size_t left = room > end - begin ? room - (end - begin) : 0;
    const size_t count = dt_min_size(dt_distractors(config, position), left);
    if (count == 0) return;
    const free_places free = find_free(batch, begin, end, (int32_t)config->place_offset);
    const int32_t places = free_count(&free);
    if (places <= 0 || find_of_number(batch, begin, end, begin, tokenizer) == end) return;
    move(batch->token, begin, end, count);
    move(batch->position, begin, end, count);
    move(batch->place, begin, end, count);
    move(batch->target, begin, end, count);
    batch->tokens += count;
    batch->offset[b + 1] = (int32_t)batch->tokens;
    batch->document[batch->documents] = (int32_t)batch->tokens;
    const size_t first = begin + count;
    for (size_t k = 0; k < count; k++) {
        uint32_t word[4];
        dt_random_block(word, (uint64_t)config->seed, DT_RANDOM_DISTRACTOR, (uint32_t)k + 1,
                        position);
        const size_t from = first + dt_random_below(word, end - begin);
        const size_t like = find_of_number(batch, first, batch->tokens, from, tokenizer);
        const int32_t place = (int32_t)dt_random_below(word + 2, (uint64_t)places);
        batch->token[begin + k] = batch->token[like];
        batch->position[begin + k] = batch->position[like];
        batch->place[begin + k] = place < free.below ? place + 1 : free.above + place - free.below;
        batch->target[begin + k] = -1;
    }
}
