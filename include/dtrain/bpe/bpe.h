/* Byte-level BPE, as GPT-2 has it: a text is split into words, the bytes of a word are symbols, and
 * pairs of them are merged in the order in which the merges were learned. */
#ifndef DTRAIN_BPE_H
#define DTRAIN_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "dtrain/core/status.h"

typedef struct dt_bpe dt_bpe;

/* Most tokens of a vocabulary, and bytes of a token as it is spelled. */
enum { DT_BPE_TOKENS_MAX = 1 << 20, DT_BPE_SPELLING_MAX = 1 << 14 };

/* Words that are longer are cut. */
enum { DT_BPE_WORD_MAX = 1 << 16 };

/* Two tokens that become one. */
typedef struct {
    int32_t left, right;
} dt_bpe_merge;

/* A token that is looked for in the text before it is split. */
typedef struct {
    int32_t id;
    bool special;    /* it is no text: it ends a document, or begins an answer */
    bool normalized; /* looked for where no other is found (false: first) */
} dt_bpe_added;

/* What a BPE is made of. Tokens are spelled as in Hugging Face's files: one character for each
 * byte, those that are no visible characters of Latin-1 from U+0100 on; added ones as they are. */
typedef struct {
    const char *const *token;  /* (tokens) by id */
    const dt_bpe_merge *merge; /* (merges) by rank */
    const dt_bpe_added *added;
    size_t tokens, merges, added_count;
} dt_bpe_parts;

/**
 * Copies the parts.
 *
 * @param name  of what the parts are from, for messages: a file
 * @return DT_ERR_DATA: a token stands twice, a byte has no token, or two tokens that are merged
 * give none
 */
dt_status dt_bpe_create(dt_bpe **bpe, const dt_bpe_parts *parts, const char *name);
void dt_bpe_destroy(dt_bpe **bpe);
bool dt_bpe_equal(const dt_bpe *x, const dt_bpe *y);

/* Valid as long as the BPE. */
dt_bpe_parts dt_bpe_about(const dt_bpe *bpe);

/* The bytes of a token, behind which there is a NUL; NULL: there is no such token. */
const char *dt_bpe_bytes(size_t *length, const dt_bpe *bpe, int32_t id);

/* The added token of this text; -1: there is none. */
int32_t dt_bpe_find_added(const dt_bpe *bpe, const char *text);

/**
 * Text to ids. Any bytes will do; what is no UTF-8 is split off. It uses memory of the BPE: one
 * thread at a time.
 *
 * @param[out] id      (capacity) at most one for each byte
 * @param      added   whether added tokens are looked for
 * @return DT_ERR_INTERNAL: there are more than capacity
 */
dt_status dt_bpe_encode(int32_t *id, size_t capacity, size_t *count, const dt_bpe *bpe,
                        const char *text, size_t length, bool added);

/* How many of these bytes have tokens that do not depend on what follows them; 0: more bytes must
 * be looked at. Without added tokens some of 2 DT_BPE_WORD_MAX bytes are always settled. */
size_t dt_bpe_settled(const dt_bpe *bpe, const char *text, size_t length, bool added);

#endif
