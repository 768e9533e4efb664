/* What an answer must be, by exact rational arithmetic. Private to src/data/expression. */
#ifndef DTRAIN_DATA_EXACT_H
#define DTRAIN_DATA_EXACT_H

#include "dtrain/core/status.h"
#include "dtrain/expression/machine.h"
#include "lines.h"

/* What tells questions apart. */
typedef struct {
    size_t operations;
    size_t depth;   /* brackets within each other */
    size_t longest; /* digits of the longest number */
    char operation; /* the only one, or 0 */
    bool natural;   /* it asks for the quotient of two natural numbers */
} dt_question_facts;

/* DT_ERR_DATA: it is no question. */
dt_status dt_question_facts_of(dt_question_facts *facts, const char *question);

/* The answers to a question that are right, as people read them: "7", "2.25", "29 r 1", "≈ 0.3333",
 * "division by zero" or in words. The second is empty but where the first has more than 8 decimals.
 * In the near working a division has no decimals. */
dt_status dt_exact_answers(dt_text right[2], const char *question, dt_line_rules rules);

/* Whether a question has this value, "7", "-0.25" or "22/7", and an answer as people read it, with
 * its words, is a right one. What follows a space in the value does not count. DT_ERR_DATA: the
 * value cannot be read. */
dt_status dt_exact_is(bool *right, const char *answer, const char *question, const char *value,
                      dt_line_rules rules);

#endif
