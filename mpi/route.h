/* Which node adds which partial sums of a stretch of the gradient, and who sends what to whom, so
 * that they are added over all nodes in the order of the canonical tree. */
#ifndef DT_MPI_ROUTE_H
#define DT_MPI_ROUTE_H

#include "dtrain/mpi/comm.h"

/* What a node does next. The values it works on are numbered: its own partial sums, by the cover of
 * its shards, then buffers. The whole sum is value 0. */
typedef enum {
    DT_ROUTE_RECEIVE, /* into a buffer */
    DT_ROUTE_ADD,
    DT_ROUTE_SEND,  /* a partial sum, or the whole to its owner; it is not needed here any more */
    DT_ROUTE_ROUND, /* the whole sum, as those will have it that get it rounded */
    DT_ROUTE_TAKE,  /* receive the whole sum; what has been sent must have left before */
    DT_ROUTE_GIVE,  /* send the whole sum */
} dt_route_kind;

typedef struct {
    dt_route_kind kind;
    uint32_t node;        /* the other one */
    uint32_t left, right; /* ADD: the operands; RECEIVE, SEND: left */
    uint32_t sum;         /* ADD: the result, which may be one of them */
    uint32_t after;       /* RECEIVE: how many steps must be done before its buffer is free */
    bool waits;           /* ADD: value 0 is replaced, and what has been sent must have left */
} dt_route_step;

/* What a node does for a stretch. */
typedef struct {
    dt_route_step *step;
    size_t steps;
    size_t buffers;      /* values that are not its own */
    size_t sends, gives; /* messages that it sends */
} dt_route;

/* Which nodes need the sum of a stretch, in addition to its owner. */
typedef enum { DT_ROUTE_TO_ALL, DT_ROUTE_TO_FIRST, DT_ROUTE_SPREAD } dt_route_reach;

/* The ways between some nodes. */
typedef struct dt_routes dt_routes;

/* shard: (nodes + 1) first shard of each node, then their number, a power of two. Not
 * collective, like everything here. */
dt_status dt_routes_create(dt_routes **routes, dt_exchange_kind kind, const size_t *shard,
                           size_t nodes);
void dt_routes_destroy(dt_routes **routes);

/* A node where the sum of a stretch that everybody needs is made with the fewest messages; numbers
 * that follow one another share the work out. */
size_t dt_routes_owner(const dt_routes *routes, size_t number);

/* The most messages that follow one another, from the first partial sum to the last node. */
size_t dt_routes_hops(const dt_routes *routes);

/**
 * The route of one node for the stretches of an owner.
 *
 * @param reach  DT_ROUTE_SPREAD: the owner has value 0 already, and all nodes get it
 */
dt_status dt_route_create(dt_route *route, const dt_routes *routes, size_t node, size_t owner,
                          dt_route_reach reach);
void dt_route_destroy(dt_route *route);

#endif
