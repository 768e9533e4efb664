/* The lines of a file as a source of texts. */
#ifndef DTRAIN_TEXT_SOURCE_H
#define DTRAIN_TEXT_SOURCE_H

#include "dtrain/data/source.h"

extern const dt_source_kind dt_lines_source;

#endif
