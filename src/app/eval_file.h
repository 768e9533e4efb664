/* Evaluation of questions that a file has, each with its value. */
#ifndef DTRAIN_EVAL_FILE_H
#define DTRAIN_EVAL_FILE_H

#include "command.h"
#include "dtrain/data/source.h"

typedef struct {
    const char *path; /* lines: question, tab, value */
    FILE *errors;     /* on rank 0; NULL: wrong answers are not listed */
    bool list;        /* on all ranks: they are */
    bool json;
} eval_file_request;

/* Ask the model each question, and report on rank 0 how many it answered, and how many of these
 * answers are right. Collective. */
dt_status eval_file(dt_session *s, dt_loaded_model *loaded, const dt_source *source,
                    const eval_file_request *request);

#endif
