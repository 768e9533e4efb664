/* Deals the texts of a step out to its parts, so that none has much more to compute than another.
 */
#include <stdlib.h>

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
    *deal = (dt_deal){0};
}

static int rising(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

static size_t text_at(const dt_deal *deal, size_t rank) {
    return (size_t)(deal->rank[rank] & UINT32_MAX);
}

/* The part with the least to do of those that have room; the first of several. */
static size_t next_part(const dt_part *part, size_t parts) {
    size_t least = parts;
    for (size_t k = 0; k < parts; k++) {
        if (part[k].room == 0) continue;
        if (least == parts || part[k].tokens < part[least].tokens) least = k;
    }
    return least;
}

/* The longest first, each to the part that has the fewest so far. */
static void deal_out(dt_deal *deal, size_t batch, size_t parts) {
    dt_part *part = deal->part;
    for (size_t k = 0; k < parts; k++) {
        const size_t start = dt_deal_start(batch, parts, k);
        part[k] = (dt_part){.next = start, .room = dt_deal_start(batch, parts, k + 1) - start};
    }
    /* Of equal ones the first: no two keys are the same. */
    for (size_t i = 0; i < batch; i++) {
        deal->rank[i] = (uint64_t)(UINT32_MAX - deal->tokens[i]) << 32 | i;
    }
    qsort(deal->rank, batch, sizeof *deal->rank, rising);
    for (size_t i = 0; i < batch; i++) {
        const size_t text = text_at(deal, i), k = next_part(part, parts);
        deal->owner[text] = (uint32_t)k;
        part[k].tokens += deal->tokens[text];
        part[k].room--;
    }
}

/* The texts of a part, the longest first; how many. */
static size_t list_texts(uint32_t *list, const dt_deal *deal, size_t batch, size_t part) {
    size_t count = 0;
    for (size_t i = 0; i < batch; i++) {
        const size_t text = text_at(deal, i);
        if (deal->owner[text] == part) list[count++] = (uint32_t)text;
    }
    return count;
}

/* By how much less two parts differ, halved, if the heavier one gives a text of x tokens for one
 * of y. */
static uint64_t gain(uint64_t gap, uint64_t x, uint64_t y) {
    if (x <= y || x - y >= gap) return 0;
    const uint64_t given = x - y;
    return given < gap - given ? given : gap - given;
}

/* The heaviest and the lightest part exchange the two texts that bring them nearest to each other;
 * false if none do. */
static bool exchange_texts(dt_deal *deal, size_t batch, size_t parts) {
    dt_part *part = deal->part;
    size_t heavy = 0, light = 0;
    for (size_t k = 1; k < parts; k++) {
        if (part[k].tokens > part[heavy].tokens) heavy = k;
        if (part[k].tokens < part[light].tokens) light = k;
    }
    const uint64_t gap = part[heavy].tokens - part[light].tokens;
    uint32_t *own = deal->order;
    const size_t owned = list_texts(own, deal, batch, heavy);
    uint32_t *other = own + owned;
    const size_t others = heavy == light ? 0 : list_texts(other, deal, batch, light);
    uint64_t best = 0;
    uint32_t given = 0, taken = 0;
    /* Half the gap is best given: the texts on either side of it, both lists read once. */
    for (size_t i = 0, j = 0; i < owned; i++) {
        const uint64_t x = deal->tokens[own[i]];
        while (j < others && deal->tokens[other[j]] + gap / 2 > x) j++;
        for (size_t k = j ? j - 1 : j; k < others && k <= j; k++) {
            const uint64_t won = gain(gap, x, deal->tokens[other[k]]);
            if (won <= best) continue;
            best = won;
            given = own[i];
            taken = other[k];
        }
    }
    if (best == 0) return false;
    const uint64_t moved = deal->tokens[given] - deal->tokens[taken];
    deal->owner[given] = (uint32_t)light;
    deal->owner[taken] = (uint32_t)heavy;
    part[heavy].tokens -= moved;
    part[light].tokens += moved;
    return true;
}

void dt_deal_texts(dt_deal *deal, size_t batch, size_t parts) {
    deal_out(deal, batch, parts);
    /* The sum of the parts' squares falls each time, so that this ends. */
    while (exchange_texts(deal, batch, parts)) continue;
    for (size_t i = 0; i < batch; i++) {
        deal->order[deal->part[deal->owner[i]].next++] = (uint32_t)i;
    }
}
