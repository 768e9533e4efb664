/* Deals the texts of a step out to its parts, so that none has much more to compute than another.
 */
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/deal.h"

size_t dt_deal_start(size_t batch, size_t parts, size_t part) { return batch * part / parts; }

dt_status dt_deal_create(dt_deal *deal, size_t texts, size_t parts) {
    dt_status status = DT_OK;
    *deal = (dt_deal){.texts = texts, .parts = parts};
    DT_REQUIRE_DONE(texts <= UINT32_MAX, DT_ERR_ARG,
                    "a batch of %zu problems is more than 32 bits count; lower --batch", texts);
    DT_TRY_DONE(dt_memory_alloc(&deal->tokens, texts, sizeof *deal->tokens, "lengths of texts"));
    DT_TRY_DONE(dt_memory_alloc(&deal->order, texts, sizeof *deal->order, "the order of texts"));
    DT_TRY_DONE(dt_memory_alloc(&deal->rank, texts, sizeof *deal->rank, "texts by length"));
    DT_TRY_DONE(dt_memory_alloc(&deal->owner, texts, sizeof *deal->owner, "parts of texts"));
    DT_TRY_DONE(dt_memory_alloc(&deal->part, parts, sizeof *deal->part, "texts of parts"));
    DT_TRY_DONE(dt_memory_alloc(&deal->heap, parts, sizeof *deal->heap, "parts by their texts"));
done:
    if (status != DT_OK) dt_deal_destroy(deal);
    return status;
}

void dt_deal_destroy(dt_deal *deal) {
    dt_memory_free(&deal->tokens);
    dt_memory_free(&deal->order);
    dt_memory_free(&deal->rank);
    dt_memory_free(&deal->owner);
    dt_memory_free(&deal->part);
    dt_memory_free(&deal->heap);
    *deal = (dt_deal){0};
}

/* Number of the text that is at a rank, the longest first. */
static uint32_t text_at(const dt_deal *deal, size_t rank) { return deal->rank[rank]; }

static uint64_t tokens_at(const dt_deal *deal, size_t rank) {
    return deal->tokens[text_at(deal, rank)];
}

/* Ranks the texts begin … end by length, the longest first, of equal ones the first: by one byte of
 * the length after the other. */
static void rank_texts(dt_deal *deal, size_t begin, size_t end) {
    enum { VALUES = 256 };
    const size_t texts = end - begin;
    uint32_t *from = deal->rank, *to = deal->owner, longest = 0;
    for (size_t i = 0; i < texts; i++) {
        from[i] = (uint32_t)(begin + i);
        longest = deal->tokens[begin + i] > longest ? deal->tokens[begin + i] : longest;
    }
    for (unsigned shift = 0; shift < 32 && longest >> shift > 0; shift += 8) {
        size_t next[VALUES + 1] = {0};
        for (size_t i = 0; i < texts; i++)
            next[VALUES - (deal->tokens[from[i]] >> shift) % VALUES]++;
        for (size_t k = 1; k <= VALUES; k++) next[k] += next[k - 1];
        for (size_t i = 0; i < texts; i++)
            to[next[VALUES - 1 - (deal->tokens[from[i]] >> shift) % VALUES]++] = from[i];
        uint32_t *const done = to;
        to = from;
        from = done;
    }
    if (from != deal->rank) memcpy(deal->rank, from, texts * sizeof *from);
}

/* ---- a heap of the parts that have room, by what they have; of equal ones the first ---- */

static bool has_less(const dt_deal *deal, uint32_t x, uint32_t y) {
    const uint64_t a = deal->part[x].tokens, b = deal->part[y].tokens;
    return a != b ? a < b : x < y;
}

/* The part at `at` has become heavier: it moves down. */
static void sink(dt_deal *deal, size_t parts, size_t at) {
    uint32_t *heap = deal->heap;
    for (size_t child; (child = 2 * at + 1) < parts; at = child) {
        if (child + 1 < parts && has_less(deal, heap[child + 1], heap[child])) child++;
        if (has_less(deal, heap[at], heap[child])) return;
        const uint32_t part = heap[at];
        heap[at] = heap[child];
        heap[child] = part;
    }
}

/* ---- dealing ---- */

/* What is dealt: the texts with the numbers begin … end, to parts first … last. */
typedef struct {
    size_t begin, end, first, last;
} hand;

/* The longest first, each to the part that has the fewest so far. Each part's texts, by rank, are
 * where its places are. */
static void deal_out(dt_deal *deal, size_t batch, size_t parts, const hand *h) {
    size_t open = 0;
    for (size_t k = h->first; k < h->last; k++) {
        const size_t start = dt_deal_start(batch, parts, k);
        const size_t room = dt_deal_start(batch, parts, k + 1) - start;
        deal->part[k] = (dt_part){.next = start, .room = room};
        if (room > 0) deal->heap[open++] = (uint32_t)k;
    }
    const size_t texts = h->end - h->begin;
    rank_texts(deal, h->begin, h->end);
    for (size_t i = 0; i < texts; i++) {
        dt_part *part = &deal->part[deal->heap[0]];
        deal->order[part->next++] = (uint32_t)i;
        part->tokens += tokens_at(deal, i);
        if (--part->room == 0) deal->heap[0] = deal->heap[--open];
        sink(deal, open, 0);
    }
}

/* By how much less two parts differ, halved, if the heavier one gives a text of x tokens for one
 * of y. */
static uint64_t gain(uint64_t gap, uint64_t x, uint64_t y) {
    if (x <= y || x - y >= gap) return 0;
    const uint64_t given = x - y;
    return given < gap - given ? given : gap - given;
}

/* Replaces one rank of a rising list. */
static void replace(uint32_t *list, size_t count, size_t at, uint32_t rank) {
    for (; at > 0 && list[at - 1] > rank; at--) list[at] = list[at - 1];
    for (; at + 1 < count && list[at + 1] < rank; at++) list[at] = list[at + 1];
    list[at] = rank;
}

/* The heaviest and the lightest part exchange the two texts that bring them nearest to each other;
 * false if none do. */
static bool exchange_texts(dt_deal *deal, size_t batch, size_t parts, const hand *h) {
    dt_part *part = deal->part;
    size_t heavy = h->first, light = h->first;
    for (size_t k = h->first + 1; k < h->last; k++) {
        if (part[k].tokens > part[heavy].tokens) heavy = k;
        if (part[k].tokens < part[light].tokens) light = k;
    }
    if (heavy == light) return false;
    const uint64_t gap = part[heavy].tokens - part[light].tokens;
    uint32_t *own = deal->order + dt_deal_start(batch, parts, heavy);
    uint32_t *other = deal->order + dt_deal_start(batch, parts, light);
    const size_t owned = dt_deal_start(batch, parts, heavy + 1) - (size_t)(own - deal->order);
    const size_t others = dt_deal_start(batch, parts, light + 1) - (size_t)(other - deal->order);
    uint64_t best = 0;
    size_t given = 0, taken = 0;
    /* Half the gap is best given: the texts on either side of it, both lists read once. */
    for (size_t i = 0, j = 0; i < owned; i++) {
        const uint64_t x = tokens_at(deal, own[i]);
        while (j < others && tokens_at(deal, other[j]) + gap / 2 > x) j++;
        for (size_t k = j ? j - 1 : j; k < others && k <= j; k++) {
            const uint64_t won = gain(gap, x, tokens_at(deal, other[k]));
            if (won <= best) continue;
            best = won;
            given = i;
            taken = k;
        }
    }
    if (best == 0) return false;
    const uint32_t to_light = own[given], to_heavy = other[taken];
    const uint64_t moved = tokens_at(deal, to_light) - tokens_at(deal, to_heavy);
    replace(own, owned, given, to_heavy);
    replace(other, others, taken, to_light);
    part[heavy].tokens -= moved;
    part[light].tokens += moved;
    return true;
}

void dt_deal_texts(dt_deal *deal, size_t batch, size_t parts, size_t first, size_t last) {
    const hand h = {.begin = dt_deal_start(batch, parts, first),
                    .end = dt_deal_start(batch, parts, last),
                    .first = first,
                    .last = last};
    deal_out(deal, batch, parts, &h);
    /* The sum of the parts' squares falls each time, so that this ends. */
    while (exchange_texts(deal, batch, parts, &h)) continue;
    for (size_t k = first; k < last; k++) {
        const size_t start = dt_deal_start(batch, parts, k);
        for (size_t i = start; i < deal->part[k].next; i++)
            deal->owner[text_at(deal, deal->order[i])] = (uint32_t)k;
        deal->part[k].next = start;
    }
    for (size_t i = h.begin; i < h.end; i++) {
        deal->order[deal->part[deal->owner[i]].next++] = (uint32_t)i;
    }
}
