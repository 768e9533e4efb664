/* What people type, character by character. */
#ifndef DTRAIN_TYPED_H
#define DTRAIN_TYPED_H

#include "dtrain/core/line.h"
#include "dtrain/core/utf8.h"

/* The character at a byte of a line in its plain form: full-width punctuation, letters and digits
 * become ASCII, and any space becomes " "; "" at the end. The bytes it takes. */
size_t dt_typed_character(char plain[DT_UTF8_SIZE], const dt_line *line, size_t at);

/* Whether it ends a question: "?", ".", "!" or "。". */
bool dt_typed_ends_question(const char *plain);

#endif
