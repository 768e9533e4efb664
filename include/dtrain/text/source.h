/* The lines of a file, and running text, as sources of texts. */
#ifndef DTRAIN_TEXT_SOURCE_H
#define DTRAIN_TEXT_SOURCE_H

#include "dtrain/data/source.h"

extern const dt_source_kind dt_lines_source, dt_windows_source;

#endif
