/* Expressions as a source of texts: a calculator. */
#ifndef DTRAIN_EXPRESSION_SOURCE_H
#define DTRAIN_EXPRESSION_SOURCE_H

#include "dtrain/data/source.h"

extern const dt_source_kind dt_expression_source;

#endif
