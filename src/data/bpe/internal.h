/* What a BPE consists of. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_INTERNAL_H
#define DTRAIN_BPE_INTERNAL_H

#include "dtrain/bpe/bpe.h"
#include "pairs.h"
#include "split.h"

enum { BYTES = 256 };

/* A word of up to CACHED_MAX bytes and its tokens: one line of the processor's cache. */
enum { KEY_WORDS = 3, CACHED_MAX = 8 * KEY_WORDS - 1, CACHED_IDS = 9, CACHE_SLOTS = 1 << 16 };
typedef struct {
    uint64_t word[KEY_WORDS]; /* its bytes, zeros, and in the last byte their number */
} word_key;
typedef struct {
    word_key key;
    int32_t id[CACHED_IDS];
    int32_t count;
} cached_word;

/* Room to merge the symbols of one long word. */
typedef struct {
    int32_t *id, *next, *before; /* (DT_BPE_WORD_MAX) */
    uint64_t *merge;             /* (DT_BPE_WORD_MAX) of a symbol with the next one */
    uint64_t *heap;              /* (3 DT_BPE_WORD_MAX) rank and position, the least first */
    size_t waiting;              /* in the heap */
} word_room;

struct dt_bpe {
    dt_bpe_parts parts;
    char *spelling; /* all tokens as they are spelled, each ended by NUL */
    char *bytes;    /* the same as bytes */
    size_t *offset; /* (tokens + 1) of a token in bytes */
    int32_t byte_id[BYTES];
    pair_table pairs; /* rank in the high half, what it gives in the low one */
    bool begins_added[BYTES];
    size_t longest_added;
    bool space_in_added; /* one of them has a space or line end in it */
    word_splitter *splitter;
    cached_word *cache;            /* (CACHE_SLOTS) */
    word_key mask[CACHED_MAX + 1]; /* the bytes of a word of that many */
    word_room *room;
};

#endif
