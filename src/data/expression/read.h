/* Questions as people type them. Private to src/data/expression. */
#ifndef DTRAIN_DATA_READ_H
#define DTRAIN_DATA_READ_H

#include "dtrain/core/line.h"
#include "dtrain/data/text.h"

/* Replace *text by the question as a calculation begins with it: "QWhat is ^21+^5.1?$". DT_ERR_ARG
 * with a sentence and the location. */
dt_status dt_question_read(dt_text *text, const dt_line *typed);

#endif
