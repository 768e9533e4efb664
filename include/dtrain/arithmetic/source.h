/* Arithmetic as a source of texts. */
#ifndef DTRAIN_ARITHMETIC_SOURCE_H
#define DTRAIN_ARITHMETIC_SOURCE_H

#include "dtrain/arithmetic/problem.h"
#include "dtrain/data/source.h"

extern const dt_source_kind dt_arithmetic_source;

/* Write a problem as text number `index` or the training text at that position has it: with prompt
 * and note. */
dt_status dt_arithmetic_write(dt_text *text, const dt_problem *problem, const dt_config *config,
                              uint64_t index);

/* The problem of such a text. */
dt_problem dt_arithmetic_problem(const dt_note *note);

#endif
