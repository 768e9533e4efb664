/* Sums a slice of the gradient over nodes, among the ranks that own that slice on each of them. */
#ifndef DT_MPI_EXCHANGE_H
#define DT_MPI_EXCHANGE_H

#include <mpi.h>

#include "dtrain/status.h"

typedef struct dt_exchange dt_exchange;

/* What an exchange works on. Sizes are in floats. */
typedef struct {
    MPI_Comm lane;       /* the slice's owner of every node, in the order of nodes */
    const size_t *shard; /* (nodes + 1) first shard of each node, then their number */
    size_t begin, end;   /* the slice, in multiples of block; not empty */
    size_t block;
    size_t message; /* longest message; rounded up to a multiple of block */
} dt_exchange_plan;

/* Not collective. lane stays the caller's. */
dt_status dt_exchange_create(dt_exchange **exchange, const dt_exchange_plan *plan);
void dt_exchange_destroy(dt_exchange **exchange);

/**
 * Sum the slice over nodes in tree order. Each node adds a part of it and sends the sum to all.
 *
 * @param[out]    result  where element 0 of the sum would be; may be one of own
 * @param[in]     own     this node's partial sums, by the cover of its shards
 * @param[in,out] adding, exchanging  seconds spent are added
 * Collective over the lane.
 */
dt_status dt_exchange_sum(dt_exchange *exchange, float *result, float *const *own, double *adding,
                          double *exchanging);

#endif
