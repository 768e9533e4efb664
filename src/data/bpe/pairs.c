/* Tables of pairs that grow. */
#include "pairs.h"

#include "dtrain/core/memory.h"

static pair_entry *place_of(pair_table *table, uint64_t key) {
    size_t at = pair_home(table, key);
    while (table->entry[at].key != key && table->entry[at].key != PAIR_NONE)
        at = (at + 1) & table->mask;
    return &table->entry[at];
}

dt_status pair_reserve(pair_table *table, size_t pairs) {
    size_t entries = 64;
    while (entries < 2 * pairs) entries *= 2;
    if (table->entry && entries <= table->mask + 1) return DT_OK;
    pair_table grown = {.mask = entries - 1, .used = table->used};
    DT_TRY(dt_memory_alloc(&grown.entry, entries, sizeof *grown.entry, "pairs of tokens"));
    for (size_t i = 0; i < entries; i++) grown.entry[i].key = PAIR_NONE;
    for (size_t i = 0; table->entry && i <= table->mask; i++) {
        const pair_entry *old = &table->entry[i];
        if (old->key != PAIR_NONE) *place_of(&grown, old->key) = *old;
    }
    dt_memory_free(&table->entry);
    *table = grown;
    return DT_OK;
}

dt_status pair_put(pair_entry **found, pair_table *table, uint64_t key) {
    DT_TRY(pair_reserve(table, table->used + 1));
    pair_entry *entry = place_of(table, key);
    if (entry->key == PAIR_NONE) {
        *entry = (pair_entry){key, 0};
        table->used++;
    }
    *found = entry;
    return DT_OK;
}

void pair_destroy(pair_table *table) {
    dt_memory_free(&table->entry);
    *table = (pair_table){0};
}
