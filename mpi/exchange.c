/* Moves bytes between nodes and adds them here, since MPI's own sums have an order of their own:
   each node gets its part of every node's partial sums, adds them, and sends the sum to all others.
   That is as few bytes as any all-reduce sends, for any number of nodes. */
#include "exchange.h"

#include <limits.h>

#include "bfloat16.h"
#include "dtrain/core/memory.h"
#include "internal.h"
#include "tree.h"

/* Stretches that can be under way at once: each advances by one stage at most per call of
   dt_exchange_progress, and the network should not be idle between two calls. */
enum { STRETCHES = 8 };

typedef struct {
    size_t begin, end;
    float *received; /* (leaves, longest part); own leaves' rows stay untouched */
    /* With bfloat16, else NULL: what is received for `received`, and what is sent and the
     * sums that are received. */
    uint16_t *arrived; /* (leaves, longest part) */
    uint16_t *packed;  /* (own leaves, longest) */
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
    uint16_t *arrived;    /* (STRETCHES, leaves, part) */
    uint16_t *packed;     /* (STRETCHES, own leaves, longest) */
    MPI_Request *request; /* (STRETCHES, requests at most) */
    stretch stretch[STRETCHES];
    /* How many stretches have begun to collect every node's part, how many have been added and
       begun to spread the sums, and how many are done: one after the other. */
    size_t started, added, done;
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
    if (x->plan.transport == DT_TRANSPORT_FLOAT32) return DT_OK;
    const size_t longest = x->plan.longest;
    DT_TRY(dt_memory_alloc(&x->arrived, STRETCHES * leaves, x->part * sizeof(uint16_t), what));
    DT_TRY(dt_memory_alloc(&x->packed, STRETCHES * own, longest * sizeof(uint16_t), what));
    for (size_t i = 0; i < STRETCHES; i++) {
        x->stretch[i].arrived = x->arrived + i * leaves * x->part;
        x->stretch[i].packed = x->packed + i * own * longest;
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
    dt_memory_free(&x->packed);
    dt_memory_free(&x->arrived);
    dt_memory_free(&x->received);
    dt_memory_free(&x->request);
    dt_memory_free(&x->leaf);
    dt_tree_plan_destroy(&x->tree);
    dt_memory_free(&x->first);
    dt_memory_free(exchange);
}

static stretch *stretch_at(dt_exchange *x, size_t number) {
    return &x->stretch[number % STRETCHES];
}

/* Messages of different stretches are told apart, as those of their two stages are. */
static int tag_of(const dt_exchange *x, const stretch *s, size_t leaf) {
    return (int)((size_t)(s - x->stretch) * (DT_COVER_MAX + 1) + leaf);
}

static MPI_Datatype type_of(const stretch *s) { return s->packed ? MPI_UINT16_T : MPI_FLOAT; }

/* `count` numbers as they travel. */
static dt_status send(dt_exchange *x, stretch *s, const void *from, size_t count, size_t to,
                      int tag) {
    if (count == 0) return DT_OK;
    return DT_MPI(MPI_Isend(from, (int)count, type_of(s), (int)to, tag, x->plan.lane,
                            &s->request[s->requests++]));
}

static dt_status receive(dt_exchange *x, stretch *s, void *to, size_t count, size_t from, int tag) {
    if (count == 0) return DT_OK;
    return DT_MPI(MPI_Irecv(to, (int)count, type_of(s), (int)from, tag, x->plan.lane,
                            &s->request[s->requests++]));
}

/* Where another node's leaf arrives, by its number among all. */
static void *arrival(const dt_exchange *x, const stretch *s, size_t leaf) {
    if (s->packed) return s->arrived + leaf * x->part;
    return s->received + leaf * x->part;
}

static uint16_t *packed_at(const dt_exchange *x, const stretch *s, size_t leaf, range r) {
    return s->packed + leaf * x->plan.longest + (r.begin - s->begin);
}

/* A part of an own leaf, to be sent. */
static const void *departure(const dt_exchange *x, const stretch *s, size_t leaf, range r) {
    const float *from = x->plan.own[leaf] + r.begin;
    if (!s->packed) return from;
    uint16_t *packed = packed_at(x, s, leaf, r);
    dt_bfloat16_pack(packed, from, r.end - r.begin);
    return packed;
}

/* A part of the sum, to be sent or received. */
static void *sum_at(const dt_exchange *x, const stretch *s, range r) {
    if (s->packed) return packed_at(x, s, 0, r);
    return x->plan.result + r.begin;
}

/* Between this node and another: its leaves of this node's part, and this node's leaves of its
 * part. */
static dt_status collect(dt_exchange *x, stretch *s, size_t other) {
    const range mine = part_of(x, s, x->node), theirs = part_of(x, s, other);
    for (size_t leaf = x->first[other]; leaf < x->first[other + 1]; leaf++) {
        const int tag = tag_of(x, s, leaf - x->first[other]);
        DT_TRY(receive(x, s, arrival(x, s, leaf), mine.end - mine.begin, other, tag));
    }
    for (size_t leaf = 0; leaf < own_leaves(x); leaf++) {
        DT_TRY(send(x, s, departure(x, s, leaf, theirs), theirs.end - theirs.begin, other,
                    tag_of(x, s, leaf)));
    }
    return DT_OK;
}

/* The sums of this node's part and of the other's. */
static dt_status spread(dt_exchange *x, stretch *s, size_t other) {
    const range mine = part_of(x, s, x->node), theirs = part_of(x, s, other);
    const int tag = tag_of(x, s, DT_COVER_MAX);
    DT_TRY(receive(x, s, sum_at(x, s, theirs), theirs.end - theirs.begin, other, tag));
    return send(x, s, sum_at(x, s, mine), mine.end - mine.begin, other, tag);
}

/* Start messages of one kind with everyone, each node beginning with another neighbour. */
static dt_status post(dt_exchange *x, stretch *s,
                      dt_status (*pair)(dt_exchange *, stretch *, size_t)) {
    s->requests = 0;
    for (size_t i = 1; i < x->nodes; i++) DT_TRY(pair(x, s, (x->node + i) % x->nodes));
    return DT_OK;
}

static bool is_own(const dt_exchange *x, size_t leaf) {
    return leaf >= x->first[x->node] && leaf < x->first[x->node + 1];
}

/* This node's part of all leaves. What the others will get rounded is rounded here, too. */
static void add(dt_exchange *x, const stretch *s) {
    const range mine = part_of(x, s, x->node);
    const size_t count = mine.end - mine.begin;
    for (size_t leaf = 0; leaf < x->tree.leaves; leaf++) {
        float *received = s->received + leaf * x->part;
        if (is_own(x, leaf)) {
            x->leaf[leaf] = x->plan.own[leaf - x->first[x->node]] + mine.begin;
            continue;
        }
        if (s->packed) dt_bfloat16_unpack(received, s->arrived + leaf * x->part, count);
        x->leaf[leaf] = received;
    }
    float *root = x->plan.result + mine.begin;
    dt_tree_sum(&x->tree, &root, x->leaf, count);
    if (!s->packed) return;
    dt_bfloat16_pack(packed_at(x, s, 0, mine), root, count);
    dt_bfloat16_unpack(root, packed_at(x, s, 0, mine), count);
}

/* The sums of the other nodes have come. */
static void take_sums(dt_exchange *x, const stretch *s) {
    if (!s->packed) return;
    for (size_t node = 0; node < x->nodes; node++) {
        const range r = part_of(x, s, node);
        if (node == x->node) continue;
        dt_bfloat16_unpack(x->plan.result + r.begin, packed_at(x, s, 0, r), r.end - r.begin);
    }
}

bool dt_exchange_has_room(const dt_exchange *x) { return x->started - x->done < STRETCHES; }

bool dt_exchange_is_idle(const dt_exchange *x) { return x->done == x->started; }

dt_status dt_exchange_start(dt_exchange *x, size_t begin, size_t end) {
    DT_REQUIRE(dt_exchange_has_room(x) && end - begin <= x->plan.longest, DT_ERR_INTERNAL,
               "elements %zu to %zu do not fit what is under way between the nodes", begin, end);
    stretch *s = stretch_at(x, x->started++);
    s->begin = begin;
    s->end = end;
    return post(x, s, collect);
}

static dt_status have_come(bool *all, stretch *s) {
    int arrived;
    DT_TRY(DT_MPI(MPI_Testall(s->requests, s->request, &arrived, MPI_STATUSES_IGNORE)));
    *all = arrived;
    return DT_OK;
}

/* A test that fails may cost as much as a turn of another process, where there are more of them
   than processors: so only the oldest stretch of each stage is looked at. */
dt_status dt_exchange_progress(dt_exchange *x, double *adding) {
    bool come = true;
    while (x->added < x->started) {
        stretch *s = stretch_at(x, x->added);
        DT_TRY(have_come(&come, s));
        if (!come) break;
        const double start = dt_clock();
        add(x, s);
        *adding += dt_clock() - start;
        DT_TRY(post(x, s, spread));
        x->added++;
    }
    while (x->done < x->added) {
        stretch *s = stretch_at(x, x->done);
        DT_TRY(have_come(&come, s));
        if (!come) break;
        take_sums(x, s);
        x->done++;
    }
    return DT_OK;
}
