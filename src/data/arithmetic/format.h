/* What writing problems and reading them back share. Private to src/data/arithmetic. */
#ifndef DTRAIN_DATA_FORMAT_H
#define DTRAIN_DATA_FORMAT_H

#include "decimal.h"
#include "dtrain/arithmetic/format.h"
#include "dtrain/data/text.h"

/* Whether it has an answer, of numbers that can be written: DT_ERR_ARG says why not. */
dt_status dt_problem_check(const dt_problem *problem);

/* Write a problem as the model reads it, with its start marks: replaces the text and where its
 * prompt ends, not its note. */
dt_status dt_format_write_text(dt_text *text, const dt_problem *problem, dt_format format,
                               dt_marks marks, size_t phrasing);

/* What was produced, without the end token. */
dt_span dt_format_produced(const char *produced);

/* Whether the steps are written out before the answer. */
bool dt_format_has_working(dt_format format);

/* These steps. */
void dt_format_put_steps(dt_draft *text, const dt_problem *problem);

/* The answer as the last step has it, so that each digit is copied from its own place and no end
 * has to be found: "1010", "0029r10". */
void dt_format_put_result(dt_draft *text, const dt_problem *problem);

/* Digits of that: of a sum, a difference, a product, a quotient. A remainder has the divisor's. */
size_t dt_format_result_width(const dt_problem *problem);

/* Which end of a number comes first; of dividends and quotients, which long division goes through
 * from the front, it is always the most significant. */
dt_digit_order dt_format_order(dt_format format);

#endif
