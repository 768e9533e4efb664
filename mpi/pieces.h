/* How the gradient is cut into pieces that travel between nodes, and the ways they take: what an
 * exchange will do, planned without sending anything. */
#ifndef DT_MPI_PIECES_H
#define DT_MPI_PIECES_H

#include "exchange.h"

/* The routes of one owner's pieces on a node. */
typedef struct {
    dt_route sum;    /* that everybody needs */
    dt_route owned;  /* that only the owner and the first node need */
    dt_route spread; /* what the owner has updated */
} dt_owner_routes;

/* A piece of the gradient. */
typedef struct {
    dt_stretch stretch;
    bool owned;
} dt_piece;

/* Who plans, among whom. */
typedef struct {
    const size_t *first; /* (nodes + 1) first rank of each node, then the number of ranks */
    size_t nodes, node;  /* all nodes, and the one that plans */
    size_t rank;         /* of this node: only what it moves is listed; SIZE_MAX: all pieces */
} dt_place;

/* What is planned. */
typedef struct {
    dt_piece *piece; /* (count) the last ones of the gradient first */
    size_t count, capacity;
    dt_owner_routes *routes; /* (nodes) of this node, by owner; without steps: it owns nothing */
    size_t nodes;
    size_t longest;           /* floats of a piece */
    size_t buffers, messages; /* of a route at most */
    double seconds;           /* that the exchange takes this node, roughly */
} dt_pieces;

/**
 * Cut a gradient.
 *
 * @param plan    its count, shards, network, owned stretches and message length; not kept
 * @param kind    DT_EXCHANGE_DIRECT or DT_EXCHANGE_TREE
 * @param stride  floats that are cut: count in whole blocks
 * @return DT_ERR_INTERNAL for owned stretches that overlap; DT_ERR_MEMORY. Not collective
 */
dt_status dt_pieces_cut(dt_pieces *pieces, const dt_reducer_plan *plan, dt_exchange_kind kind,
                        const dt_place *place, size_t stride);
void dt_pieces_destroy(dt_pieces *pieces);

#endif
