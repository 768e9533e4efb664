/* How far each rank of a node has come: a number each, which the others look at without waiting. */
#ifndef DT_MPI_FRONTIER_H
#define DT_MPI_FRONTIER_H

#include <stdint.h>

#include "dtrain/mpi/comm.h"

typedef struct dt_frontier dt_frontier;

/* All at 0. Collective over all ranks, like dt_frontier_destroy. */
dt_status dt_frontier_create(dt_frontier **frontier, dt_comm *comm);
void dt_frontier_destroy(dt_frontier **frontier);

/* This rank has come to `mark`, which is never less than before: whoever sees that sees all that
 * it stored in shared windows until now. */
void dt_frontier_advance(dt_frontier *frontier, uint64_t mark);

/* Whether every rank of the node has come to `mark`. */
bool dt_frontier_passed(const dt_frontier *frontier, uint64_t mark);

#endif
