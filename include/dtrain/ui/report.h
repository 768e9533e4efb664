/* What an evaluation has found, for people and for programs. */
#ifndef DTRAIN_REPORT_H
#define DTRAIN_REPORT_H

#include "dtrain/train/evaluate.h"

/* Of which model it was. */
typedef struct {
    const char *checkpoint;
    int64_t step;
    const char *part; /* of what it has learned, that was looked at; NULL: all */
    const char *text; /* another text than it has learned, all of it; NULL: none */
} dt_report_subject;

/* Both to standard output; the same on any number of ranks. */
void dt_report_text(const dt_eval_result *result, const dt_eval_problems *problems,
                    const dt_report_subject *of);
dt_status dt_report_json(const dt_eval_result *result, const dt_eval_problems *problems,
                         const dt_report_subject *of);

#endif
