/* Keeps a rank's gradients in the node's window, and sums those of all ranks in one canonical
 * order: at once when all are there, or between nodes from the end on, as far as they are final. */
#include <math.h>
#include <sched.h>

#include "dtrain/core/memory.h"
#include "frontier.h"
#include "internal.h"
#include "pieces.h"
#include "tree.h"

/* Regions of different ranks share no page, so that each lies in its own rank's memory bank. */
enum { PAGE = 4096 };

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
    const float **from; /* (leaves) the same for one stretch */
    float **root;       /* (roots) where the node's are: on top of their first leaf */
    float **into;       /* (roots) the same for one stretch */

    /* Between nodes; none where there is one. */
    dt_pieces pieces; /* those that this rank moves */
    dt_exchange *exchange;
    dt_exchange_kind kind;
    dt_frontier *frontier; /* from where on ranks are final: see mark_of */
    size_t started;        /* pieces */
    float *spread;         /* what is being spread */
    size_t ready;          /* own stretches from here on may leave */
    uint64_t sums;         /* made so far */
    double adding, exchanging, waiting;
    double last_exchange; /* seconds of the last sum between nodes */
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

/* ---- between nodes ---- */

/* Pieces and routes of one kind of exchange. */
static dt_status plan_exchange(dt_pieces *pieces, const dt_reducer *r, dt_exchange_kind kind,
                               const dt_reducer_plan *plan) {
    const dt_comm *comm = r->comm;
    const dt_place place = {
        .first = comm->first, .nodes = comm->nodes, .node = comm->node, .rank = comm->rank};
    return dt_pieces_cut(pieces, plan, kind, &place, r->stride);
}

/* Of the slowest node. Collective. */
static dt_status compare_kinds(dt_reducer *r, dt_exchange_kind *best, const dt_reducer_plan *plan) {
    double seconds[] = {[DT_EXCHANGE_DIRECT] = 0, [DT_EXCHANGE_TREE] = 0};
    *best = DT_EXCHANGE_DIRECT;
    for (size_t kind = DT_EXCHANGE_DIRECT; kind <= DT_EXCHANGE_TREE; kind++) {
        dt_pieces pieces;
        const dt_status planned = plan_exchange(&pieces, r, (dt_exchange_kind)kind, plan);
        seconds[kind] = pieces.seconds;
        dt_pieces_destroy(&pieces);
        DT_TRY(dt_comm_agree(r->comm, planned));
    }
    DT_TRY(DT_MPI(MPI_Allreduce(MPI_IN_PLACE, seconds, 1 + DT_EXCHANGE_TREE, MPI_DOUBLE, MPI_MAX,
                                r->comm->all)));
    if (seconds[DT_EXCHANGE_TREE] <= seconds[DT_EXCHANGE_DIRECT]) *best = DT_EXCHANGE_TREE;
    return DT_OK;
}

static dt_status open_exchange(dt_reducer *r, dt_exchange_kind kind, const dt_reducer_plan *plan) {
    r->kind = kind;
    DT_TRY(plan_exchange(&r->pieces, r, kind, plan));
    return dt_exchange_create(&r->exchange, &(dt_exchange_plan){.all = r->comm->all,
                                                                .first = r->comm->first,
                                                                .longest = r->pieces.longest,
                                                                .buffers = r->pieces.buffers,
                                                                .messages = r->pieces.messages,
                                                                .transport = plan->transport});
}

/* Collective. */
static dt_status join_nodes(dt_reducer *r, const dt_reducer_plan *plan) {
    dt_exchange_kind kind = plan->exchange;
    if (r->comm->nodes == 1) return DT_OK;
    DT_TRY(dt_frontier_create(&r->frontier, r->comm));
    if (kind == DT_EXCHANGE_AUTO) DT_TRY(compare_kinds(r, &kind, plan));
    return dt_comm_agree(r->comm, open_exchange(r, kind, plan));
}

/* ---- the reducer ---- */

static dt_status check_sizes(const dt_comm *comm, const dt_reducer_plan *plan) {
    const size_t shards = plan->shards, block = plan->block;
    DT_REQUIRE(shards > 0 && (shards & (shards - 1)) == 0, DT_ERR_ARG,
               "--shards is %zu and must be a power of two", shards);
    DT_REQUIRE(
        comm->size <= shards, DT_ERR_ARG,
        "%zu ranks cannot share %zu shards; start at most %zu ranks (mpirun -np %zu), or begin "
        "a run with a larger --shards",
        comm->size, shards, shards, shards);
    DT_REQUIRE(plan->count > 0 && plan->count <= SIZE_MAX / 1024, DT_ERR_INTERNAL,
               "a gradient of %zu elements cannot be summed", plan->count);
    DT_REQUIRE(block > 0 && block % DT_ALIGNED_FLOATS == 0, DT_ERR_INTERNAL,
               "blocks of %zu floats are not whole cache lines of %d", block,
               (int)DT_ALIGNED_FLOATS);
    return DT_OK;
}

dt_status dt_reducer_create(dt_reducer **reducer, dt_comm *comm, const dt_reducer_plan *plan) {
    *reducer = NULL;
    DT_TRY(check_sizes(comm, plan));
    dt_reducer *r;
    dt_status status = dt_memory_alloc(&r, 1, sizeof *r, "gradient sum");
    if (status == DT_OK) *r = (dt_reducer){.comm = comm, .kind = DT_EXCHANGE_DIRECT};
    DT_TRY_DONE(dt_comm_agree(comm, status));
    r->count = plan->count;
    r->shards = plan->shards;
    r->block = plan->block;
    r->stride = dt_round_up(r->count, r->block);
    dt_shard_range(&r->first, &r->last, r->shards, comm->size, comm->rank);
    r->next = r->first;
    r->final = r->count;
    r->slots = slots_for(r->first, r->last);
    dt_shard_range(&r->begin, &r->end, r->stride / r->block, comm->local_size, comm->local_rank);
    r->begin *= r->block;
    r->end *= r->block;
    DT_TRY_DONE(create_regions(r));
    DT_TRY_DONE(dt_comm_agree(comm, plan_node(r)));
    DT_TRY_DONE(join_nodes(r, plan));
    *reducer = r;
    return DT_OK;
done:
    dt_reducer_destroy(&r);
    return status;
}

void dt_reducer_destroy(dt_reducer **reducer) {
    dt_reducer *r = *reducer;
    if (!r) return;
    dt_exchange_destroy(&r->exchange);
    dt_pieces_destroy(&r->pieces);
    dt_tree_plan_destroy(&r->tree);
    dt_memory_free(&r->into);
    dt_memory_free(&r->root);
    dt_memory_free(&r->from);
    dt_memory_free(&r->leaf);
    dt_frontier_destroy(&r->frontier);
    dt_window_destroy(&r->window);
    dt_memory_free(reducer);
}

dt_exchange_kind dt_reducer_exchange(const dt_reducer *reducer) { return reducer->kind; }

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

/* The sum over the nodes of a piece that the ranks of this one have completed. */
static dt_status start_piece(dt_reducer *r, const dt_piece *p) {
    const dt_owner_routes *routes = &r->pieces.routes[p->stretch.owner];
    sum_node(r, p->stretch.begin, p->stretch.end);
    return dt_exchange_start(r->exchange, &p->stretch, p->owned ? &routes->owned : &routes->sum,
                             r->root, r->tree.roots, false);
}

/* Receive what has come from other nodes, and send what this node has complete. */
static dt_status advance(dt_reducer *r) {
    if (!r->exchange) return DT_OK;
    DT_TRY(dt_exchange_progress(r->exchange, &r->adding));
    while (r->started < r->pieces.count && dt_exchange_has_room(r->exchange)) {
        const dt_piece *p = &r->pieces.piece[r->started];
        if (!dt_frontier_passed(r->frontier, mark_of(r, p->stretch.begin))) break;
        DT_TRY(start_piece(r, p));
        r->started++;
    }
    return DT_OK;
}

dt_status dt_reducer_progress(dt_reducer *reducer) {
    const double start = dt_clock(), added = reducer->adding;
    DT_TRY(advance(reducer));
    reducer->exchanging += dt_clock() - start - (reducer->adding - added);
    return DT_OK;
}

static bool is_moved(const dt_reducer *r) {
    return r->started == r->pieces.count && dt_exchange_is_idle(r->exchange);
}

/* A rank that waits leaves the processor to others. */
static dt_status sum_over_nodes(dt_reducer *r) {
    const double start = dt_clock(), added = r->adding;
    for (;;) {
        DT_TRY(advance(r));
        if (is_moved(r)) break;
        sched_yield();
    }
    /* The pieces of the others of this node, too. */
    DT_TRY(dt_comm_node_barrier(r->comm));
    r->last_exchange = dt_clock() - start - (r->adding - added);
    r->exchanging += r->last_exchange;
    return DT_OK;
}

void dt_reducer_waited(dt_reducer *reducer, double seconds) {
    const double waited = fmin(seconds, reducer->last_exchange);
    reducer->last_exchange -= waited;
    reducer->exchanging -= waited;
    reducer->waiting += waited;
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
    DT_TRY(reducer->exchange ? sum_over_nodes(reducer) : sum_in_node(reducer));
    reducer->next = reducer->first;
    reducer->started = 0;
    reducer->sums++;
    *sum = reducer->root[0];
    *begin = dt_min_size(reducer->begin, reducer->count);
    *end = dt_min_size(reducer->end, reducer->count);
    return DT_OK;
}

/* ---- what one rank has updated ---- */

static dt_status spread_on(dt_reducer *r) {
    DT_TRY(dt_exchange_progress(r->exchange, &r->adding));
    for (; r->started < r->pieces.count && dt_exchange_has_room(r->exchange); r->started++) {
        const dt_piece *p = &r->pieces.piece[r->started];
        if (!p->owned) continue;
        const bool mine = p->stretch.mover == r->comm->rank;
        if (mine && p->stretch.begin < r->ready) break;
        DT_TRY(dt_exchange_start(r->exchange, &p->stretch,
                                 &r->pieces.routes[p->stretch.owner].spread, &r->spread, 1, true));
    }
    return DT_OK;
}

dt_status dt_reducer_begin_spread(dt_reducer *reducer, float *weights) {
    reducer->spread = weights;
    reducer->started = 0;
    reducer->ready = SIZE_MAX;
    return DT_OK;
}

dt_status dt_reducer_spread(dt_reducer *reducer, size_t from) {
    if (!reducer->exchange) return DT_OK;
    const double start = dt_clock();
    reducer->ready = from;
    DT_TRY(spread_on(reducer));
    reducer->exchanging += dt_clock() - start;
    return DT_OK;
}

dt_status dt_reducer_end_spread(dt_reducer *reducer) {
    if (!reducer->exchange) return DT_OK;
    const double start = dt_clock();
    reducer->ready = 0;
    do {
        DT_TRY(spread_on(reducer));
        sched_yield();
    } while (!is_moved(reducer));
    reducer->started = 0;
    reducer->exchanging += dt_clock() - start;
    return DT_OK;
}

double dt_reducer_sent(const dt_reducer *reducer) {
    return reducer->exchange ? dt_exchange_sent(reducer->exchange) : 0;
}

void dt_reducer_times(const dt_reducer *reducer, double *adding, double *exchanging,
                      double *waiting) {
    *adding = reducer->adding;
    *exchanging = reducer->exchanging;
    *waiting = reducer->waiting;
}
