/* Sums stretches of the gradient over nodes, among the ranks that own them on each node, while
 * their callers do something else. */
#ifndef DT_MPI_EXCHANGE_H
#define DT_MPI_EXCHANGE_H

#include <mpi.h>

#include "dtrain/mpi/comm.h"

typedef struct dt_exchange dt_exchange;

/* What an exchange works on. Sizes are in floats. */
typedef struct {
    MPI_Comm lane;       /* the stretches' owner of every node, in the order of nodes */
    const size_t *shard; /* (nodes + 1) first shard of each node, then their number */
    float *const *own;   /* this node's partial sums, by the cover of its shards: element 0 */
    float *result;       /* element 0 of the sum; may be one of own */
    size_t block;        /* stretches are multiples of it */
    size_t longest;      /* stretch */
    dt_transport transport;
} dt_exchange_plan;

/* Not collective. lane, own and result stay the caller's, and must outlive it. */
dt_status dt_exchange_create(dt_exchange **exchange, const dt_exchange_plan *plan);
void dt_exchange_destroy(dt_exchange **exchange);

/* Whether another stretch can be started; if not, dt_exchange_progress makes room in time. */
bool dt_exchange_has_room(const dt_exchange *exchange);

/* Sum elements begin … end in tree order into result, with the same bits on all nodes; own may not
 * change before that is done. The ranks of a lane start the same stretches in the same order. Does
 * not wait for them. */
dt_status dt_exchange_start(dt_exchange *exchange, size_t begin, size_t end);

/* Take what has arrived one step further; MPI moves nothing between two calls of its own. Does not
 * wait. Seconds spent adding are added to *adding. */
dt_status dt_exchange_progress(dt_exchange *exchange, double *adding);

/* Whether all that was started is summed. */
bool dt_exchange_is_idle(const dt_exchange *exchange);

#endif
