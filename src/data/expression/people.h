/* Lines of a calculation as people write them. Private to src/data/expression. */
#ifndef DTRAIN_DATA_PEOPLE_H
#define DTRAIN_DATA_PEOPLE_H

#include "dtrain/expression/machine.h"
#include "lines.h"

/* Append a part of a line, numbers the normal way round. */
dt_status dt_people_write(dt_text *text, const char *part, size_t count);

/* Append the answer at the end of a whole text, in the near working without a remainder of 0:
 * DT_ERR_DATA if there is none. */
dt_status dt_people_answer(dt_text *answer, const char *text, dt_line_rules rules);

/* Append the working, a step a line. */
dt_status dt_people_working(dt_text *working, const char *text);

#endif
