/* A table from pairs of tokens to numbers. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_PAIRS_H
#define DTRAIN_BPE_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "dtrain/core/status.h"

typedef struct {
    uint64_t key, value;
} pair_entry;

/* Open addressing; all 0 to begin with. */
typedef struct {
    pair_entry *entry;
    size_t mask; /* entries - 1; entries are a power of two */
    size_t used;
} pair_table;

#define PAIR_NONE UINT64_MAX

static inline uint64_t pair_key(uint32_t left, uint32_t right) {
    return (uint64_t)left << 32 | right;
}

static inline size_t pair_home(const pair_table *table, uint64_t key) {
    const uint64_t mixed = key * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed ^ mixed >> 32) & table->mask;
}

/* NULL: it is not there. The table has had room for a pair. */
static inline pair_entry *pair_find(const pair_table *table, uint64_t key) {
    for (size_t at = pair_home(table, key);; at = (at + 1) & table->mask) {
        pair_entry *entry = &table->entry[at];
        if (entry->key == key) return entry;
        if (entry->key == PAIR_NONE) return NULL;
    }
}

/* Room for so many pairs. */
dt_status pair_reserve(pair_table *table, size_t pairs);

/* The entry of a pair, which is 0 if it is new; valid until the next call. */
dt_status pair_put(pair_entry **entry, pair_table *table, uint64_t key);

void pair_destroy(pair_table *table);

#endif
