/* Problems written as text, for the tests of formats. */
#ifndef WRITTEN_H
#define WRITTEN_H

#include "dtrain/arithmetic/format.h"

static const dt_format formats[] = {DT_FORMAT_PLAIN, DT_FORMAT_REVERSE, DT_FORMAT_SCRATCHPAD,
                                    DT_FORMAT_CHAT};
enum { FORMATS = sizeof formats / sizeof *formats };

/* The data settings of a job, with a seed. */
dt_config config_of(const char *ops, int64_t digits, int64_t dividend_digits,
                    int64_t divisor_digits, dt_format format);

/* Writes a problem and returns the length of its prompt; the test fails if it cannot be written. */
size_t write_phrased(char text[DT_PROBLEM_TEXT_MAX], const dt_problem *problem, dt_format format,
                     size_t phrasing);

/* The same, with a phrasing that depends only on the operands. */
size_t write_problem(char text[DT_PROBLEM_TEXT_MAX], const dt_problem *problem, dt_format format);

#endif
