/* Which split a line belongs to. Private to src/data/expression. */
#ifndef DTRAIN_DATA_LINE_SPLIT_H
#define DTRAIN_DATA_LINE_SPLIT_H

#include <stdint.h>

#include "dtrain/data/split.h"
#include "lines.h"

/* A number for what a line calculates, the same for expressions that differ by the order of
 * summands or factors: of a question that of its expression. seen: with its end. */
uint64_t dt_line_hash(const char *seen, size_t length);

/* 90 % training, 5 % validation, 5 % test. */
dt_split dt_line_split(const char *seen, size_t length);

#endif
