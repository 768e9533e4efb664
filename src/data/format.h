/* What writing problems and reading them back share. Private to src/data. */
#ifndef DTRAIN_DATA_FORMAT_H
#define DTRAIN_DATA_FORMAT_H

#include "decimal.h"
#include "dtrain/data.h"

/* Whether it has an answer, of numbers that can be written: DT_ERR_ARG says why not. */
dt_status dt_problem_check(const dt_problem *problem);

/* What was produced, without the end sign. */
dt_span dt_format_produced(const char *produced);

/* Whether the steps are written out before the answer. */
bool dt_format_has_working(const dt_problem *problem, dt_format format);

/* These steps; nothing for a sum. */
void dt_format_put_steps(dt_text *text, const dt_problem *problem);

/* Quotient and remainder as the last step of a division has them, so that each digit is copied from
 * its own place: "0029r10". */
void dt_format_put_result(dt_text *text, const dt_problem *problem);

/* Which end of a number comes first; of dividends and quotients, which long division goes through
 * from the front, it is always the most significant. */
dt_digit_order dt_format_order(dt_format format);

#endif
