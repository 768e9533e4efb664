/* Routes lead to the sum in tree order, with the fewest messages: followed here for all nodes by
 * one process, without MPI. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "route.h"
#include "tree.h"

enum { NODES_MAX = 17, SHARDS_MAX = 512, MESSAGES_MAX = 4096 };

/* ---- nodes that follow their routes, each message with one float ---- */

typedef struct {
    float value;
    size_t from, to;
    bool taken;
} letter;

typedef struct {
    dt_route route;
    size_t at, own;
    float value[2 * 64];
} walker;

typedef struct {
    walker node[NODES_MAX];
    size_t nodes;
    letter letter[MESSAGES_MAX];
    size_t letters, first; /* all before `first` are taken */
} world;

static float leaf(size_t shard) {
    uint32_t x = (uint32_t)shard * 2654435761u + 12345u;
    x ^= x >> 13;
    x *= 2246822519u;
    return (float)(x >> 8) / (float)(1 << ((x & 7) + 17)) - 3.0f;
}

static float tree_sum(size_t begin, size_t end) {
    if (end - begin == 1) return leaf(begin);
    const size_t middle = begin + (end - begin) / 2;
    return tree_sum(begin, middle) + tree_sum(middle, end);
}

static void put(world *w, size_t from, size_t to, float value) {
    assert_true(w->letters < MESSAGES_MAX);
    w->letter[w->letters++] = (letter){value, from, to, false};
}

/* The oldest message from one node to another. */
static bool get(world *w, size_t from, size_t to, float *value) {
    for (size_t i = w->first; i < w->letters; i++) {
        letter *l = &w->letter[i];
        if (l->taken || l->from != from || l->to != to) continue;
        *value = l->value;
        l->taken = true;
        while (w->first < w->letters && w->letter[w->first].taken) w->first++;
        return true;
    }
    return false;
}

/* One step; false: it waits, or is at its end. */
static bool walk(world *w, size_t number) {
    walker *n = &w->node[number];
    if (n->at == n->route.steps) return false;
    const dt_route_step *s = &n->route.step[n->at];
    switch (s->kind) {
    case DT_ROUTE_RECEIVE:
        assert_true(s->after <= n->at && s->left >= n->own);
        assert_true(s->left < n->own + n->route.buffers);
        if (!get(w, s->node, number, &n->value[s->left])) return false;
        break;
    case DT_ROUTE_TAKE:
        if (!get(w, s->node, number, &n->value[0])) return false;
        break;
    case DT_ROUTE_ADD: n->value[s->sum] = n->value[s->left] + n->value[s->right]; break;
    case DT_ROUTE_SEND: put(w, number, s->node, n->value[s->left]); break;
    case DT_ROUTE_GIVE: put(w, number, s->node, n->value[0]); break;
    case DT_ROUTE_ROUND: break;
    }
    n->at++;
    return true;
}

/* Nodes take turns in an order that changes, so that messages cross. */
static void follow(world *w) {
    bool moved = true;
    for (size_t turn = 0; moved; turn++) {
        moved = false;
        for (size_t i = 0; i < w->nodes; i++) {
            const size_t number = turn % 2 ? w->nodes - 1 - i : i;
            while (walk(w, number)) moved = true;
        }
    }
    for (size_t i = 0; i < w->nodes; i++) assert_int_equal(w->node[i].at, w->node[i].route.steps);
    assert_int_equal(w->first, w->letters);
}

static void open_world(world *w, const dt_routes *routes, const size_t *shard, size_t nodes,
                       size_t owner, dt_route_reach reach) {
    *w = (world){.nodes = nodes};
    for (size_t i = 0; i < nodes; i++) {
        dt_subtree cover[DT_COVER_MAX];
        walker *n = &w->node[i];
        n->own = dt_tree_cover(cover, shard[i], shard[i + 1]);
        for (size_t k = 0; k < n->own; k++) {
            const size_t begin = cover[k].index << cover[k].level;
            n->value[k] = tree_sum(begin, begin + ((size_t)1 << cover[k].level));
        }
        assert_int_equal(dt_route_create(&n->route, routes, i, owner, reach), DT_OK);
        assert_true(n->own + n->route.buffers <= sizeof n->value / sizeof *n->value);
    }
}

static void close_world(world *w) {
    for (size_t i = 0; i < w->nodes; i++) dt_route_destroy(&w->node[i].route);
}

static void expect_sum(const world *w, size_t node, float sum) {
    assert_memory_equal(&w->node[node].value[0], &sum, sizeof sum);
}

/* ---- what must hold for some nodes ---- */

/* The fewest messages that bring a subtree's sum to each node, by trying all. */
static void fewest(size_t *cost, size_t begin, size_t end, const size_t *shard, size_t nodes) {
    for (size_t i = 0; i < nodes; i++) cost[i] = begin >= shard[i] && end <= shard[i + 1] ? 0 : 1;
    for (size_t i = 0; i < nodes; i++) {
        if (cost[i] == 0) return;
    }
    size_t left[NODES_MAX], right[NODES_MAX], least = SIZE_MAX;
    const size_t middle = begin + (end - begin) / 2;
    fewest(left, begin, middle, shard, nodes);
    fewest(right, middle, end, shard, nodes);
    for (size_t i = 0; i < nodes; i++) {
        cost[i] = left[i] + right[i];
        least = dt_min_size(least, cost[i]);
    }
    for (size_t i = 0; i < nodes; i++) cost[i] = dt_min_size(cost[i], least + 1);
}

static world shared; /* too large for the stack */

static void check_nodes(const size_t *shard, size_t nodes) {
    const float sum = tree_sum(0, shard[nodes]);
    size_t cost[NODES_MAX];
    fewest(cost, 0, shard[nodes], shard, nodes);
    for (dt_exchange_kind kind = DT_EXCHANGE_DIRECT; kind <= DT_EXCHANGE_TREE; kind++) {
        dt_routes *routes;
        world *w = &shared;
        assert_int_equal(dt_routes_create(&routes, kind, shard, nodes), DT_OK);
        for (size_t owner = 0; owner < nodes; owner++) {
            open_world(w, routes, shard, nodes, owner, DT_ROUTE_TO_ALL);
            follow(w);
            for (size_t i = 0; i < nodes; i++) expect_sum(w, i, sum);
            if (kind == DT_EXCHANGE_TREE) assert_int_equal(w->letters, cost[owner] + nodes - 1);
            close_world(w);
            open_world(w, routes, shard, nodes, owner, DT_ROUTE_TO_FIRST);
            follow(w);
            expect_sum(w, owner, sum);
            expect_sum(w, 0, sum);
            close_world(w);
            open_world(w, routes, shard, nodes, owner, DT_ROUTE_SPREAD);
            w->node[owner].value[0] = 7;
            follow(w);
            for (size_t i = 0; i < nodes; i++) expect_sum(w, i, 7);
            assert_int_equal(w->letters, nodes - 1);
            close_world(w);
            assert_true(dt_routes_owner(routes, owner) < nodes);
        }
        size_t least = SIZE_MAX;
        for (size_t i = 0; i < nodes; i++) least = dt_min_size(least, cost[i]);
        for (size_t i = 0; kind == DT_EXCHANGE_TREE && i < 2 * nodes; i++)
            assert_int_equal(cost[dt_routes_owner(routes, i)], least);
        dt_routes_destroy(&routes);
        assert_null(routes);
    }
}

static void nodes_of_one_rank_each(void **state) {
    (void)state;
    static const size_t shards[] = {32, 64, 512};
    for (size_t s = 0; s < sizeof shards / sizeof *shards; s++) {
        for (size_t nodes = 1; nodes <= NODES_MAX; nodes++) {
            size_t shard[NODES_MAX + 1];
            for (size_t i = 0; i <= nodes; i++) shard[i] = i * shards[s] / nodes;
            check_nodes(shard, nodes);
        }
    }
}

/* All ways to spread the ranks that are left over at most so many nodes more. */
static size_t spread_ranks(size_t *rank, size_t nodes, size_t ranks, size_t most) {
    enum { RANKS = 16, SHARDS = 64 };
    size_t ways = 0;
    if (ranks == 0) {
        size_t shard[NODES_MAX + 1];
        for (size_t i = 0; i <= nodes; i++) shard[i] = rank[i] * SHARDS / RANKS;
        check_nodes(shard, nodes);
        return 1;
    }
    if (most == 0) return 0;
    for (size_t here = most == 1 ? ranks : 1; here <= ranks; here++) {
        rank[nodes + 1] = rank[nodes] + here;
        ways += spread_ranks(rank, nodes + 1, ranks - here, most - 1);
    }
    return ways;
}

static void all_ways_to_spread_16_ranks_over_5_nodes(void **state) {
    (void)state;
    size_t rank[NODES_MAX + 1] = {0};
    /* 1 + 15 + 105 + 455 + 1365 */
    assert_int_equal(spread_ranks(rank, 0, 16, 5), 1941);
}

/* Recursive halving: each node has one message of each level in total, and two buffers. */
static void aligned_nodes_need_two_buffers(void **state) {
    (void)state;
    enum { NODES = 1024 };
    static size_t shard[NODES + 1];
    for (size_t i = 0; i <= NODES; i++) shard[i] = i;
    dt_routes *routes;
    assert_int_equal(dt_routes_create(&routes, DT_EXCHANGE_TREE, shard, NODES), DT_OK);
    assert_int_equal(dt_routes_hops(routes), 20);
    size_t sends = 0, gives = 0;
    for (size_t owner = 0; owner < NODES; owner++) {
        dt_route route;
        assert_int_equal(dt_route_create(&route, routes, 517, owner, DT_ROUTE_TO_ALL), DT_OK);
        assert_in_range(route.buffers, 0, 2);
        assert_in_range(route.sends, 0, 1);
        sends += route.sends;
        gives += route.gives;
        dt_route_destroy(&route);
    }
    assert_int_equal(sends, NODES - 1);
    assert_int_equal(gives, NODES - 1);
    dt_routes_destroy(&routes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_of_one_rank_each),
        cmocka_unit_test(all_ways_to_spread_16_ranks_over_5_nodes),
        cmocka_unit_test(aligned_nodes_need_two_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
