/* Moves stretches of floats between nodes, and adds them on the way, while its callers do something
 * else. */
#ifndef DT_MPI_EXCHANGE_H
#define DT_MPI_EXCHANGE_H

#include <mpi.h>

#include "route.h"

typedef struct dt_exchange dt_exchange;

/* A stretch, which one rank of each node moves. */
typedef struct {
    size_t begin, end; /* elements */
    size_t number;     /* messages of different stretches under way are told apart by it */
    size_t owner;      /* the node whose sum it is */
    size_t mover;      /* the rank that moves it on that node */
} dt_stretch;

/* Sizes are in floats. */
typedef struct {
    MPI_Comm all;
    const size_t *first; /* (nodes + 1) first rank of each node, then the number of ranks */
    size_t longest;      /* stretch */
    size_t buffers;      /* of a route at most */
    size_t messages;     /* that a route sends at most */
    dt_transport transport;
} dt_exchange_plan;

/* How many stretches can be under way at once, and the bytes of the buffers of a rank for them,
 * without bfloat16; of routes with so many buffers and messages at most. */
size_t dt_exchange_stretches(size_t buffers, size_t longest);
size_t dt_exchange_bytes(size_t buffers, size_t messages, size_t longest);

/* Not collective. all and first stay the caller's, and must outlive it. */
dt_status dt_exchange_create(dt_exchange **exchange, const dt_exchange_plan *plan);
void dt_exchange_destroy(dt_exchange **exchange);

/* The rank that moves a stretch on a node. */
size_t dt_exchange_mover(const size_t *first, const dt_stretch *stretch, size_t node);

/* Whether another stretch can be started; if not, dt_exchange_progress makes room in time. */
bool dt_exchange_has_room(const dt_exchange *exchange);

/**
 * Take a stretch along its route. Does not wait.
 *
 * All ranks that move some of the same stretches start them in the same order.
 * @param own    element 0 of this node's partial sums; the sum of the stretch replaces own[0], the
 *   others get any values. Neither may change before it is done
 * @param exact  nothing is rounded on the way: not the plan's transport, but float32
 */
dt_status dt_exchange_start(dt_exchange *exchange, const dt_stretch *stretch, const dt_route *route,
                            float *const *own, size_t owns, bool exact);

/* Take what has arrived one step further; MPI moves nothing between two calls of its own. Does not
 * wait. Seconds spent adding are added to *adding. */
dt_status dt_exchange_progress(dt_exchange *exchange, double *adding);

/* Whether all that was started is done. */
bool dt_exchange_is_idle(const dt_exchange *exchange);

/* Bytes sent so far. */
double dt_exchange_sent(const dt_exchange *exchange);

#endif
