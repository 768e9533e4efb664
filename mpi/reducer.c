/* Keeps a rank's gradients in the node's window, and sums those of all ranks in one canonical
 * order: at once when all are there, or between nodes from the end on, as far as they are final. */
#include <sched.h>

#include "dtrain/core/memory.h"
#include "exchange.h"
#include "frontier.h"
#include "internal.h"
#include "tree.h"

/* Regions of different ranks share no page, so that each lies in its own rank's memory bank. */
enum { PAGE = 4096 };

/* Floats of a message between nodes. A slice is cut into about so many pieces, of one message to
   each node: the first can start early, and little is left to do after the last. 64 KiB are long
   enough to be worth a message, 512 KiB long enough for the network's full rate and short enough
   to add from the second cache. */
enum { PIECES = 16, MESSAGE_MIN = 16 * 1024, MESSAGE_MAX = 128 * 1024 };

struct dt_reducer {
    dt_comm *comm;
    size_t count, shards, block;
    size_t stride;      /* floats of a slot: count in whole blocks */
    size_t first, last; /* this rank's shards */
    size_t next;        /* the shard to come; counts on past last, for dt_reducer_sum to complain */
    size_t final;       /* elements from here on of the current shard are in its subtree */
    size_t slots;
    dt_window *window;
    float *own; /* this rank's slots */

    size_t begin, end;  /* the slice this rank owns on its node, in whole blocks */
    dt_tree_plan tree;  /* from the ranks' partial sums to the node's */
    float **leaf;       /* (leaves) where the ranks' partial sums are */
    const float **from; /* (leaves) the same for one slice */
    float **root;       /* (roots) where the node's are: on top of their first leaf */
    float **into;       /* (roots) the same for one slice */

    MPI_Comm lane;         /* the owners of this slice on all nodes; MPI_COMM_NULL for none */
    dt_exchange *exchange; /* NULL where there is one node, or no slice */
    size_t piece;          /* floats that are exchanged at a time */
    size_t started;        /* elements from here on of the slice are on their way */
    dt_frontier *frontier; /* from where on ranks are final: see mark_of; NULL: one node */
    uint64_t sums;         /* made so far */
    double adding, exchanging, waiting;
};

/* The most partial sums that a range of shards has waiting at once, the newest shard included. */
static size_t slots_for(size_t begin, size_t end) {
    size_t most = 0;
    for (size_t shard = begin; shard < end; shard++) {
        most = dt_max_size(most, dt_tree_cover(NULL, begin, shard) + 1);
    }
    return most;
}

static size_t region_bytes(const dt_reducer *r, size_t rank) {
    size_t begin, end;
    dt_shard_range(&begin, &end, r->shards, r->comm->size, rank);
    return dt_round_up(slots_for(begin, end) * r->stride * sizeof(float), PAGE);
}

/* One window for the regions of all local ranks; each clears its own. */
static dt_status create_regions(dt_reducer *r) {
    const dt_comm *comm = r->comm;
    size_t bytes = 0, begin = 0, end = 0;
    for (size_t rank = comm->first[comm->node]; rank < comm->first[comm->node + 1]; rank++) {
        if (rank == comm->rank) begin = bytes;
        bytes += region_bytes(r, rank);
        if (rank == comm->rank) end = bytes;
    }
    DT_TRY(dt_window_create_touched(&r->window, r->comm, bytes, begin, end, "gradients"));
    r->own = (float *)((char *)dt_window_memory(r->window) + begin);
    return DT_OK;
}

/* Where every local rank's partial sums will be, and what they are: slot i holds subtree i of its
 * cover. */
static void list_leaves(const dt_reducer *r, dt_subtree *subtree) {
    const dt_comm *comm = r->comm;
    char *region = dt_window_memory(r->window);
    size_t leaf = 0;
    for (size_t rank = comm->first[comm->node]; rank < comm->first[comm->node + 1]; rank++) {
        size_t begin, end;
        dt_shard_range(&begin, &end, r->shards, comm->size, rank);
        const size_t found = dt_tree_cover(subtree + leaf, begin, end);
        for (size_t slot = 0; slot < found; slot++) {
            r->leaf[leaf + slot] = (float *)region + slot * r->stride;
        }
        leaf += found;
        region += region_bytes(r, rank);
    }
}

static size_t count_leaves(const dt_reducer *r) {
    const dt_comm *comm = r->comm;
    size_t leaves = 0;
    for (size_t rank = comm->first[comm->node]; rank < comm->first[comm->node + 1]; rank++) {
        size_t begin, end;
        dt_shard_range(&begin, &end, r->shards, comm->size, rank);
        leaves += dt_tree_cover(NULL, begin, end);
    }
    return leaves;
}

static dt_status plan_node(dt_reducer *r) {
    const char *what = "plan of the gradient sum";
    const size_t leaves = count_leaves(r);
    dt_subtree *subtree = NULL;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&subtree, leaves, sizeof *subtree, what));
    DT_TRY_DONE(dt_memory_alloc(&r->leaf, leaves, sizeof *r->leaf, what));
    DT_TRY_DONE(dt_memory_alloc(&r->from, leaves, sizeof *r->from, what));
    DT_TRY_DONE(dt_memory_alloc(&r->root, leaves, sizeof *r->root, what));
    DT_TRY_DONE(dt_memory_alloc(&r->into, leaves, sizeof *r->into, what));
    list_leaves(r, subtree);
    DT_TRY_DONE(dt_tree_plan_create(&r->tree, subtree, leaves));
    size_t root = 0;
    for (size_t leaf = 0; leaf < leaves; leaf++) {
        /* A root ends with the leaf that completes it; the next leaf starts another. */
        if (leaf == 0 || r->tree.step[leaf - 1].root) r->root[root++] = r->leaf[leaf];
    }
done:
    dt_memory_free(&subtree);
    return status;
}

/* How many ranks of each node own a slice: as many as the smallest node has. */
static size_t lanes_of(const dt_comm *comm) {
    size_t lanes = comm->size;
    for (size_t node = 0; node < comm->nodes; node++) {
        lanes = dt_min_size(lanes, comm->first[node + 1] - comm->first[node]);
    }
    return lanes;
}

static void cut_slice(dt_reducer *r, size_t lanes) {
    if (r->comm->local_rank >= lanes) return;
    dt_shard_range(&r->begin, &r->end, r->stride / r->block, lanes, r->comm->local_rank);
    r->begin *= r->block;
    r->end *= r->block;
}

/* Collective: the lanes. */
static dt_status create_lane(dt_reducer *r, size_t lanes) {
    if (r->comm->nodes == 1) return DT_OK;
    const bool owner = r->comm->local_rank < lanes;
    return DT_MPI(MPI_Comm_split(r->comm->all, owner ? (int)r->comm->local_rank : MPI_UNDEFINED,
                                 (int)r->comm->node, &r->lane));
}

/* message: floats, 0: as suits the slice. */
static dt_status create_exchange(dt_reducer *r, dt_transport transport, size_t message) {
    if (r->lane == MPI_COMM_NULL || r->begin == r->end) return DT_OK;
    const dt_comm *comm = r->comm;
    const size_t even = (r->end - r->begin) / (PIECES * comm->nodes);
    const size_t suits = dt_min_size(dt_max_size(even, MESSAGE_MIN), MESSAGE_MAX);
    r->piece = comm->nodes * dt_round_up(message ? message : suits, r->block);
    size_t *shard;
    DT_TRY(dt_memory_alloc(&shard, comm->nodes + 1, sizeof *shard, "plan of the node exchange"));
    for (size_t node = 0; node < comm->nodes; node++) {
        size_t end;
        dt_shard_range(&shard[node], &end, r->shards, comm->size, comm->first[node]);
    }
    shard[comm->nodes] = r->shards;
    const dt_status status =
        dt_exchange_create(&r->exchange, &(dt_exchange_plan){.lane = r->lane,
                                                             .shard = shard,
                                                             .own = r->root,
                                                             .result = r->root[0],
                                                             .block = r->block,
                                                             .transport = transport,
                                                             .longest = r->piece});
    dt_memory_free(&shard);
    return status;
}

static dt_status check_sizes(const dt_comm *comm, size_t count, size_t shards, size_t block) {
    DT_REQUIRE(shards > 0 && (shards & (shards - 1)) == 0, DT_ERR_ARG,
               "--shards is %zu and must be a power of two", shards);
    DT_REQUIRE(
        comm->size <= shards, DT_ERR_ARG,
        "%zu ranks cannot share %zu shards; start at most %zu ranks (mpirun -np %zu), or begin "
        "a run with a larger --shards",
        comm->size, shards, shards, shards);
    DT_REQUIRE(count > 0 && count <= SIZE_MAX / 1024, DT_ERR_INTERNAL,
               "a gradient of %zu elements cannot be summed", count);
    DT_REQUIRE(block > 0 && block % DT_ALIGNED_FLOATS == 0, DT_ERR_INTERNAL,
               "blocks of %zu floats are not whole cache lines of %d", block,
               (int)DT_ALIGNED_FLOATS);
    return DT_OK;
}

dt_status dt_reducer_create_limited(dt_reducer **reducer, dt_comm *comm, size_t count,
                                    size_t shards, size_t block, dt_transport transport,
                                    size_t message) {
    *reducer = NULL;
    DT_TRY(check_sizes(comm, count, shards, block));
    dt_reducer *r;
    dt_status status = dt_memory_alloc(&r, 1, sizeof *r, "gradient sum");
    if (status == DT_OK) *r = (dt_reducer){.comm = comm, .lane = MPI_COMM_NULL};
    DT_TRY_DONE(dt_comm_agree(comm, status));
    r->count = count;
    r->shards = shards;
    r->block = block;
    r->stride = dt_round_up(count, block);
    dt_shard_range(&r->first, &r->last, shards, comm->size, comm->rank);
    r->next = r->first;
    r->final = count;
    r->slots = slots_for(r->first, r->last);
    DT_TRY_DONE(create_regions(r));
    DT_TRY_DONE(dt_comm_agree(comm, plan_node(r)));
    const size_t lanes = lanes_of(comm);
    cut_slice(r, lanes);
    r->started = r->end;
    if (comm->nodes > 1) DT_TRY_DONE(dt_frontier_create(&r->frontier, comm));
    DT_TRY_DONE(create_lane(r, lanes));
    DT_TRY_DONE(dt_comm_agree(comm, create_exchange(r, transport, message)));
    *reducer = r;
    return DT_OK;
done:
    dt_reducer_destroy(&r);
    return status;
}

dt_status dt_reducer_create(dt_reducer **reducer, dt_comm *comm, size_t count, size_t shards,
                            size_t block, dt_transport transport) {
    return dt_reducer_create_limited(reducer, comm, count, shards, block, transport, 0);
}

void dt_reducer_destroy(dt_reducer **reducer) {
    dt_reducer *r = *reducer;
    if (!r) return;
    dt_exchange_destroy(&r->exchange);
    if (r->lane != MPI_COMM_NULL) MPI_Comm_free(&r->lane);
    dt_tree_plan_destroy(&r->tree);
    dt_memory_free(&r->into);
    dt_memory_free(&r->root);
    dt_memory_free(&r->from);
    dt_memory_free(&r->leaf);
    dt_frontier_destroy(&r->frontier);
    dt_window_destroy(&r->window);
    dt_memory_free(reducer);
}

size_t dt_reducer_slots(const dt_reducer *reducer) { return reducer->slots; }

float *dt_reducer_slot(const dt_reducer *reducer, size_t slot) {
    return reducer->own + slot * reducer->stride;
}

size_t dt_reducer_begin_shard(dt_reducer *reducer) {
    const size_t waiting = dt_tree_cover(NULL, reducer->first, reducer->next);
    reducer->final = reducer->count;
    return dt_min_size(waiting, reducer->slots - 1);
}

/* The mark of this step when partial sums are final from an element on. It only grows, over all
 * steps. */
static uint64_t mark_of(const dt_reducer *r, size_t from) {
    return r->sums * (r->count + 1) + (r->count - dt_min_size(from, r->count));
}

/* Sums the elements from … final of the subtrees that the current shard completes. */
static void fold(dt_reducer *r, size_t from) {
    const size_t before = dt_tree_cover(NULL, r->first, r->next) + 1;
    const size_t after = dt_tree_cover(NULL, r->first, r->next + 1);
    if (after == before) return;
    const double start = dt_clock();
    const float *completed[DT_COVER_MAX + 1];
    for (size_t slot = after - 1; slot < before; slot++) {
        completed[slot - (after - 1)] = dt_reducer_slot(r, slot) + from;
    }
    dt_tree_fold(dt_reducer_slot(r, after - 1) + from, completed, before - after, r->final - from);
    r->adding += dt_clock() - start;
}

void dt_reducer_finish(dt_reducer *reducer, size_t from) {
    if (reducer->next >= reducer->last || from >= reducer->final) return;
    fold(reducer, from);
    reducer->final = from;
    const bool last = reducer->next + 1 == reducer->last;
    if (last && reducer->frontier) dt_frontier_advance(reducer->frontier, mark_of(reducer, from));
}

void dt_reducer_end_shard(dt_reducer *reducer) {
    dt_reducer_finish(reducer, 0);
    reducer->next++;
}

bool dt_reducer_overlaps(const dt_reducer *reducer) { return reducer->frontier != NULL; }

/* Elements begin … end over the ranks of the node. */
static void sum_node(dt_reducer *r, size_t begin, size_t end) {
    const double start = dt_clock();
    for (size_t leaf = 0; leaf < r->tree.leaves; leaf++) r->from[leaf] = r->leaf[leaf] + begin;
    for (size_t root = 0; root < r->tree.roots; root++) r->into[root] = r->root[root] + begin;
    dt_tree_sum(&r->tree, r->into, r->from, end - begin);
    r->adding += dt_clock() - start;
}

/* Receive what has come from other nodes, and send what this node has complete. */
static dt_status advance(dt_reducer *r) {
    if (!r->exchange) return DT_OK;
    DT_TRY(dt_exchange_progress(r->exchange, &r->adding));
    while (r->started > r->begin && dt_exchange_has_room(r->exchange)) {
        const size_t end = r->started, begin = end - dt_min_size(r->piece, end - r->begin);
        if (!dt_frontier_passed(r->frontier, mark_of(r, begin))) break;
        sum_node(r, begin, end);
        DT_TRY(dt_exchange_start(r->exchange, begin, end));
        r->started = begin;
    }
    return DT_OK;
}

dt_status dt_reducer_progress(dt_reducer *reducer) {
    const double start = dt_clock(), added = reducer->adding;
    DT_TRY(advance(reducer));
    reducer->exchanging += dt_clock() - start - (reducer->adding - added);
    return DT_OK;
}

static bool is_summed(const dt_reducer *r) {
    return !r->exchange || (r->started == r->begin && dt_exchange_is_idle(r->exchange));
}

/* Until every rank has come here, the time counts as waiting for the slowest; after that as
   exchanging. A rank that has nothing left to do leaves the processor to others. */
static dt_status sum_over_nodes(dt_reducer *r) {
    const double start = dt_clock(), added = r->adding;
    double waited = 0;
    int all_here = 0;
    MPI_Request arrival;
    DT_TRY(DT_MPI(MPI_Ibarrier(r->comm->all, &arrival)));
    while (!all_here || !is_summed(r)) {
        DT_TRY(advance(r));
        if (!all_here) {
            DT_TRY(DT_MPI(MPI_Test(&arrival, &all_here, MPI_STATUS_IGNORE)));
            waited = dt_clock() - start - (r->adding - added);
        }
        sched_yield();
    }
    r->waiting += waited;
    r->exchanging += dt_clock() - start - (r->adding - added) - waited;
    return DT_OK;
}

static dt_status sum_in_node(dt_reducer *r) {
    const double start = dt_clock();
    DT_TRY(dt_comm_node_barrier(r->comm));
    r->waiting += dt_clock() - start;
    sum_node(r, r->begin, r->end);
    return DT_OK;
}

dt_status dt_reducer_sum(dt_reducer *reducer, float **sum, size_t *begin, size_t *end) {
    const size_t done = reducer->next - reducer->first, wanted = reducer->last - reducer->first;
    DT_REQUIRE(done == wanted, DT_ERR_INTERNAL, "%zu gradients were added to a sum over %zu shards",
               done, wanted);
    DT_TRY(reducer->frontier ? sum_over_nodes(reducer) : sum_in_node(reducer));
    reducer->next = reducer->first;
    reducer->started = reducer->end;
    reducer->sums++;
    *sum = reducer->root[0];
    *begin = dt_min_size(reducer->begin, reducer->count);
    *end = dt_min_size(reducer->end, reducer->count);
    return DT_OK;
}

void dt_reducer_times(const dt_reducer *reducer, double *adding, double *exchanging,
                      double *waiting) {
    *adding = reducer->adding;
    *exchanging = reducer->exchanging;
    *waiting = reducer->waiting;
}
