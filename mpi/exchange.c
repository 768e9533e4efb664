/* Moves bytes between nodes and adds them here, since MPI's own sums have an order of their own:
   each node gets its part of every node's partial sums, adds them, and sends the sum to all others.
   That is as few bytes as any all-reduce sends, for any number of nodes. */
#include "exchange.h"

#include <limits.h>

#include "dtrain/memory.h"
#include "internal.h"
#include "tree.h"

struct dt_exchange {
    dt_exchange_plan plan;
    size_t nodes, node;
    size_t *part;  /* (nodes + 1) which part of the slice each node adds: first float */
    size_t *first; /* (nodes + 1) which leaves are each node's */
    dt_tree_plan tree;
    const float **leaf; /* (leaves) */
    /* Twice everything: one message of each is under way while the last one is added. */
    float *received;         /* (2, leaves, message); own leaves' rows stay untouched */
    MPI_Request *request[2]; /* (requests at most) */
    int requests[2];
    int *count, *start; /* (nodes) of the parts, in blocks */
    MPI_Datatype block;
};

typedef struct {
    size_t begin, end;
} range;

/* Message number `step` of a node's part; empty when the part has fewer. */
static range piece_of(const dt_exchange *x, size_t node, size_t step) {
    const size_t begin = x->part[node] + step * x->plan.message;
    const size_t end = x->part[node + 1];
    return (range){dt_min_size(begin, end), dt_min_size(begin + x->plan.message, end)};
}

static float *received_row(const dt_exchange *x, size_t step, size_t leaf) {
    return x->received + (step % 2 * x->tree.leaves + leaf) * x->plan.message;
}

/* Cut the slice into a part per node, in whole blocks. */
static void cut_parts(dt_exchange *x) {
    const size_t blocks = (x->plan.end - x->plan.begin) / x->plan.block;
    for (size_t node = 0; node < x->nodes; node++) {
        size_t begin, end;
        dt_shard_range(&begin, &end, blocks, x->nodes, node);
        x->part[node] = x->plan.begin + begin * x->plan.block;
        x->start[node] = (int)begin;
        x->count[node] = (int)(end - begin);
    }
    x->part[x->nodes] = x->plan.end;
}

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
    const size_t leaves = x->tree.leaves;
    const size_t own = x->first[x->node + 1] - x->first[x->node];
    const size_t most = leaves - own + own * (x->nodes - 1);
    DT_REQUIRE(most <= INT_MAX, DT_ERR_INTERNAL, "%zu messages at once are too many for MPI", most);
    DT_TRY(dt_memory_alloc(&x->leaf, leaves, sizeof *x->leaf, what));
    DT_TRY(dt_memory_alloc(&x->request[0], most, sizeof *x->request[0], what));
    DT_TRY(dt_memory_alloc(&x->request[1], most, sizeof *x->request[1], what));
    DT_TRY(dt_memory_alloc(&x->received, 2 * leaves, x->plan.message * sizeof(float), what));
    return DT_OK;
}

static dt_status create_block(dt_exchange *x) {
    DT_TRY(DT_MPI(MPI_Type_contiguous((int)x->plan.block, MPI_FLOAT, &x->block)));
    return DT_MPI(MPI_Type_commit(&x->block));
}

dt_status dt_exchange_create(dt_exchange **exchange, const dt_exchange_plan *plan) {
    *exchange = NULL;
    const char *what = "plan of the node exchange";
    int nodes, node;
    DT_TRY(DT_MPI(MPI_Comm_size(plan->lane, &nodes)));
    DT_TRY(DT_MPI(MPI_Comm_rank(plan->lane, &node)));
    dt_exchange *made;
    DT_TRY(dt_memory_alloc(&made, 1, sizeof *made, what));
    *made = (dt_exchange){.plan = *plan, .block = MPI_DATATYPE_NULL};
    made->nodes = (size_t)nodes;
    made->node = (size_t)node;
    made->plan.message =
        dt_round_up(dt_min_size(plan->message, plan->end - plan->begin), plan->block);
    dt_status status;
    DT_REQUIRE_DONE(made->plan.message <= INT_MAX, DT_ERR_INTERNAL,
                    "blocks of %zu floats are too long for one message", plan->block);
    DT_REQUIRE_DONE((plan->end - plan->begin) / plan->block <= INT_MAX, DT_ERR_INTERNAL,
                    "a slice of %zu floats in blocks of %zu is more than MPI can count; use larger "
                    "blocks",
                    plan->end - plan->begin, plan->block);
    DT_TRY_DONE(dt_memory_alloc(&made->part, made->nodes + 1, sizeof *made->part, what));
    DT_TRY_DONE(dt_memory_alloc(&made->first, made->nodes + 1, sizeof *made->first, what));
    DT_TRY_DONE(dt_memory_alloc(&made->count, made->nodes, sizeof *made->count, what));
    DT_TRY_DONE(dt_memory_alloc(&made->start, made->nodes, sizeof *made->start, what));
    cut_parts(made);
    DT_TRY_DONE(plan_tree(made));
    DT_TRY_DONE(allocate_buffers(made));
    DT_TRY_DONE(create_block(made));
    *exchange = made;
    return DT_OK;
done:
    dt_exchange_destroy(&made);
    return status;
}

void dt_exchange_destroy(dt_exchange **exchange) {
    dt_exchange *x = *exchange;
    if (!x) return;
    if (x->block != MPI_DATATYPE_NULL) MPI_Type_free(&x->block);
    dt_memory_free(&x->received);
    dt_memory_free(&x->request[1]);
    dt_memory_free(&x->request[0]);
    dt_memory_free(&x->leaf);
    dt_tree_plan_destroy(&x->tree);
    dt_memory_free(&x->start);
    dt_memory_free(&x->count);
    dt_memory_free(&x->first);
    dt_memory_free(&x->part);
    dt_memory_free(exchange);
}

/* Between this node and another: its leaves of this node's part, and this node's leaves of its
 * part. */
static dt_status post_pair(dt_exchange *x, float *const *own, size_t step, size_t other,
                           MPI_Request *request, int *requests) {
    const range mine = piece_of(x, x->node, step), theirs = piece_of(x, other, step);
    if (mine.begin < mine.end) {
        const int count = (int)(mine.end - mine.begin);
        for (size_t leaf = x->first[other]; leaf < x->first[other + 1]; leaf++) {
            DT_TRY(DT_MPI(MPI_Irecv(received_row(x, step, leaf), count, MPI_FLOAT, (int)other,
                                    (int)(leaf - x->first[other]), x->plan.lane,
                                    &request[*requests])));
            ++*requests;
        }
    }
    if (theirs.begin < theirs.end) {
        const int count = (int)(theirs.end - theirs.begin);
        for (size_t leaf = 0; leaf < x->first[x->node + 1] - x->first[x->node]; leaf++) {
            DT_TRY(DT_MPI(MPI_Isend(own[leaf] + theirs.begin, count, MPI_FLOAT, (int)other,
                                    (int)leaf, x->plan.lane, &request[*requests])));
            ++*requests;
        }
    }
    return DT_OK;
}

/* Start message number `step` to and from everyone, each node beginning with another neighbour. */
static dt_status post(dt_exchange *x, float *const *own, size_t step) {
    x->requests[step % 2] = 0;
    for (size_t i = 1; i < x->nodes; i++) {
        DT_TRY(post_pair(x, own, step, (x->node + i) % x->nodes, x->request[step % 2],
                         &x->requests[step % 2]));
    }
    return DT_OK;
}

static void add(dt_exchange *x, float *result, float *const *own, size_t step) {
    const range mine = piece_of(x, x->node, step);
    for (size_t leaf = 0; leaf < x->tree.leaves; leaf++)
        x->leaf[leaf] = received_row(x, step, leaf);
    for (size_t leaf = x->first[x->node]; leaf < x->first[x->node + 1]; leaf++) {
        x->leaf[leaf] = own[leaf - x->first[x->node]] + mine.begin;
    }
    float *root = result + mine.begin;
    dt_tree_sum(&x->tree, &root, x->leaf, mine.end - mine.begin);
}

dt_status dt_exchange_sum(dt_exchange *x, float *result, float *const *own, double *adding,
                          double *exchanging) {
    const double start = dt_clock();
    double added = 0;
    size_t steps = 0;
    for (size_t node = 0; node < x->nodes; node++) {
        const size_t length = x->part[node + 1] - x->part[node];
        steps = dt_max_size(steps, dt_round_up(length, x->plan.message) / x->plan.message);
    }
    if (steps > 0) DT_TRY(post(x, own, 0));
    for (size_t step = 0; step < steps; step++) {
        if (step + 1 < steps) DT_TRY(post(x, own, step + 1));
        DT_TRY(
            DT_MPI(MPI_Waitall(x->requests[step % 2], x->request[step % 2], MPI_STATUSES_IGNORE)));
        const double before = dt_clock();
        add(x, result, own, step);
        added += dt_clock() - before;
    }
    DT_TRY(DT_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, result + x->plan.begin,
                                 x->count, x->start, x->block, x->plan.lane)));
    *adding += added;
    *exchanging += dt_clock() - start - added;
    return DT_OK;
}
