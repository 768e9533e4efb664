/* Many small blocks of memory, which are all given back together. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_POOL_H
#define DTRAIN_BPE_POOL_H

#include <stddef.h>

#include "dtrain/core/status.h"

enum { POOL_CLASSES = 48 };

/* All 0 to begin with. Blocks are as large as a power of two. */
typedef struct {
    char **chunk;
    size_t chunks, capacity;
    char *next; /* in the last chunk */
    size_t left;
    void *given_back[POOL_CLASSES]; /* each begins with the address of the next */
} memory_pool;

/* At least `bytes` bytes. */
dt_status pool_take(void *block, memory_pool *pool, size_t bytes);

/* For use by others: a block of so many bytes. */
void pool_give(memory_pool *pool, void *block, size_t bytes);

void pool_destroy(memory_pool *pool);

#endif
