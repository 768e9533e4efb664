/* What an evaluation has found, for people and for programs. */
#ifndef DTRAIN_REPORT_H
#define DTRAIN_REPORT_H

#include "evaluate.h"

/* Of which model it was. */
typedef struct {
    const char *checkpoint;
    int64_t step;
    bool lines;      /* rather than problems */
    const char *ops; /* the operations looked at; NULL: all it has learned */
} report_subject;

/* Both to standard output; the same on any number of ranks. */
void report_text(const eval_result *result, const eval_problems *problems,
                 const report_subject *of);
dt_status report_json(const eval_result *result, const eval_problems *problems,
                      const report_subject *of);

#endif
