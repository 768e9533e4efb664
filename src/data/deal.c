/* Deals the texts of a step out to its parts, so that none has much more to compute than another.
 */
#include <stdlib.h>

#include "dtrain/data.h"
#include "dtrain/memory.h"

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

/* The part with the least to do of those that have room; the first of several. */
static size_t next_part(const dt_part *part, size_t parts) {
    size_t least = parts;
    for (size_t k = 0; k < parts; k++) {
        if (part[k].room == 0) continue;
        if (least == parts || part[k].tokens < part[least].tokens) least = k;
    }
    return least;
}

void dt_deal_texts(dt_deal *deal, size_t batch, size_t parts) {
    dt_part *part = deal->part;
    for (size_t k = 0; k < parts; k++) {
        const size_t start = dt_deal_start(batch, parts, k);
        part[k] = (dt_part){.next = start, .room = dt_deal_start(batch, parts, k + 1) - start};
    }
    /* The longest first, and of equal ones the first: no two keys are the same. */
    for (size_t i = 0; i < batch; i++) {
        deal->rank[i] = (uint64_t)(UINT32_MAX - deal->tokens[i]) << 32 | i;
    }
    qsort(deal->rank, batch, sizeof *deal->rank, rising);
    for (size_t i = 0; i < batch; i++) {
        const size_t text = (size_t)(deal->rank[i] & UINT32_MAX), k = next_part(part, parts);
        deal->owner[text] = (uint32_t)k;
        part[k].tokens += deal->tokens[text];
        part[k].room--;
    }
    for (size_t i = 0; i < batch; i++) deal->order[part[deal->owner[i]].next++] = (uint32_t)i;
}
