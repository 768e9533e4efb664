/* Moves bytes between nodes and adds them here, since MPI's own sums have an order of their own:
   each node gets its part of every node's partial sums, adds them, and sends the sum to all others.
   That is as few bytes as any all-reduce sends, for any number of nodes. */
#include "exchange.h"

#include <limits.h>

#include "dtrain/memory.h"
#include "internal.h"
#include "tree.h"

/* Stretches that can be under way at once: between two looks at them each comes one stage further
   at most, and the network is to have something to do meanwhile. */
enum { STRETCHES = 8 };

/* Parts of all nodes come here, then their sums go everywhere. */
typedef enum { FREE, COLLECTING, SPREADING } stage;

typedef struct {
    stage stage;
    size_t begin, end;
    float *received; /* (leaves, longest part); own leaves' rows stay untouched */
    MPI_Request *request;
    int requests;
} stretch;

struct dt_exchange {
    dt_exchange_plan plan;
    size_t nodes, node;
    size_t *first; /* (nodes + 1) which leaves are each node's */
    dt_tree_plan tree;
    const float **leaf;   /* (leaves) */
    size_t part;          /* floats of the longest part of a stretch */
    float *received;      /* (STRETCHES, leaves, part) */
    MPI_Request *request; /* (STRETCHES, requests at most) */
    stretch stretch[STRETCHES];
    size_t next, under_way; /* the one to start next; how many are not FREE */
};

typedef struct {
    size_t begin, end;
} range;

/* The part of a stretch that a node adds, in whole blocks. */
static range part_of(const dt_exchange *x, const stretch *s, size_t node) {
    size_t begin, end;
    dt_shard_range(&begin, &end, (s->end - s->begin) / x->plan.block, x->nodes, node);
    return (range){s->begin + begin * x->plan.block, s->begin + end * x->plan.block};
}

static size_t own_leaves(const dt_exchange *x) { return x->first[x->node + 1] - x->first[x->node]; }

static dt_status plan_tree(dt_exchange *x) {
    const size_t *shard = x->plan.shard;
    for (size_t node = 0; node < x->nodes; node++) {
        x->first[node + 1] = x->first[node] + dt_tree_cover(NULL, shard[node], shard[node + 1]);
    }
    dt_subtree *leaf;
    DT_TRY(dt_memory_alloc(&leaf, x->first[x->nodes], sizeof *leaf, "plan of the node exchange"));
    for (size_t node = 0; node < x->nodes; node++) {
        dt_tree_cover(leaf + x->first[node], shard[node], shard[node + 1]);
    }
    const dt_status status = dt_tree_plan_create(&x->tree, leaf, x->first[x->nodes]);
    dt_memory_free(&leaf);
    return status;
}

static dt_status allocate_buffers(dt_exchange *x) {
    const char *what = "buffers between nodes";
    const size_t leaves = x->tree.leaves, own = own_leaves(x), others = x->nodes - 1;
    const size_t requests = dt_max_size(leaves - own + own * others, 2 * others);
    DT_REQUIRE(requests <= INT_MAX, DT_ERR_INTERNAL, "%zu messages at once are too many for MPI",
               requests);
    DT_TRY(dt_memory_alloc(&x->leaf, leaves, sizeof *x->leaf, what));
    DT_TRY(dt_memory_alloc(&x->request, STRETCHES * requests, sizeof *x->request, what));
    DT_TRY(dt_memory_alloc(&x->received, STRETCHES * leaves, x->part * sizeof(float), what));
    for (size_t i = 0; i < STRETCHES; i++) {
        x->stretch[i].request = x->request + i * requests;
        x->stretch[i].received = x->received + i * leaves * x->part;
    }
    return DT_OK;
}

dt_status dt_exchange_create(dt_exchange **exchange, const dt_exchange_plan *plan) {
    *exchange = NULL;
    int nodes, node;
    DT_TRY(DT_MPI(MPI_Comm_size(plan->lane, &nodes)));
    DT_TRY(DT_MPI(MPI_Comm_rank(plan->lane, &node)));
    dt_exchange *made;
    DT_TRY(dt_memory_alloc(&made, 1, sizeof *made, "plan of the node exchange"));
    *made = (dt_exchange){.plan = *plan, .nodes = (size_t)nodes, .node = (size_t)node};
    const size_t blocks = plan->longest / plan->block;
    made->part = dt_round_up(blocks, made->nodes) / made->nodes * plan->block;
    dt_status status;
    DT_REQUIRE_DONE(made->part <= INT_MAX, DT_ERR_INTERNAL,
                    "parts of %zu floats are too long for one message", made->part);
    DT_TRY_DONE(dt_memory_alloc(&made->first, made->nodes + 1, sizeof *made->first,
                                "plan of the node exchange"));
    DT_TRY_DONE(plan_tree(made));
    DT_TRY_DONE(allocate_buffers(made));
    *exchange = made;
    return DT_OK;
done:
    dt_exchange_destroy(&made);
    return status;
}

void dt_exchange_destroy(dt_exchange **exchange) {
    dt_exchange *x = *exchange;
    if (!x) return;
    dt_memory_free(&x->received);
    dt_memory_free(&x->request);
    dt_memory_free(&x->leaf);
    dt_tree_plan_destroy(&x->tree);
    dt_memory_free(&x->first);
    dt_memory_free(exchange);
}

/* Messages of different stretches are told apart: they may overtake each other in the stages. */
static int tag_of(const dt_exchange *x, const stretch *s, size_t leaf) {
    return (int)((size_t)(s - x->stretch) * (DT_COVER_MAX + 1) + leaf);
}

static dt_status send(dt_exchange *x, stretch *s, const float *from, range r, size_t to, int tag) {
    if (r.begin == r.end) return DT_OK;
    return DT_MPI(MPI_Isend(from + r.begin, (int)(r.end - r.begin), MPI_FLOAT, (int)to, tag,
                            x->plan.lane, &s->request[s->requests++]));
}

static dt_status receive(dt_exchange *x, stretch *s, float *to, range r, size_t from, int tag) {
    if (r.begin == r.end) return DT_OK;
    return DT_MPI(MPI_Irecv(to, (int)(r.end - r.begin), MPI_FLOAT, (int)from, tag, x->plan.lane,
                            &s->request[s->requests++]));
}

/* Between this node and another: its leaves of this node's part, and this node's leaves of its
 * part. */
static dt_status collect(dt_exchange *x, stretch *s, size_t other) {
    const range mine = part_of(x, s, x->node), theirs = part_of(x, s, other);
    for (size_t leaf = x->first[other]; leaf < x->first[other + 1]; leaf++) {
        DT_TRY(receive(x, s, s->received + leaf * x->part, mine, other,
                       tag_of(x, s, leaf - x->first[other])));
    }
    for (size_t leaf = 0; leaf < own_leaves(x); leaf++) {
        DT_TRY(send(x, s, x->plan.own[leaf], theirs, other, tag_of(x, s, leaf)));
    }
    return DT_OK;
}

/* The sums of this node's part and of the other's. */
static dt_status spread(dt_exchange *x, stretch *s, size_t other) {
    const range theirs = part_of(x, s, other);
    const int tag = tag_of(x, s, DT_COVER_MAX);
    DT_TRY(receive(x, s, x->plan.result + theirs.begin, theirs, other, tag));
    return send(x, s, x->plan.result, part_of(x, s, x->node), other, tag);
}

/* Start a stage with everyone, each node beginning with another neighbour. */
static dt_status enter(dt_exchange *x, stretch *s, stage stage) {
    s->stage = stage;
    s->requests = 0;
    for (size_t i = 1; i < x->nodes; i++) {
        const size_t other = (x->node + i) % x->nodes;
        DT_TRY(stage == COLLECTING ? collect(x, s, other) : spread(x, s, other));
    }
    return DT_OK;
}

static void add(dt_exchange *x, const stretch *s) {
    const range mine = part_of(x, s, x->node);
    for (size_t leaf = 0; leaf < x->tree.leaves; leaf++) {
        x->leaf[leaf] = s->received + leaf * x->part;
    }
    for (size_t leaf = 0; leaf < own_leaves(x); leaf++) {
        x->leaf[x->first[x->node] + leaf] = x->plan.own[leaf] + mine.begin;
    }
    float *root = x->plan.result + mine.begin;
    dt_tree_sum(&x->tree, &root, x->leaf, mine.end - mine.begin);
}

bool dt_exchange_has_room(const dt_exchange *x) { return x->stretch[x->next].stage == FREE; }

bool dt_exchange_is_idle(const dt_exchange *x) { return x->under_way == 0; }

dt_status dt_exchange_start(dt_exchange *x, size_t begin, size_t end) {
    stretch *s = &x->stretch[x->next];
    DT_REQUIRE(s->stage == FREE && end - begin <= x->plan.longest, DT_ERR_INTERNAL,
               "elements %zu to %zu do not fit what is under way between the nodes", begin, end);
    s->begin = begin;
    s->end = end;
    x->next = (x->next + 1) % STRETCHES;
    x->under_way++;
    return enter(x, s, COLLECTING);
}

static dt_status look(dt_exchange *x, stretch *s, double *adding) {
    int arrived;
    DT_TRY(DT_MPI(MPI_Testall(s->requests, s->request, &arrived, MPI_STATUSES_IGNORE)));
    if (!arrived) return DT_OK;
    if (s->stage == SPREADING) {
        s->stage = FREE;
        x->under_way--;
        return DT_OK;
    }
    const double start = dt_clock();
    add(x, s);
    *adding += dt_clock() - start;
    return enter(x, s, SPREADING);
}

dt_status dt_exchange_progress(dt_exchange *x, double *adding) {
    for (size_t i = 0; i < STRETCHES; i++) {
        stretch *s = &x->stretch[(x->next + i) % STRETCHES]; /* the oldest first */
        if (s->stage != FREE) DT_TRY(look(x, s, adding));
    }
    return DT_OK;
}
