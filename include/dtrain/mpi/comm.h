/* Ranks, nodes, shared windows, the canonical gradient sum, and agreement on errors. */
#ifndef DTRAIN_COMM_H
#define DTRAIN_COMM_H

#include <stdint.h>

#include "dtrain/core/status.h"

typedef struct dt_comm dt_comm;

/**
 * Start MPI (also without mpirun: one rank) and find the nodes.
 *
 * Errors of MPI are returned, not fatal. Collective, like everything here unless said.
 * @param argc, argv  of main
 */
dt_status dt_comm_open(dt_comm **comm, int *argc, char ***argv);

/* Pretend that each k consecutive ranks of a node are a node of their own; 0: as the machine has
 * it. Before any window. */
dt_status dt_comm_split_nodes(dt_comm *comm, size_t ranks_per_node);

/* End MPI. Leaves NULL. */
dt_status dt_comm_close(dt_comm **comm);

/* End all ranks at once; does not return. Not collective. */
_Noreturn void dt_comm_abort(dt_comm *comm, int exit_code);

size_t dt_comm_rank(const dt_comm *comm);
size_t dt_comm_size(const dt_comm *comm);
size_t dt_comm_node(const dt_comm *comm); /* number of this rank's node */
size_t dt_comm_nodes(const dt_comm *comm);
/* The first rank of a node; of as many as there are nodes, the number of ranks. */
size_t dt_comm_first_rank(const dt_comm *comm, size_t node);
size_t dt_comm_local_rank(const dt_comm *comm); /* number on its node */
size_t dt_comm_local_size(const dt_comm *comm);
const char *dt_comm_library(const dt_comm *comm); /* "Open MPI 4.1.4" */
/* Host name of any rank. Not collective. */
const char *dt_comm_host(const dt_comm *comm, size_t rank);

/**
 * Agree on a status: all ranks get the error of the lowest rank that has one, with its text, so
 * that rank 0 can print it; on the others it begins with that rank and its host, unless that is
 * rank 0. Call it after local work that may fail, before the next collective.
 */
dt_status dt_comm_agree(dt_comm *comm, dt_status local);

dt_status dt_comm_barrier(dt_comm *comm);
dt_status dt_comm_node_barrier(dt_comm *comm);

/* Rank 0's bytes to all. */
dt_status dt_comm_broadcast(dt_comm *comm, void *bytes, size_t count);

/* Rank 0's bytes to the first rank of each node; the others do nothing. */
dt_status dt_comm_broadcast_nodes(dt_comm *comm, void *bytes, size_t count);

/* The largest value over ranks, for flags such as "stop now". */
dt_status dt_comm_max(dt_comm *comm, int64_t *value);

/* Element-wise sums over ranks, on all of them: whole numbers, which any order adds up to the same.
 */
dt_status dt_comm_sum(dt_comm *comm, int64_t *values, size_t count);

/**
 * Rank 0 gets the bytes of all ranks, one after another in rank order; the others get none.
 *
 * @param[out]    all       with rank 0's own bytes before those of the others: grown as needed
 *                          (dt_memory_grow); on the other ranks this rank's own bytes, unchanged
 * @param[in,out] capacity  bytes that *all has room for
 * @param[in,out] count     of this rank; afterwards on rank 0 that of all, elsewhere 0
 * @return DT_ERR_ARG if they are 2 GiB or more in all; DT_ERR_MEMORY
 */
dt_status dt_comm_collect(dt_comm *comm, char **all, size_t *capacity, size_t *count);

/* One double of each rank, by rank, on all of them. all: (size). For timings and memory, which need
 * no canonical order. */
dt_status dt_comm_gather(dt_comm *comm, double *all, double mine);

/* Which shards a rank computes: begin … end. Contiguous, as even as can be, in rank order. Not
 * collective. */
void dt_shard_range(size_t *begin, size_t *end, size_t shards, size_t size, size_t rank);

/* One row of `count` doubles of each rank to rank 0, by rank. all: (size, count) there, else NULL.
 */
dt_status dt_comm_gather_rows(dt_comm *comm, double *all, const double *row, size_t count);

/* Every shard's values (per_shard doubles each) to all ranks; each rank has filled in those of its
 * own range. all: (shards * per_shard). */
dt_status dt_comm_share(dt_comm *comm, double *all, size_t shards, size_t per_shard);

/* ---- some ranks of the job ---- */

typedef struct dt_team dt_team;

/* All ranks with the same number are a team, in rank order; with a negative one in none: *team is
 * NULL then. Collective over all ranks. */
dt_status dt_team_create(dt_team **team, dt_comm *comm, int number);

/* Collective over the team. */
void dt_team_destroy(dt_team **team);

/* This rank's number in the team, and how many they are. Not collective. */
size_t dt_team_rank(const dt_team *team);
size_t dt_team_size(const dt_team *team);

/* One whole number of each of `count` things to all ranks of the team, of which each has filled in
 * its dt_shard_range. Collective over the team. */
dt_status dt_team_share_numbers(dt_team *team, uint32_t *all, size_t count);

/* ---- memory shared by the ranks of a node ---- */

typedef struct dt_window dt_window;

/* One block of `bytes` zero bytes per node. */
dt_status dt_window_create(dt_window **window, dt_comm *comm, size_t bytes, const char *what);
void dt_window_destroy(dt_window **window);
void *dt_window_memory(const dt_window *window);

/* ---- the gradient ---- */

typedef struct dt_reducer dt_reducer;

/* What gradients are while they travel between nodes; they are always added as float32. bfloat16
 * halves the bytes, but which sums are rounded depends on how the ranks are spread over nodes. */
typedef enum { DT_TRANSPORT_FLOAT32, DT_TRANSPORT_BFLOAT16 } dt_transport;

/* How nodes exchange stretches of the gradient: each node sends its partial sums straight to the
 * node that adds them, or the fewest messages are sent, which are added and sent on level by level
 * of the tree. The sums have the same bits. */
typedef enum { DT_EXCHANGE_AUTO, DT_EXCHANGE_DIRECT, DT_EXCHANGE_TREE } dt_exchange_kind;

/* What the network between the nodes can do; all 0: there is one node. */
typedef struct {
    double latency;   /* seconds of a short message */
    double bandwidth; /* bytes per second of each node, in both directions at once */
} dt_network;

/* Measure it: a few messages from each node to the next one, all at once. The same on all ranks. */
dt_status dt_comm_measure(dt_comm *comm, dt_network *network);

/* A stretch of the gradient whose sum only one rank needs, and the first node: that rank updates
 * the weights there for the whole job. */
typedef struct {
    size_t begin, end; /* elements */
    size_t rank;
} dt_owned;

/* What is summed, and how. */
typedef struct {
    size_t count;  /* floats of the gradient */
    size_t shards; /* a power of two */
    size_t block;  /* the slices of a node's ranks start at multiples of so many elements */
    dt_transport transport;
    dt_exchange_kind exchange; /* DT_EXCHANGE_AUTO: the one that takes less time on `network` */
    dt_network network;
    const dt_owned *owned; /* (owned_count) rising, without overlap; not kept */
    size_t owned_count;
    size_t message; /* floats of a message between nodes at most; 0: as suits */
} dt_reducer_plan;

/**
 * Buffers and routes for summing gradients over shards in one canonical binary tree.
 *
 * The sum of shards 2i and 2i+1 of one level is shard i of the next, left + right, for any
 * number of ranks. With bfloat16 all nodes have the same bits, too, but others than other nodes
 * would.
 */
dt_status dt_reducer_create(dt_reducer **reducer, dt_comm *comm, const dt_reducer_plan *plan);
void dt_reducer_destroy(dt_reducer **reducer);

/* How the nodes exchange stretches: never DT_EXCHANGE_AUTO. Not collective. */
dt_exchange_kind dt_reducer_exchange(const dt_reducer *reducer);

/* How many gradient buffers this rank has, and each of them: `count` floats in the node's window.
 * Not collective. */
size_t dt_reducer_slots(const dt_reducer *reducer);
float *dt_reducer_slot(const dt_reducer *reducer, size_t slot);

/* The slot in which the gradient of the next shard of this rank's range belongs; its old content is
 * the last step's. Not collective. */
size_t dt_reducer_begin_shard(dt_reducer *reducer);

/* That gradient is complete: sums the subtrees that it completes. Not collective. */
void dt_reducer_end_shard(dt_reducer *reducer);

/* ---- overlap: between nodes the sum may begin while the last shard's backward pass goes on ----
 */

/* Whether it may: inside a single node the sum is made at the end. Not collective. */
bool dt_reducer_overlaps(const dt_reducer *reducer);

/* The current shard does not touch its gradient's elements from `from` on any more: they are summed
 * as far as can be. Not collective. */
void dt_reducer_finish(dt_reducer *reducer, size_t from);

/* Send, receive and add what there is, without waiting. MPI moves nothing between its calls: call
 * this one often during a rank's last shard. Not collective. */
dt_status dt_reducer_progress(dt_reducer *reducer);

/**
 * Sum over all ranks. After the call this rank may read (and the others do not write) elements
 * begin … end of the sum; the slices of a node's ranks cover all elements. Owned stretches are
 * summed on the nodes of their owner and of rank 0 only. The next dt_reducer_begin_shard needs a
 * dt_comm_node_barrier before it.
 *
 * A step that will be dropped is summed like any other, with any values in the slots: what was
 * started ends, and no rank waits for messages that never come.
 * @param[out] sum  where element 0 of the sum would be
 */
dt_status dt_reducer_sum(dt_reducer *reducer, float **sum, size_t *begin, size_t *end);

/* ---- what one rank of the job has updated goes to all nodes ---- */

/* Begin to spread the owned stretches of `weights`, which is one block of memory on each node. */
dt_status dt_reducer_begin_spread(dt_reducer *reducer, float *weights);

/* This rank's own stretches from element `from` on are ready, and leave in time. Does not wait. Not
 * collective. */
dt_status dt_reducer_spread(dt_reducer *reducer, size_t from);

/* All own stretches are ready: wait until this rank's part of the exchange is done. The others of
 * the node may still be at theirs: dt_comm_node_barrier. */
dt_status dt_reducer_end_spread(dt_reducer *reducer);

/* Bytes that this rank has sent to other nodes so far. */
double dt_reducer_sent(const dt_reducer *reducer);

/* So many seconds of the last sum passed before all ranks had come to it: they count as waiting,
 * not as exchanging. Does nothing inside a single node, which knows itself. Not collective. */
void dt_reducer_waited(dt_reducer *reducer, double seconds);

/* Seconds this rank has spent so far: adding, exchanging between nodes, waiting for others to
 * finish their shards. */
void dt_reducer_times(const dt_reducer *reducer, double *adding, double *exchanging,
                      double *waiting);

#endif
