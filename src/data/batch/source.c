/* What all sources of texts have in common once they are open. */
#include "dtrain/data/source.h"

#include <string.h>

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

dt_status dt_source_train(dt_batch *batch, const dt_source *source, uint64_t position) {
    DT_TRY(source->kind->train(&batch->text, source, position));
    DT_TRY(dt_batch_append(batch, &batch->text, position, source->tokenizer));
    const int32_t offset = dt_place_offset(&source->config, position);
    dt_batch_shift_places(batch, batch->problems - 1, offset);
    dt_batch_distract(batch, &source->config, source->tokenizer, position);
    if (source->config.place_embedding == DT_PLACES_ROTARY)
        dt_batch_place_rest(batch, batch->problems - 1, offset + 1);
    return DT_OK;
}

dt_status dt_source_sample(dt_batch *batch, const dt_source *source, dt_split split,
                           uint64_t index) {
    DT_TRY(source->kind->write(&batch->text, source, split, index));
    return dt_batch_append(batch, &batch->text, index, source->tokenizer);
}
