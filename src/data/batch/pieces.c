/* Puts characters together whose bytes come one after the other. */
#include "dtrain/data/pieces.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* What the bytes held back begin with, as long as that is known. */
static dt_status give_on(dt_text *text, dt_pieces *pieces) {
    while (pieces->count > 0 && !dt_utf8_begins(pieces->held, pieces->count)) {
        const size_t length = dt_utf8_length(pieces->held, pieces->count);
        const bool whole = length > 0 && pieces->held[0] != '\0';
        const size_t used = length ? length : 1;
        DT_TRY(dt_text_append(text, whole ? pieces->held : REPLACEMENT,
                              whole ? length : strlen(REPLACEMENT)));
        pieces->count -= used;
        memmove(pieces->held, pieces->held + used, pieces->count);
    }
    return DT_OK;
}

dt_status dt_pieces_append(dt_text *text, dt_pieces *pieces, const char *bytes, size_t count) {
    DT_TRY(dt_text_reserve(text, count));
    for (size_t i = 0; i < count; i++) {
        pieces->held[pieces->count++] = bytes[i];
        DT_TRY(give_on(text, pieces));
    }
    return DT_OK;
}

void dt_pieces_end(dt_pieces *pieces) { pieces->count = 0; }
