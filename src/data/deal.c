/* Deals the texts of a step out to its shards, so that none has to wait long for another. */
#include <stdlib.h>

#include "dtrain/data.h"
#include "dtrain/memory.h"

size_t dt_deal_start(size_t batch, size_t shards, size_t shard) { return batch * shard / shards; }

dt_status dt_deal_create(dt_deal *deal, size_t capacity, size_t shards) {
    dt_status status = DT_OK;
    *deal = (dt_deal){.batch = capacity, .shards = shards, .capacity = capacity};
    DT_REQUIRE_DONE(shards > 0 && capacity <= UINT32_MAX, DT_ERR_ARG,
                    "a batch of %zu problems cannot be dealt out to %zu shards; lower --batch",
                    capacity, shards);
    DT_TRY_DONE(dt_memory_alloc(&deal->tokens, capacity, sizeof *deal->tokens, "lengths of texts"));
    DT_TRY_DONE(dt_memory_alloc(&deal->order, capacity, sizeof *deal->order, "the order of texts"));
    DT_TRY_DONE(dt_memory_alloc(&deal->rank, capacity, sizeof *deal->rank, "texts by length"));
    DT_TRY_DONE(dt_memory_alloc(&deal->owner, capacity, sizeof *deal->owner, "shards of texts"));
    DT_TRY_DONE(dt_memory_alloc(&deal->hand, shards, sizeof *deal->hand, "texts of shards"));
done:
    if (status != DT_OK) dt_deal_destroy(deal);
    return status;
}

void dt_deal_destroy(dt_deal *deal) {
    dt_memory_free(&deal->tokens);
    dt_memory_free(&deal->order);
    dt_memory_free(&deal->rank);
    dt_memory_free(&deal->owner);
    dt_memory_free(&deal->hand);
    *deal = (dt_deal){0};
}

static int rising(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* The shard with the least to do of those that have room; the first of several. */
static size_t next_shard(const dt_deal *deal) {
    size_t least = deal->shards;
    for (size_t s = 0; s < deal->shards; s++) {
        if (deal->hand[s].room == 0) continue;
        if (least == deal->shards || deal->hand[s].tokens < deal->hand[least].tokens) least = s;
    }
    return least;
}

void dt_deal_texts(dt_deal *deal) {
    const size_t batch = deal->batch, shards = deal->shards;
    for (size_t s = 0; s < shards; s++) {
        const size_t start = dt_deal_start(batch, shards, s);
        deal->hand[s] =
            (dt_hand){.next = start, .room = dt_deal_start(batch, shards, s + 1) - start};
    }
    /* The longest first, and of equal ones the first: no two keys are the same. */
    for (size_t i = 0; i < batch; i++) {
        deal->rank[i] = (uint64_t)(UINT32_MAX - deal->tokens[i]) << 32 | i;
    }
    qsort(deal->rank, batch, sizeof *deal->rank, rising);
    for (size_t k = 0; k < batch; k++) {
        const size_t text = (size_t)(deal->rank[k] & UINT32_MAX), shard = next_shard(deal);
        deal->owner[text] = (uint32_t)shard;
        deal->hand[shard].tokens += deal->tokens[text];
        deal->hand[shard].room--;
    }
    for (size_t i = 0; i < batch; i++) deal->order[deal->hand[deal->owner[i]].next++] = (uint32_t)i;
}
