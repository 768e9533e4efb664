/* Answers of a model that sees a part of its text at a time. */
#ifndef DTRAIN_ANSWER_H
#define DTRAIN_ANSWER_H

#include "dtrain/data/source.h"
#include "dtrain/model/model.h"

/**
 * Continue each prompt as dt_generator_run does; where the source says that the model sees only a
 * part of its text, line by line to the end of the text.
 *
 * @param[in,out] produced  (count) replaced by what follows the prompts, without the end token
 * @param         prompt    (count) at most as many as the generator has room for
 */
dt_status dt_generator_answer(dt_generator *generator, dt_text *produced, const char *const *prompt,
                              size_t count, const dt_source *source);

#endif
