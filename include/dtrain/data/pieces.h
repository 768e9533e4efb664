/* Text that comes in pieces, such as tokens, given on in whole characters. */
#ifndef DTRAIN_PIECES_H
#define DTRAIN_PIECES_H

#include "dtrain/core/utf8.h"
#include "dtrain/data/text.h"

/* All 0 to begin with. */
typedef struct {
    char held[DT_UTF8_MAX]; /* the beginning of a character */
    size_t count;
} dt_pieces;

/* Append to `text` the characters that these bytes complete; the beginning of one that they do not
 * complete is held back. A byte that belongs to none, and byte 0, becomes U+FFFD. */
dt_status dt_pieces_append(dt_text *text, dt_pieces *pieces, const char *bytes, size_t count);

/* The text ends: what is held back, the beginning of a character, is dropped. */
void dt_pieces_end(dt_pieces *pieces);

#endif
