/* Names by their fingerprints; those of equal fingerprint stand one behind the other. */
#include "names.h"

#include <string.h>

#include "dtrain/core/digest.h"

static uint64_t key_of(const char *name, size_t length) {
    return dt_fingerprint(name, length) >> 1; /* never PAIR_NONE */
}

int32_t name_find(const name_table *names, const char *name, size_t length) {
    if (!names->table.entry) return -1;
    for (uint64_t key = key_of(name, length);; key++) {
        const pair_entry *id = pair_find(&names->table, key);
        if (!id) return -1;
        const char *found = names->name[id->value];
        if (strncmp(found, name, length) == 0 && found[length] == '\0') return (int32_t)id->value;
    }
}

dt_status name_add(int32_t *twice, name_table *names, int32_t id) {
    const char *name = names->name[id];
    const size_t length = strlen(name);
    *twice = name_find(names, name, length);
    if (*twice >= 0) return DT_OK;
    uint64_t key = key_of(name, length);
    pair_entry *entry;
    while (names->table.entry && pair_find(&names->table, key)) key++;
    DT_TRY(pair_put(&entry, &names->table, key));
    entry->value = (uint64_t)id;
    return DT_OK;
}

void name_destroy(name_table *names) { pair_destroy(&names->table); }
