/* Right answers by what tells questions apart. Private to src/data/expression. */
#ifndef DTRAIN_DATA_EXPRESSION_REPORT_H
#define DTRAIN_DATA_EXPRESSION_REPORT_H

#include <stdio.h>

#include "dtrain/data/source.h"
#include "exact.h"

enum { DT_TALLY_OPERATIONS = 32, DT_TALLY_DEPTHS = 17, DT_TALLY_DIGITS = 65 };

/* Of each the last stands for all that are more. */
typedef struct {
    dt_count operations[DT_TALLY_OPERATIONS];
    dt_count depth[DT_TALLY_DEPTHS];
    dt_count longest[DT_TALLY_DIGITS];
} dt_expression_tally;

void dt_expression_count(dt_expression_tally *tally, const dt_question_facts *facts, bool right);
void dt_expression_print(FILE *out, const int64_t *tally, bool everything);
dt_status dt_expression_report(FILE *out, const int64_t *tally);

#endif
