/* Adds gradients in the order of one binary tree over shards, independent of who computed them. */
#include "tree.h"

#include <string.h>

#include "dtrain/core/memory.h"

/* Floats of one row of intermediate sums: four rows and their operands stay in a 32 KiB first
 * cache. */
enum { ROW = 1024 };

size_t dt_tree_cover(dt_subtree *cover, size_t begin, size_t end) {
    size_t found = 0;
    while (begin < end) {
        size_t level = begin ? (size_t)__builtin_ctzll(begin) : 63;
        while ((size_t)1 << level > end - begin) level--;
        if (cover) cover[found] = (dt_subtree){level, begin >> level};
        found++;
        begin += (size_t)1 << level;
    }
    return found;
}

/* The sums are written over one of their operands, element by element: without ivdep the compiler
   sees a dependence between elements and adds one at a time. */

DT_HOT static void add_2(float *y, const float *a, const float *b, size_t n) {
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

DT_HOT static void add_3(float *y, const float *a, const float *b, const float *c, size_t n) {
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) y[i] = a[i] + (b[i] + c[i]);
}

DT_HOT static void add_4(float *y, const float *a, const float *b, const float *c, const float *d,
                         size_t n) {
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) y[i] = a[i] + (b[i] + (c[i] + d[i]));
}

/* dt_tree_fold of one row; consumes x. spare (n) is none of the x. */
static void fold_row(float *y, const float **x, size_t merges, float *spare, size_t n) {
    while (merges > 3) {
        add_4(spare, x[merges - 3], x[merges - 2], x[merges - 1], x[merges], n);
        merges -= 3;
        x[merges] = spare;
    }
    if (merges == 3) {
        add_4(y, x[0], x[1], x[2], x[3], n);
    } else if (merges == 2) {
        add_3(y, x[0], x[1], x[2], n);
    } else {
        add_2(y, x[0], x[1], n);
    }
}

void dt_tree_fold(float *y, const float *const *x, size_t merges, size_t n) {
    float spare[ROW];
    const float *operand[DT_COVER_MAX + 1];
    for (size_t at = 0; at < n; at += ROW) {
        for (size_t i = 0; i <= merges; i++) operand[i] = x[i] + at;
        fold_row(y + at, operand, merges, spare, dt_min_size(ROW, n - at));
    }
}

static bool is_left_of(dt_subtree left, dt_subtree right) {
    return left.level == right.level && left.index % 2 == 0 && right.index == left.index + 1;
}

dt_status dt_tree_plan_create(dt_tree_plan *plan, const dt_subtree *leaf, size_t leaves) {
    *plan = (dt_tree_plan){.leaves = leaves};
    DT_TRY(dt_memory_alloc(&plan->step, leaves, sizeof *plan->step, "plan of the gradient sum"));
    dt_subtree waiting[DT_COVER_MAX + 1];
    size_t made_by[DT_COVER_MAX + 1]; /* the leaf that completed each of them */
    size_t depth = 0, deepest = 0;
    for (size_t i = 0; i < leaves; i++) {
        waiting[depth] = leaf[i];
        made_by[depth++] = i;
        while (depth > 1 && is_left_of(waiting[depth - 2], waiting[depth - 1])) {
            depth--;
            waiting[depth - 1].level++;
            waiting[depth - 1].index /= 2;
            made_by[depth - 1] = i;
            plan->step[i].merges++;
        }
        deepest = dt_max_size(deepest, depth);
    }
    for (size_t i = 0; i < depth; i++) plan->step[made_by[i]].root = true;
    plan->roots = depth;
    /* A row for each waiting sum, and one for long folds. */
    const dt_status status = dt_memory_alloc(&plan->scratch, deepest + 1, ROW * sizeof(float),
                                             "rows of the gradient sum");
    if (status != DT_OK) dt_tree_plan_destroy(plan);
    return status;
}

void dt_tree_plan_destroy(dt_tree_plan *plan) {
    dt_memory_free(&plan->scratch);
    dt_memory_free(&plan->step);
    *plan = (dt_tree_plan){0};
}

/* Elements at … at + n, n <= ROW. */
static void sum_row(const dt_tree_plan *plan, float *const *root, const float *const *leaf,
                    size_t at, size_t n) {
    const float *waiting[DT_COVER_MAX + 1];
    size_t depth = 0, roots = 0;
    for (size_t i = 0; i < plan->leaves; i++) {
        const dt_tree_step step = plan->step[i];
        waiting[depth] = leaf[i] + at;
        depth -= step.merges;
        float *target = plan->scratch + (depth + 1) * ROW;
        if (step.root) target = root[roots++] + at;
        if (step.merges > 0) {
            fold_row(target, waiting + depth, step.merges, plan->scratch, n);
            waiting[depth] = target;
        } else if (step.root && target != waiting[depth]) {
            memcpy(target, waiting[depth], n * sizeof *target);
        }
        depth++;
    }
}

void dt_tree_sum(const dt_tree_plan *plan, float *const *root, const float *const *leaf, size_t n) {
    for (size_t at = 0; at < n; at += ROW) sum_row(plan, root, leaf, at, dt_min_size(ROW, n - at));
}
