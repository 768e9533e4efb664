/* What follows from a line, and what of it was copied. Private to src/data/expression. */
#ifndef DTRAIN_DATA_EXPRESSION_FOLLOW_H
#define DTRAIN_DATA_EXPRESSION_FOLLOW_H

#include "dtrain/expression/machine.h"
#include "lines.h"

/* As dt_expression_next; where the pen has origins, they are told. */
dt_status dt_line_follow(dt_pen *pen, const char *seen, size_t length, dt_line_rules rules);

#endif
