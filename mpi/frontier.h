/* How far each rank of a node has come: one number per rank, which the others read without
 * waiting. */
#ifndef DT_MPI_FRONTIER_H
#define DT_MPI_FRONTIER_H

#include <stdint.h>

#include "dtrain/mpi/comm.h"

typedef struct dt_frontier dt_frontier;

/* All at 0. Collective over all ranks, like dt_frontier_destroy. */
dt_status dt_frontier_create(dt_frontier **frontier, dt_comm *comm);
void dt_frontier_destroy(dt_frontier **frontier);

/* This rank has come to `mark`, which is never less than before. A rank that sees the mark also
 * sees everything that this rank stored in shared windows before. */
void dt_frontier_advance(dt_frontier *frontier, uint64_t mark);

/* Whether every rank of the node has come to `mark`. */
bool dt_frontier_passed(const dt_frontier *frontier, uint64_t mark);

#endif
