/* Draws questions and lines by number. Private to src/data/expression. */
#ifndef DTRAIN_DATA_EXPRESSION_SAMPLER_H
#define DTRAIN_DATA_EXPRESSION_SAMPLER_H

#include <stdint.h>

#include "dtrain/core/config.h"
#include "dtrain/data/split.h"
#include "dtrain/data/text.h"

/* The longest line with what it follows from, in tokens, and digits of the longest number in it. */
size_t dt_expression_longest(const dt_config *config);
size_t dt_expression_digits(const dt_config *config);

/* Digits of the longest number of a text, as the model counts their places. */
size_t dt_expression_longest_number(const char *text);

/* Replace *text by what the model sees, and the line that follows from it: a pure function of
 * settings, split and index. */
dt_status dt_line_sample(dt_text *text, const dt_config *config, dt_split split, uint64_t index);

/* The same of a whole calculation: a question, and the first line that follows. */
dt_status dt_question_sample(dt_text *text, const dt_config *config, dt_split split,
                             uint64_t index);

#endif
