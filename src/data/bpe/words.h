/* Reading a table of words. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_WORDS_H
#define DTRAIN_BPE_WORDS_H

#include "dtrain/bpe/learn.h"

typedef struct {
    const char *at;
    size_t length;
    int64_t count;
} counted_word;

/* All words in the order of their bytes: (dt_bpe_words_count), dt_memory_free. */
dt_status words_sorted(counted_word **list, const dt_bpe_words *words);

#endif
