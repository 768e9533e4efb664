/* What all sources of texts have in common once they are open. */
#include "dtrain/data/source.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "dtrain/data/distract.h"

dt_source dt_source_with(const dt_source *source, const dt_config *config) {
    return (dt_source){source->kind, *config, source->tokenizer, NULL, source->data};
}

int32_t dt_source_end(const dt_source *source) {
    const char *end = source->kind->end;
    int32_t id;
    size_t count;
    if (!end) return dt_tokenizer_end(source->tokenizer);
    if (dt_tokenizer_encode(&id, 1, &count, source->tokenizer, end, strlen(end)) == DT_OK)
        return id;
    dt_error_clear();
    return -1;
}

bool dt_source_has_answers(const dt_source *source) {
    return !source->kind->has_answers || source->kind->has_answers(source);
}

dt_status dt_source_count(uint64_t *count, const dt_source *source, dt_split split,
                          uint64_t wanted) {
    DT_TRY(source->kind->count(count, source, split));
    if (*count > wanted) *count = wanted;
    return DT_OK;
}

int32_t dt_place_offset(const dt_config *config, uint64_t position) {
    uint32_t word[4];
    if (config->place_offset == 0) return 0;
    dt_random_block(word, (uint64_t)config->seed, DT_RANDOM_PLACE, 0, position);
    const bool low = word[1] % 8 == 0;
    const uint64_t most = (uint64_t)config->place_offset / (low ? 16 : 1);
    return (int32_t)(((uint64_t)word[0] * (most + 1)) >> 32);
}

/* By how much the places of a number that has nothing to do with the others begin later than
 * theirs. In longer numbers two are further apart than in any of the training, so nothing may be
 * learned of how far; in a window, where only near places are seen, each of them should be near any
 * of the others now and then. */
static int32_t draw_apart(const uint32_t word[4], const dt_config *config, int32_t offset) {
    const int32_t most = (int32_t)config->place_offset,
                  near = 2 * (int32_t)config->place_window + 2;
    if (config->place_window == 0)
        return (int32_t)dt_random_below(word, (uint64_t)most + 1) - offset;
    const int32_t further = (int32_t)dt_random_below(word, (uint64_t)near + 1);
    return further < most - offset ? further : most - offset;
}

/* With a window every other text keeps its numbers at one place, as texts that are asked do. */
static bool moves_apart(const dt_config *config, uint64_t position) {
    uint32_t word[4];
    dt_random_block(word, (uint64_t)config->seed, DT_RANDOM_PLACE, 0, position);
    return config->place_window == 0 || word[2] % 2 == 0;
}

static dt_status move_apart(dt_batch *batch, const dt_source *source, uint64_t position,
                            int32_t offset) {
    const dt_config *config = &source->config;
    const size_t first = (size_t)batch->offset[batch->problems - 1], count = batch->tokens - first;
    uint16_t *group = NULL;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&group, batch->text.length, sizeof *group, "groups of numbers"));
    DT_TRY_DONE(source->kind->groups(group, source, &batch->text));
    for (size_t i = 0, byte = 0; i < count; i++) {
        uint32_t word[4];
        const uint32_t of = group[byte];
        byte += dt_tokenizer_bytes(source->tokenizer, batch->token[first + i]).count;
        if (of == 0 || batch->place[first + i] == 0) continue;
        dt_random_block(word, (uint64_t)config->seed, DT_RANDOM_PLACE, 2 * of, position);
        batch->apart[i] = draw_apart(word, config, offset);
    }
done:
    dt_memory_free(&group);
    return status;
}

/* What has no place may have any, so that it is found wherever it is. */
static void settle_places(dt_batch *batch, const dt_config *config, uint64_t position,
                          size_t count) {
    const size_t first = batch->tokens - count;
    for (size_t i = 0; i < count; i++) {
        uint32_t word[4];
        int32_t place = batch->place[first + i] + batch->apart[i];
        if (place == 0) {
            dt_random_block(word, (uint64_t)config->seed, DT_RANDOM_PLACE, 2 * (uint32_t)i + 1,
                            position);
            place = 1 + (int32_t)dt_random_below(word, (uint64_t)config->place_offset + 1);
        }
        dt_batch_move(batch, first + i, place);
    }
}

dt_status dt_source_train(dt_batch *batch, const dt_source *source, uint64_t position) {
    const dt_config *config = &source->config;
    const bool rotary = config->place_embedding == DT_PLACES_ROTARY;
    const int32_t offset = dt_place_offset(config, position);
    const size_t before = batch->tokens;
    DT_TRY(source->kind->train(&batch->text, source, position));
    DT_TRY(dt_batch_append(batch, &batch->text, position, source->tokenizer));
    const size_t count = batch->tokens - before;
    dt_batch_shift_places(batch, batch->problems - 1, offset);
    memset(batch->apart, 0, count * sizeof *batch->apart);
    if (rotary && source->kind->groups && moves_apart(config, position))
        DT_TRY(move_apart(batch, source, position, offset));
    dt_batch_distract(batch, config, source->tokenizer, position);
    if (rotary) settle_places(batch, config, position, count);
    return DT_OK;
}

dt_status dt_source_sample(dt_batch *batch, const dt_source *source, dt_split split,
                           uint64_t index) {
    DT_TRY(source->kind->write(&batch->text, source, split, index));
    return dt_batch_append(batch, &batch->text, index, source->tokenizer);
}
