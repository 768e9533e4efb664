/* A text of any length, in memory of its own. */
#ifndef DTRAIN_TEXT_H
#define DTRAIN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "dtrain/core/status.h"

/* A part of a text that belongs to others, not ended by NUL. */
typedef struct {
    const char *at;
    size_t count;
} dt_span;

/* What a source knows of a text beside its bytes: which of its kinds it is, and what only the
 * source itself reads. */
typedef struct {
    size_t kind;
    _Alignas(16) unsigned char own[256];
} dt_note;

/* All 0 to begin with. */
typedef struct {
    char *bytes; /* ended by NUL; NULL: nothing has been written yet */
    size_t length, capacity;
    size_t prompt_length;    /* so many bytes are given; what follows must be produced */
    int32_t *id;             /* (ids) its tokens, where its source knows them */
    size_t ids, id_capacity; /* ids 0: encoding the bytes gives them */
    dt_note note;
} dt_text;

/* Room for so many more bytes and the NUL behind them. DT_ERR_MEMORY. */
dt_status dt_text_reserve(dt_text *text, size_t more);

/* No bytes, tokens or prompt; the memory stays. */
void dt_text_clear(dt_text *text);

dt_status dt_text_append(dt_text *text, const char *bytes, size_t count);

/* Room for so many tokens. DT_ERR_MEMORY. */
dt_status dt_text_reserve_ids(dt_text *text, size_t count);

/* Append as printf writes. */
dt_status dt_text_format(dt_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void dt_text_destroy(dt_text *text);

#endif
