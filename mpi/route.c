/* Routes through the canonical tree. A sum of two partial sums of different nodes can be made on
   any node, and each value that is not where it is needed costs a message. Where everything is sent
   straight to the owner, it comes after one hop; where the fewest messages are sent, after one for
   each level of the tree. */
#include "route.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "internal.h"
#include "tree.h"

/* A subtree with shards of several nodes, or the largest one of a single node. */
typedef struct {
    size_t from, to; /* the first and the last node with shards in it */
    size_t left, right;
    size_t leaf;    /* of a single node: its number among that node's own partial sums */
    size_t choices; /* nodes where its sum costs the fewest messages */
    bool shared;    /* it is a single node of both sides: `common` */
    size_t common;
} vertex;

typedef struct {
    /* Where a child's sum is made, of which the parent's is made on node `parent`. */
    size_t (*host)(const dt_routes *routes, size_t child, size_t parent, size_t owner);
    /* From whom a node gets the sum of `owner`, which it is not. */
    size_t (*giver)(const dt_routes *routes, size_t node, size_t owner);
    bool straight; /* one hop to the owner, and one from it */
} way;

struct dt_routes {
    const way *way;
    size_t nodes;
    size_t *own; /* (nodes + 1) first shard of each node */
    vertex *vertex;
    size_t vertices, root;
};

static bool is_leaf(const vertex *v) { return v->from == v->to; }

/* ---- the fewest messages: Fitch 1971, doi:10.1093/sysbio/20.4.406 ---- */

static bool is_choice(const dt_routes *r, size_t at, size_t node) {
    const vertex *v = &r->vertex[at];
    if (node < v->from || node > v->to) return false;
    if (is_leaf(v)) return true;
    if (v->shared) return node == v->common;
    return is_choice(r, v->left, node) || is_choice(r, v->right, node);
}

static size_t choice_at(const dt_routes *r, size_t at, size_t number) {
    const vertex *v = &r->vertex[at];
    while (!is_leaf(v) && !v->shared) {
        const size_t left = r->vertex[v->left].choices;
        at = number < left ? v->left : v->right;
        number -= number < left ? 0 : left;
        v = &r->vertex[at];
    }
    return is_leaf(v) ? v->from : v->common;
}

static void count_choices(dt_routes *r, vertex *v) {
    const vertex *left = &r->vertex[v->left], *right = &r->vertex[v->right];
    /* Only one node can have shards on both sides. */
    v->common = left->to;
    v->shared = left->to == right->from && is_choice(r, v->left, v->common) &&
                is_choice(r, v->right, v->common);
    v->choices = v->shared ? 1 : left->choices + right->choices;
}

static size_t host_fewest(const dt_routes *r, size_t child, size_t parent, size_t owner) {
    if (is_choice(r, child, parent)) return parent;
    return choice_at(r, child, owner % r->vertex[child].choices);
}

/* A binomial tree. */
static size_t giver_fewest(const dt_routes *r, size_t node, size_t owner) {
    const size_t distance = (node + r->nodes - owner) % r->nodes;
    return (owner + (distance & (distance - 1))) % r->nodes;
}

/* ---- straight ---- */

static size_t host_owner(const dt_routes *r, size_t child, size_t parent, size_t owner) {
    const vertex *v = &r->vertex[child];
    (void)parent;
    return is_leaf(v) ? v->from : owner;
}

static size_t giver_owner(const dt_routes *r, size_t node, size_t owner) {
    (void)r;
    (void)node;
    return owner;
}

static const way WAY[] = {
    [DT_EXCHANGE_DIRECT] = {host_owner, giver_owner, .straight = true},
    [DT_EXCHANGE_TREE] = {host_fewest, giver_fewest, .straight = false},
};

/* ---- the tree ---- */

static size_t add_vertex(dt_routes *r, size_t begin, size_t end) {
    vertex v = {.from = dt_group_of(r->own, r->nodes, begin),
                .to = dt_group_of(r->own, r->nodes, end - 1)};
    if (is_leaf(&v)) {
        v.leaf = dt_tree_cover(NULL, r->own[v.from], begin);
        v.choices = 1;
    } else {
        const size_t middle = begin + (end - begin) / 2;
        v.left = add_vertex(r, begin, middle);
        v.right = add_vertex(r, middle, end);
        count_choices(r, &v);
    }
    r->vertex[r->vertices] = v;
    return r->vertices++;
}

dt_status dt_routes_create(dt_routes **routes, dt_exchange_kind kind, const size_t *shard,
                           size_t nodes) {
    const char *what = "routes between the nodes";
    *routes = NULL;
    dt_routes *r;
    dt_status status;
    DT_TRY(dt_memory_alloc(&r, 1, sizeof *r, what));
    *r = (dt_routes){.way = &WAY[kind], .nodes = nodes};
    DT_TRY_DONE(dt_memory_alloc(&r->own, nodes + 1, sizeof *r->own, what));
    memcpy(r->own, shard, (nodes + 1) * sizeof *shard);
    size_t leaves = 0;
    for (size_t i = 0; i < nodes; i++) leaves += dt_tree_cover(NULL, shard[i], shard[i + 1]);
    DT_TRY_DONE(dt_memory_alloc(&r->vertex, 2 * leaves, sizeof *r->vertex, what));
    r->root = add_vertex(r, 0, shard[nodes]);
    *routes = r;
    return DT_OK;
done:
    dt_routes_destroy(&r);
    return status;
}

void dt_routes_destroy(dt_routes **routes) {
    if (!*routes) return;
    dt_memory_free(&(*routes)->vertex);
    dt_memory_free(&(*routes)->own);
    dt_memory_free(routes);
}

size_t dt_routes_owner(const dt_routes *r, size_t number) {
    return choice_at(r, r->root, number % r->vertex[r->root].choices);
}

size_t dt_routes_hops(const dt_routes *r) {
    if (r->way->straight) return 2;
    size_t levels = 0;
    while ((size_t)1 << levels < r->nodes) levels++;
    return 2 * levels;
}

/* ---- a route ---- */

/* No value. */
#define NOWHERE UINT32_MAX

/* A route that adds one value after another takes turns between two buffers: the next value comes
 * while one is added. */
enum { TURNS = 2 };

typedef struct {
    const dt_routes *r;
    size_t node, owner;
    dt_route *route;
    size_t capacity;     /* of its steps */
    uint32_t own;        /* partial sums of this node */
    uint32_t *free_from; /* for each buffer: the step from which on it is free; NOWHERE: in use */
    size_t buffers;
    dt_status status;
} writer;

static void put(writer *w, dt_route_step step) {
    if (w->status == DT_OK) {
        w->status = dt_memory_grow(&w->route->step, &w->capacity, w->route->steps + 1, sizeof step,
                                   "a route between the nodes");
    }
    if (w->status == DT_OK) w->route->step[w->route->steps++] = step;
}

static uint32_t take_buffer(writer *w, uint32_t *after) {
    size_t found = w->route->buffers;
    for (size_t i = 0; w->free_from && i < w->route->buffers; i++) {
        if (w->free_from[i] == NOWHERE) continue;
        if (found == w->route->buffers || w->free_from[i] < w->free_from[found]) found = i;
    }
    if (found == w->route->buffers || w->route->buffers < TURNS) {
        found = w->route->buffers;
        if (w->status == DT_OK) {
            w->status = dt_memory_grow(&w->free_from, &w->buffers, found + 1, sizeof *w->free_from,
                                       "a route between the nodes");
        }
        if (w->status != DT_OK) return 0;
        w->free_from[found] = 0;
        w->route->buffers++;
    }
    *after = w->free_from[found];
    w->free_from[found] = NOWHERE;
    return w->own + (uint32_t)found;
}

static void give_back(writer *w, uint32_t value) {
    if (w->status == DT_OK && value >= w->own)
        w->free_from[value - w->own] = (uint32_t)w->route->steps;
}

static void send(writer *w, uint32_t value, size_t to) {
    w->route->sends++;
    put(w, (dt_route_step){.kind = DT_ROUTE_SEND, .node = (uint32_t)to, .left = value});
}

static uint32_t receive(writer *w, size_t from) {
    dt_route_step step = {.kind = DT_ROUTE_RECEIVE, .node = (uint32_t)from};
    step.left = take_buffer(w, &step.after);
    put(w, step);
    return step.left;
}

/* whole: it is the sum, and belongs here. */
static uint32_t add(writer *w, uint32_t left, uint32_t right, bool whole) {
    uint32_t sum = left < w->own || right >= w->own ? left : right;
    if (whole) sum = 0;
    put(w, (dt_route_step){.kind = DT_ROUTE_ADD,
                           .left = left,
                           .right = right,
                           .sum = sum,
                           .waits = sum != left && sum != right});
    if (left != sum) give_back(w, left);
    if (right != sum) give_back(w, right);
    return sum;
}

/* Writes what the node does for a vertex whose sum is made on `host`; returns where the value is if
 * that is this node. A sender and a receiver meet their messages in the same order. */
static uint32_t visit(writer *w, size_t at, size_t host) {
    const vertex *v = &w->r->vertex[at];
    if (is_leaf(v)) return v->from == w->node ? (uint32_t)v->leaf : NOWHERE;
    if (host != w->node && (w->node < v->from || w->node > v->to)) return NOWHERE;
    const size_t child[] = {v->left, v->right};
    uint32_t value[2];
    /* First what the host adds itself: then it keeps no buffer meanwhile. */
    const size_t first = w->r->way->host(w->r, v->left, host, w->owner) == host ? 0 : 1;
    for (size_t turn = 0; turn < 2; turn++) {
        const size_t i = (first + turn) % 2;
        const size_t from = w->r->way->host(w->r, child[i], host, w->owner);
        value[i] = visit(w, child[i], from);
        if (from == host) continue;
        if (from == w->node) send(w, value[i], host);
        if (host == w->node) value[i] = receive(w, from);
    }
    if (host != w->node) return NOWHERE;
    return add(w, value[0], value[1], at == w->r->root && host == w->owner);
}

static void take(writer *w, size_t from) {
    put(w, (dt_route_step){.kind = DT_ROUTE_TAKE, .node = (uint32_t)from});
}

static void give(writer *w, size_t to) {
    const bool first = w->route->gives++ == 0;
    const bool made_here = w->owner == w->node;
    if (first && made_here) put(w, (dt_route_step){.kind = DT_ROUTE_ROUND});
    put(w, (dt_route_step){.kind = DT_ROUTE_GIVE, .node = (uint32_t)to});
}

/* Up to the owner. */
static void gather(writer *w) {
    const dt_routes *r = w->r;
    const size_t host = r->way->host(r, r->root, w->owner, w->owner);
    const uint32_t value = visit(w, r->root, host);
    if (host == w->owner) return;
    if (host == w->node) send(w, value, w->owner);
    if (w->owner == w->node) take(w, host);
}

/* From the owner to all; first to those that are farthest, which have the longest way on. */
static void spread(writer *w) {
    const size_t nodes = w->r->nodes;
    if (w->node != w->owner) take(w, w->r->way->giver(w->r, w->node, w->owner));
    for (size_t distance = nodes - 1; distance > 0; distance--) {
        const size_t to = (w->owner + distance) % nodes;
        if (w->r->way->giver(w->r, to, w->owner) == w->node) give(w, to);
    }
}

dt_status dt_route_create(dt_route *route, const dt_routes *routes, size_t node, size_t owner,
                          dt_route_reach reach) {
    *route = (dt_route){0};
    writer w = {.r = routes, .node = node, .owner = owner, .route = route};
    w.own = (uint32_t)dt_tree_cover(NULL, routes->own[node], routes->own[node + 1]);
    if (routes->nodes > 1 && reach != DT_ROUTE_SPREAD) gather(&w);
    if (routes->nodes > 1 && reach != DT_ROUTE_TO_FIRST) spread(&w);
    if (reach == DT_ROUTE_TO_FIRST && owner != 0) {
        if (node == owner) give(&w, 0);
        if (node == 0) take(&w, owner);
    }
    dt_memory_free(&w.free_from);
    if (w.status != DT_OK) dt_route_destroy(route);
    return w.status;
}

void dt_route_destroy(dt_route *route) {
    dt_memory_free(&route->step);
    *route = (dt_route){0};
}
