/* A vocabulary as byte-level BPE, which other programs know. Private to io/export. */
#ifndef DTRAIN_EXPORT_VOCABULARY_H
#define DTRAIN_EXPORT_VOCABULARY_H

#include "dtrain/data/tokenizer.h"

typedef enum {
    EXPORT_CHARACTERS, /* each token is one character of UTF-8 */
    EXPORT_BYTES,      /* each token is one byte, and some are no character */
} export_vocabulary;

/* DT_ERR_ARG: it has longer tokens. */
dt_status export_vocabulary_find(export_vocabulary *kind, const dt_tokenizer *tokenizer);

/* Append bytes as GPT-2 writes them: each is a printable character, a space "Ġ". */
dt_status export_append_bytes(dt_text *text, const char *bytes, size_t count);

/* Called for each merge, "Ã ¤". */
typedef dt_status export_merge_visitor(void *context, const char *merge);

/**
 * Visit the merges that make characters of their bytes: of n bytes the first two, these and the
 * third … No merge crosses the border of two characters, since none begins with a byte that goes
 * on with one.
 */
dt_status export_visit_merges(const dt_tokenizer *tokenizer, export_merge_visitor *visit,
                              void *context);

#endif
