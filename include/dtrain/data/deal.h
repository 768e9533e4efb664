/* Which text of a step stands where. */
#ifndef DTRAIN_DEAL_H
#define DTRAIN_DEAL_H

#include <stdint.h>

#include "dtrain/core/status.h"

/* What a part has got. */
typedef struct {
    uint64_t tokens;
    size_t next, room; /* its next place, and how many are left */
} dt_part;

/* Which text of a global batch stands at which place: a pure function of their lengths. Part k of a
 * batch has places dt_deal_start(k) … dt_deal_start(k + 1) - 1: equal counts, give or take one. */
typedef struct {
    size_t texts, parts; /* room for */
    uint32_t *tokens;    /* (texts) in: the length of each */
    uint32_t *order;     /* (texts) out: the text at each place; they rise within a part */
    uint32_t *rank;      /* (texts) and below: its own */
    uint32_t *owner;     /* (texts) */
    dt_part *part;       /* (parts) */
    uint32_t *heap;      /* (parts) */
} dt_deal;

/* Room for so many texts and parts, once. DT_ERR_ARG for 2^32 texts. */
dt_status dt_deal_create(dt_deal *deal, size_t texts, size_t parts);
void dt_deal_destroy(dt_deal *deal);

/* The first place of a part. */
size_t dt_deal_start(size_t batch, size_t parts, size_t part);

/**
 * Deal texts out so that all parts have about as many tokens: the longest first, each to the part
 * that has the fewest so far; then the heaviest and the lightest part exchange texts while that
 * brings them nearer to each other.
 *
 * @param batch        how many texts; `tokens` has the lengths of those that are dealt
 * @param parts        how many parts, at least 1
 * @param first, last  only these parts; they get the texts whose numbers are their places
 * Source: Graham 1969, doi:10.1137/0117039, "LPT".
 */
void dt_deal_texts(dt_deal *deal, size_t batch, size_t parts, size_t first, size_t last);

#endif
