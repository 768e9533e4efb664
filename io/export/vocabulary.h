/* A vocabulary as byte-level BPE, which other programs know. Private to io/export. */
#ifndef DTRAIN_EXPORT_VOCABULARY_H
#define DTRAIN_EXPORT_VOCABULARY_H

#include "dtrain/data/tokenizer.h"

typedef enum {
    EXPORT_CHARACTERS, /* each token is one character of UTF-8 */
    EXPORT_BYTES,      /* each token is one byte, and some are no character */
    EXPORT_BPE,        /* it is byte-level BPE */
} export_vocabulary;

/* DT_ERR_ARG: it has longer tokens. */
dt_status export_vocabulary_find(export_vocabulary *kind, const dt_tokenizer *tokenizer);

/* Append a token as byte-level BPE spells it. */
dt_status export_append_token(dt_text *text, const dt_tokenizer *tokenizer, int32_t id);

/* What a token is in GGUF. */
typedef enum { EXPORT_NORMAL = 1, EXPORT_CONTROL = 3, EXPORT_ADDED = 4 } export_token_type;
export_token_type export_token_type_of(const dt_tokenizer *tokenizer, int32_t id);

/* Append bytes as GPT-2 writes them: each is a printable character, a space "Ġ". */
dt_status export_append_bytes(dt_text *text, const char *bytes, size_t count);

/* Called for each merge, "Ã ¤". */
typedef dt_status export_merge_visitor(void *context, const char *merge);

/**
 * Visit the merges, of BPE its own, else those that make characters of their bytes: of n bytes the
 * first two, these and the third … No merge crosses the border of two characters, since none begins
 * with a byte that goes on with one.
 */
dt_status export_visit_merges(const dt_tokenizer *tokenizer, export_merge_visitor *visit,
                              void *context);

#endif
