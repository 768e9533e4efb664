/* Keeps a rank's gradients in the node's window, and sums those of all ranks in one canonical
 * order: at once when all are there, or between nodes from the end on, as far as they are final. */
#include <math.h>
#include <sched.h>

#include "dtrain/core/memory.h"
#include "exchange.h"
#include "frontier.h"
#include "internal.h"
#include "route.h"
#include "tree.h"

/* Regions of different ranks share no page, so that each lies in its own rank's memory bank. */
enum { PAGE = 4096 };

/* Floats of a message between nodes. The gradient is cut into about so many pieces for each node:
 * the first can start early, and little is left to do after the last. Of the shortest messages all
 * are sent at once, without a word from the receiver before (over TCP, Open MPI does that with up
 * to 64 KiB, its own header included); the longest ones are long enough for the network's full
 * rate, and short enough to add from the second cache. */
enum { PIECES = 16, MESSAGE_MIN = 16000, MESSAGE_MAX = 128 * 1024 };

/* The routes of one owner's pieces on this node. */
typedef struct {
    dt_route sum;    /* that everybody needs */
    dt_route owned;  /* that only the owner and the first node need */
    dt_route spread; /* what the owner has updated */
} owner_routes;

/* A piece of the gradient. */
typedef struct {
    dt_stretch stretch;
    bool owned;
} piece;

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

    /* Between nodes; NULL where there is one. */
    piece *piece; /* (pieces) those that this rank moves, the last ones first */
    size_t pieces, capacity;
    owner_routes *routes; /* (nodes) */
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

static dt_status list_shards(size_t **shard, const dt_comm *comm, size_t shards) {
    DT_TRY(dt_memory_alloc(shard, comm->nodes + 1, sizeof **shard, "plan of the node exchange"));
    for (size_t node = 0; node < comm->nodes; node++) {
        size_t end;
        dt_shard_range(&(*shard)[node], &end, shards, comm->size, comm->first[node]);
    }
    (*shard)[comm->nodes] = shards;
    return DT_OK;
}

/* What is cut into pieces, and what they need. */
typedef struct {
    dt_reducer *r;
    const dt_routes *routes;
    size_t longest; /* floats of a piece */
    size_t number;  /* pieces of all ranks so far */
    double bytes;   /* that this node sends */
    size_t messages;
    size_t most_buffers, most_messages; /* of a route */
} cutter;

static dt_status need_route(cutter *c, dt_route *route, size_t owner, dt_route_reach reach) {
    if (!route->step) DT_TRY(dt_route_create(route, c->routes, c->r->comm->node, owner, reach));
    c->most_buffers = dt_max_size(c->most_buffers, route->buffers);
    c->most_messages = dt_max_size(c->most_messages, route->sends + route->gives);
    return DT_OK;
}

static void count_messages(cutter *c, const dt_route *route, size_t floats) {
    const size_t messages = route->sends + route->gives;
    c->messages += messages;
    c->bytes += (double)(messages * floats * sizeof(float));
}

/* mover: the rank that owns the piece, or SIZE_MAX. */
static dt_status add_piece(cutter *c, size_t begin, size_t end, size_t mover) {
    dt_reducer *r = c->r;
    const dt_comm *comm = r->comm;
    piece p = {.stretch = {.begin = begin, .end = end, .number = c->number++, .mover = mover},
               .owned = mover != SIZE_MAX};
    dt_stretch *s = &p.stretch;
    s->owner = p.owned ? dt_group_of(comm->first, comm->nodes, mover)
                       : dt_routes_owner(c->routes, s->number);
    if (!p.owned) {
        const size_t here = comm->first[s->owner + 1] - comm->first[s->owner];
        s->mover = comm->first[s->owner] + s->number % here;
    }
    owner_routes *routes = &r->routes[s->owner];
    if (p.owned) {
        DT_TRY(need_route(c, &routes->owned, s->owner, DT_ROUTE_TO_FIRST));
        DT_TRY(need_route(c, &routes->spread, s->owner, DT_ROUTE_SPREAD));
        count_messages(c, &routes->owned, end - begin);
        count_messages(c, &routes->spread, end - begin);
    } else {
        DT_TRY(need_route(c, &routes->sum, s->owner, DT_ROUTE_TO_ALL));
        count_messages(c, &routes->sum, end - begin);
    }
    if (dt_exchange_mover(comm->first, s, comm->node) != comm->rank) return DT_OK;
    DT_TRY(
        dt_memory_grow(&r->piece, &r->capacity, r->pieces + 1, sizeof p, "pieces of the gradient"));
    r->piece[r->pieces++] = p;
    return DT_OK;
}

/* From its end on. */
static dt_status cut_range(cutter *c, size_t begin, size_t end, size_t mover) {
    const size_t parts = dt_round_up(end - begin, c->longest) / c->longest;
    for (size_t i = parts; i > 0; i--) {
        const size_t unit = DT_ALIGNED_FLOATS, units = dt_round_up(end - begin, unit) / unit;
        size_t from, to;
        dt_shard_range(&from, &to, units, parts, i - 1);
        DT_TRY(add_piece(c, begin + from * unit, dt_min_size(begin + to * unit, end), mover));
    }
    return DT_OK;
}

static dt_status cut_pieces(cutter *c, const dt_reducer_plan *plan) {
    size_t end = c->r->stride;
    for (size_t i = plan->owned_count; i > 0; i--) {
        const dt_owned *o = &plan->owned[i - 1];
        DT_REQUIRE(o->begin < o->end && o->end <= end && o->rank < c->r->comm->size,
                   DT_ERR_INTERNAL, "elements %zu to %zu cannot be owned by rank %zu", o->begin,
                   o->end, o->rank);
        DT_TRY(cut_range(c, o->end, end, SIZE_MAX));
        DT_TRY(cut_range(c, o->begin, o->end, o->rank));
        end = o->begin;
    }
    return cut_range(c, 0, end, SIZE_MAX);
}

static size_t piece_length(const dt_reducer *r, const dt_reducer_plan *plan) {
    const size_t even = r->stride / (PIECES * r->comm->nodes);
    const size_t suits = even < 2 * MESSAGE_MIN ? MESSAGE_MIN : dt_min_size(even, MESSAGE_MAX);
    return dt_round_up(plan->message ? plan->message : suits, DT_ALIGNED_FLOATS);
}

static void forget_pieces(dt_reducer *r) {
    for (size_t i = 0; r->routes && i < r->comm->nodes; i++) {
        dt_route_destroy(&r->routes[i].sum);
        dt_route_destroy(&r->routes[i].owned);
        dt_route_destroy(&r->routes[i].spread);
    }
    dt_memory_free(&r->routes);
    dt_memory_free(&r->piece);
    r->pieces = r->capacity = 0;
}

/* Pieces and routes of one kind of exchange; *seconds: what it will take this node, roughly. */
static dt_status plan_exchange(dt_reducer *r, cutter *c, double *seconds, dt_exchange_kind kind,
                               const dt_reducer_plan *plan) {
    size_t *shard = NULL;
    dt_routes *routes = NULL;
    dt_status status;
    *c = (cutter){.r = r, .longest = piece_length(r, plan)};
    r->kind = kind;
    DT_TRY_DONE(list_shards(&shard, r->comm, r->shards));
    DT_TRY_DONE(dt_routes_create(&routes, kind, shard, r->comm->nodes));
    DT_TRY_DONE(dt_memory_alloc(&r->routes, r->comm->nodes, sizeof *r->routes, "routes"));
    c->routes = routes;
    DT_TRY_DONE(cut_pieces(c, plan));
    const dt_network *n = &plan->network;
    *seconds = n->latency * (double)dt_routes_hops(routes) +
               n->latency * (double)c->messages / (double)r->comm->local_size;
    if (n->bandwidth > 0) *seconds += c->bytes / n->bandwidth;
done:
    dt_routes_destroy(&routes);
    dt_memory_free(&shard);
    return status;
}

/* Of the slowest node. Collective. */
static dt_status compare_kinds(dt_reducer *r, dt_exchange_kind *best, const dt_reducer_plan *plan) {
    double seconds[] = {[DT_EXCHANGE_DIRECT] = 0, [DT_EXCHANGE_TREE] = 0};
    *best = DT_EXCHANGE_DIRECT;
    for (size_t kind = DT_EXCHANGE_DIRECT; kind <= DT_EXCHANGE_TREE; kind++) {
        cutter c;
        const dt_status planned =
            plan_exchange(r, &c, &seconds[kind], (dt_exchange_kind)kind, plan);
        forget_pieces(r);
        DT_TRY(dt_comm_agree(r->comm, planned));
    }
    DT_TRY(DT_MPI(MPI_Allreduce(MPI_IN_PLACE, seconds, 1 + DT_EXCHANGE_TREE, MPI_DOUBLE, MPI_MAX,
                                r->comm->all)));
    if (seconds[DT_EXCHANGE_TREE] <= seconds[DT_EXCHANGE_DIRECT]) *best = DT_EXCHANGE_TREE;
    return DT_OK;
}

static dt_status open_exchange(dt_reducer *r, dt_exchange_kind kind, const dt_reducer_plan *plan) {
    cutter c;
    double seconds;
    DT_TRY(plan_exchange(r, &c, &seconds, kind, plan));
    return dt_exchange_create(&r->exchange, &(dt_exchange_plan){.all = r->comm->all,
                                                                .first = r->comm->first,
                                                                .longest = c.longest,
                                                                .buffers = c.most_buffers,
                                                                .messages = c.most_messages,
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
    forget_pieces(r);
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
static dt_status start_piece(dt_reducer *r, const piece *p) {
    const owner_routes *routes = &r->routes[p->stretch.owner];
    sum_node(r, p->stretch.begin, p->stretch.end);
    return dt_exchange_start(r->exchange, &p->stretch, p->owned ? &routes->owned : &routes->sum,
                             r->root, r->tree.roots, false);
}

/* Receive what has come from other nodes, and send what this node has complete. */
static dt_status advance(dt_reducer *r) {
    if (!r->exchange) return DT_OK;
    DT_TRY(dt_exchange_progress(r->exchange, &r->adding));
    while (r->started < r->pieces && dt_exchange_has_room(r->exchange)) {
        const piece *p = &r->piece[r->started];
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
    return r->started == r->pieces && dt_exchange_is_idle(r->exchange);
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
    for (; r->started < r->pieces && dt_exchange_has_room(r->exchange); r->started++) {
        const piece *p = &r->piece[r->started];
        if (!p->owned) continue;
        const bool mine = p->stretch.mover == r->comm->rank;
        if (mine && p->stretch.begin < r->ready) break;
        DT_TRY(dt_exchange_start(r->exchange, &p->stretch, &r->routes[p->stretch.owner].spread,
                                 &r->spread, 1, true));
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
