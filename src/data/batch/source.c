/* Where the texts of batches come from: problems that are drawn, or the lines of a file. */
#include "dtrain/core/random.h"
#include "dtrain/core/utf8.h"
#include "dtrain/data/data.h"

/* Lines of a split are counted in a random order, so that the first of them speak for all, also of
 * a sorted file. */
static dt_status read_line(char *text, size_t *prompt_length, const dt_source *source,
                           dt_split split, uint64_t number) {
    const uint64_t count = dt_lines_about(source->lines)->lines[split];
    DT_REQUIRE(number < count, DT_ERR_INTERNAL, "line %llu of the %llu of a split",
               (unsigned long long)number, (unsigned long long)count);
    /* No epoch comes that far. */
    const uint32_t order = UINT32_MAX - (uint32_t)split;
    const uint64_t line = dt_random_permute(number, count, (uint64_t)source->config->seed, order);
    return dt_lines_read(text, DT_TEXT_MAX, prompt_length, source->lines, split, line);
}

static dt_status append_line(dt_batch *batch, const dt_source *source, dt_split split,
                             uint64_t number, uint64_t index) {
    char text[DT_TEXT_MAX];
    size_t prompt_length = 0;
    DT_TRY(read_line(text, &prompt_length, source, split, number));
    return dt_batch_append_text(batch, text, prompt_length, index, source->tokenizer);
}

/* The number in the split of the line at a position of the run. */
static dt_status number_of_line(uint64_t *number, const dt_config *config, uint64_t position) {
    const uint64_t examples = (uint64_t)config->train_examples;
    DT_REQUIRE(examples > 0, DT_ERR_INTERNAL, "how many lines to train on is not settled");
    *number = dt_random_permute(position % examples, examples, (uint64_t)config->seed,
                                (uint32_t)(position / examples));
    return DT_OK;
}

dt_status dt_source_train(dt_batch *batch, const dt_source *source, uint64_t position) {
    const dt_config *config = source->config;
    if (source->lines) {
        uint64_t number = 0;
        DT_TRY(number_of_line(&number, config, position));
        return append_line(batch, source, DT_TRAIN, number, position);
    }
    dt_problem problem;
    DT_TRY(dt_problem_train(&problem, config, position));
    return dt_batch_append(batch, &problem, position, (dt_format)config->format, source->tokenizer);
}

dt_status dt_source_train_length(uint32_t *tokens, const dt_source *source, uint64_t position) {
    const dt_config *config = source->config;
    char text[DT_TEXT_MAX];
    size_t prompt_length = 0;
    if (source->lines) {
        uint64_t number = 0;
        DT_TRY(number_of_line(&number, config, position));
        DT_TRY(read_line(text, &prompt_length, source, DT_TRAIN, number));
    } else {
        dt_problem problem;
        DT_TRY(dt_problem_train(&problem, config, position));
        DT_TRY(dt_format_write_as(text, sizeof text, &prompt_length, &problem,
                                  (dt_format)config->format, dt_chat_phrasing(position)));
    }
    /* A character is a token; the last one is only predicted. */
    *tokens = (uint32_t)dt_utf8_count(text) - 1;
    return DT_OK;
}

dt_status dt_source_sample(dt_batch *batch, const dt_source *source, dt_split split,
                           uint64_t index) {
    const dt_config *config = source->config;
    if (source->lines) return append_line(batch, source, split, index, index);
    dt_problem problem;
    DT_TRY(dt_problem_sample(&problem, config, split, index));
    return dt_batch_append(batch, &problem, index, (dt_format)config->format, source->tokenizer);
}

size_t dt_source_count(const dt_source *source, dt_split split, size_t wanted) {
    if (!source->lines) return wanted;
    const size_t lines = dt_lines_about(source->lines)->lines[split];
    return lines < wanted ? lines : wanted;
}
