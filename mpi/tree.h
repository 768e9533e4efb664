/* The canonical tree over shards: which subtrees a range of shards leaves, and how to add them. */
#ifndef DT_MPI_TREE_H
#define DT_MPI_TREE_H

#include "dtrain/core/status.h"

/* The sum of shards index << level … (index + 1) << level. */
typedef struct {
    size_t level, index;
} dt_subtree;

/* No range of shards needs more subtrees: two per level. */
enum { DT_COVER_MAX = 2 * 64 };

/* The largest subtrees that together are shards begin … end, in order; returns how many. cover may
 * be NULL. */
size_t dt_tree_cover(dt_subtree *cover, size_t begin, size_t end);

/**
 * y = x[0] + (x[1] + ( … + x[merges])), elementwise, in one pass.
 *
 * This is what a finished subtree x[merges] does to the unfinished ones before it, x[0] the
 * largest.
 * @param[out] y  (n) may be one of the x
 * @param[in]  x  (merges + 1, n); merges > 0
 */
void dt_tree_fold(float *y, const float *const *x, size_t merges, size_t n);

/* What happens when the next leaf arrives. */
typedef struct {
    size_t merges; /* how many waiting subtrees it completes */
    bool root;     /* the result is not part of a larger subtree of this plan */
} dt_tree_step;

/* How to add adjacent subtrees (leaves) up to the largest subtrees they make (roots). */
typedef struct {
    dt_tree_step *step; /* (leaves) */
    size_t leaves, roots;
    float *scratch; /* rows of intermediate sums, small enough for the first cache */
} dt_tree_plan;

/* Leaves in shard order, without gaps. */
dt_status dt_tree_plan_create(dt_tree_plan *plan, const dt_subtree *leaf, size_t leaves);
void dt_tree_plan_destroy(dt_tree_plan *plan);

/**
 * Add n elements of each leaf, reading each once.
 *
 * @param[out] root  (roots, n) each may be one of its own leaves; a single root may be any leaf
 * @param[in]  leaf  (leaves, n)
 */
void dt_tree_sum(const dt_tree_plan *plan, float *const *root, const float *const *leaf, size_t n);

#endif
