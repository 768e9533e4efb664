/* Finds tokens by how they are spelled. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_NAMES_H
#define DTRAIN_BPE_NAMES_H

#include "pairs.h"

/* All 0 to begin with. */
typedef struct {
    pair_table table;
    const char *const *name; /* by id; the caller's */
} name_table;

/* -1: it is not there. */
int32_t name_find(const name_table *names, const char *name, size_t length);

/* Adds name[id]; *twice: which has that name already, or -1. */
dt_status name_add(int32_t *twice, name_table *names, int32_t id);

void name_destroy(name_table *names);

#endif
