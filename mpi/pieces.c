/* Cuts the gradient into pieces. Each node and rank does so for itself, and all come to the same.
 */
#include "pieces.h"

#include "dtrain/core/memory.h"
#include "internal.h"

/* Floats of a message between nodes. The gradient is cut into about so many pieces for each node:
 * the first can start early, and little is left to do after the last. Of the shortest messages all
 * are sent at once, without a word from the receiver before (over TCP, Open MPI does that with up
 * to 64 KiB, its own header included); the longest ones are long enough for the network's full
 * rate, and short enough to add from the second cache. */
enum { PIECES = 16, MESSAGE_MIN = 16000, MESSAGE_MAX = 128 * 1024 };

typedef struct {
    dt_pieces *p;
    const dt_place *place;
    const dt_routes *routes;
    size_t number; /* pieces of all ranks so far */
    double bytes;  /* that this node sends */
    size_t messages;
} cutter;

static size_t ranks_on(const dt_place *place, size_t node) {
    return place->first[node + 1] - place->first[node];
}

static dt_status need_route(cutter *c, dt_route *route, size_t owner, dt_route_reach reach) {
    if (!route->step) DT_TRY(dt_route_create(route, c->routes, c->place->node, owner, reach));
    c->p->buffers = dt_max_size(c->p->buffers, route->buffers);
    c->p->messages = dt_max_size(c->p->messages, route->sends + route->gives);
    return DT_OK;
}

static void count_messages(cutter *c, const dt_route *route, size_t floats) {
    const size_t messages = route->sends + route->gives;
    c->messages += messages;
    c->bytes += (double)(messages * floats * sizeof(float));
}

/* mover: the rank that owns the piece, or SIZE_MAX. */
static dt_status add_piece(cutter *c, size_t begin, size_t end, size_t mover) {
    const dt_place *place = c->place;
    dt_piece p = {.stretch = {.begin = begin, .end = end, .number = c->number++, .mover = mover},
                  .owned = mover != SIZE_MAX};
    dt_stretch *s = &p.stretch;
    s->owner = p.owned ? dt_group_of(place->first, place->nodes, mover)
                       : dt_routes_owner(c->routes, s->number);
    if (!p.owned) s->mover = place->first[s->owner] + s->number % ranks_on(place, s->owner);
    dt_owner_routes *routes = &c->p->routes[s->owner];
    if (p.owned) {
        DT_TRY(need_route(c, &routes->owned, s->owner, DT_ROUTE_TO_FIRST));
        DT_TRY(need_route(c, &routes->spread, s->owner, DT_ROUTE_SPREAD));
        count_messages(c, &routes->owned, end - begin);
        count_messages(c, &routes->spread, end - begin);
    } else {
        DT_TRY(need_route(c, &routes->sum, s->owner, DT_ROUTE_TO_ALL));
        count_messages(c, &routes->sum, end - begin);
    }
    if (place->rank != SIZE_MAX && dt_exchange_mover(place->first, s, place->node) != place->rank)
        return DT_OK;
    DT_TRY(dt_memory_grow(&c->p->piece, &c->p->capacity, c->p->count + 1, sizeof p,
                          "pieces of the gradient"));
    c->p->piece[c->p->count++] = p;
    return DT_OK;
}

/* From its end on. */
static dt_status cut_range(cutter *c, size_t begin, size_t end, size_t mover) {
    const size_t parts = dt_round_up(end - begin, c->p->longest) / c->p->longest;
    for (size_t i = parts; i > 0; i--) {
        const size_t unit = DT_ALIGNED_FLOATS, units = dt_round_up(end - begin, unit) / unit;
        size_t from, to;
        dt_shard_range(&from, &to, units, parts, i - 1);
        DT_TRY(add_piece(c, begin + from * unit, dt_min_size(begin + to * unit, end), mover));
    }
    return DT_OK;
}

static dt_status cut(cutter *c, const dt_reducer_plan *plan, size_t stride) {
    size_t end = stride;
    for (size_t i = plan->owned_count; i > 0; i--) {
        const dt_owned *o = &plan->owned[i - 1];
        DT_REQUIRE(o->begin < o->end && o->end <= end && o->rank < c->place->first[c->place->nodes],
                   DT_ERR_INTERNAL, "elements %zu to %zu cannot be owned by rank %zu", o->begin,
                   o->end, o->rank);
        DT_TRY(cut_range(c, o->end, end, SIZE_MAX));
        DT_TRY(cut_range(c, o->begin, o->end, o->rank));
        end = o->begin;
    }
    return cut_range(c, 0, end, SIZE_MAX);
}

static size_t piece_length(const dt_reducer_plan *plan, size_t stride, size_t nodes) {
    const size_t even = stride / (PIECES * nodes);
    const size_t suits = even < 2 * MESSAGE_MIN ? MESSAGE_MIN : dt_min_size(even, MESSAGE_MAX);
    return dt_round_up(plan->message ? plan->message : suits, DT_ALIGNED_FLOATS);
}

static dt_status list_shards(size_t **shard, const dt_place *place, size_t shards) {
    const size_t nodes = place->nodes, ranks = place->first[nodes];
    DT_TRY(dt_memory_alloc(shard, nodes + 1, sizeof **shard, "plan of the node exchange"));
    for (size_t node = 0; node < nodes; node++) {
        size_t end;
        dt_shard_range(&(*shard)[node], &end, shards, ranks, place->first[node]);
    }
    (*shard)[nodes] = shards;
    return DT_OK;
}

/* Of the node that plans, whose ranks send at the same time. */
static double estimate(const cutter *c, const dt_network *network) {
    const double here = (double)ranks_on(c->place, c->place->node);
    const double seconds = network->latency * (double)dt_routes_hops(c->routes) +
                           network->latency * (double)c->messages / here;
    return network->bandwidth > 0 ? seconds + c->bytes / network->bandwidth : seconds;
}

dt_status dt_pieces_cut(dt_pieces *pieces, const dt_reducer_plan *plan, dt_exchange_kind kind,
                        const dt_place *place, size_t stride) {
    size_t *shard = NULL;
    dt_routes *routes = NULL;
    dt_status status;
    *pieces =
        (dt_pieces){.nodes = place->nodes, .longest = piece_length(plan, stride, place->nodes)};
    cutter c = {.p = pieces, .place = place};
    DT_TRY_DONE(list_shards(&shard, place, plan->shards));
    DT_TRY_DONE(dt_routes_create(&routes, kind, shard, place->nodes));
    DT_TRY_DONE(
        dt_memory_alloc(&pieces->routes, place->nodes, sizeof *pieces->routes, "routes of pieces"));
    c.routes = routes;
    DT_TRY_DONE(cut(&c, plan, stride));
    pieces->seconds = estimate(&c, &plan->network);
done:
    dt_routes_destroy(&routes);
    dt_memory_free(&shard);
    if (status != DT_OK) dt_pieces_destroy(pieces);
    return status;
}

void dt_pieces_destroy(dt_pieces *pieces) {
    for (size_t i = 0; pieces->routes && i < pieces->nodes; i++) {
        dt_route_destroy(&pieces->routes[i].sum);
        dt_route_destroy(&pieces->routes[i].owned);
        dt_route_destroy(&pieces->routes[i].spread);
    }
    dt_memory_free(&pieces->routes);
    dt_memory_free(&pieces->piece);
    *pieces = (dt_pieces){0};
}
