/* Ranks that count the words of a text together. */
#ifndef DTRAIN_COUNTERS_H
#define DTRAIN_COUNTERS_H

#include "dtrain/core/status.h"

/* All 0: there is only one. */
typedef struct {
    size_t rank, ranks;
    /* Rank 0 gets the bytes of all ranks, one after another in rank order, the others none; as
     * dt_comm_collect. */
    dt_status (*collect)(void *context, char **all, size_t *capacity, size_t *count);
    /* The error of any rank becomes that of all, as dt_comm_agree. */
    dt_status (*agree)(void *context, dt_status status);
    void *context;
} dt_counters;

#endif
