/* The canonical tree alone: covers of ranges, and plans compared with a recursive sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "tree.h"

enum { SHARDS = 64, LENGTH = 1500 }; /* more than one row, and not a whole number of them */

static float values[SHARDS][LENGTH];

static int fill(void **state) {
    (void)state;
    srand(7);
    for (size_t s = 0; s < SHARDS; s++) {
        for (size_t i = 0; i < LENGTH; i++) {
            values[s][i] = (float)rand() / (float)RAND_MAX - 0.5f;
        }
    }
    return 0;
}

static float sum_of(size_t begin, size_t end, size_t i) {
    if (end - begin == 1) return values[begin][i];
    const size_t middle = begin + (end - begin) / 2;
    return sum_of(begin, middle, i) + sum_of(middle, end, i);
}

static float *subtree_sum(dt_subtree subtree) {
    float *sum = malloc(LENGTH * sizeof *sum);
    assert_non_null(sum);
    for (size_t i = 0; i < LENGTH; i++) {
        sum[i] = sum_of(subtree.index << subtree.level, (subtree.index + 1) << subtree.level, i);
    }
    return sum;
}

static void covers_are_whole_and_largest(void **state) {
    (void)state;
    for (size_t begin = 0; begin <= SHARDS; begin++) {
        for (size_t end = begin; end <= SHARDS; end++) {
            dt_subtree cover[DT_COVER_MAX];
            const size_t found = dt_tree_cover(cover, begin, end);
            size_t at = begin;
            for (size_t i = 0; i < found; i++) {
                assert_int_equal(cover[i].index << cover[i].level, at);
                at += (size_t)1 << cover[i].level;
                /* Its parent reaches beyond the range. */
                const size_t parent = cover[i].index / 2, level = cover[i].level + 1;
                assert_true(parent << level < begin || (parent + 1) << level > end);
            }
            assert_int_equal(at, end);
        }
    }
}

/* For any division of any range into leaves, each root equals the recursive sum, written over its
 * first leaf. */
static void plans_add_in_tree_order(void **state) {
    (void)state;
    for (int trial = 0; trial < 200; trial++) {
        const size_t begin = (size_t)rand() % SHARDS;
        const size_t end = begin + 1 + (size_t)rand() % (SHARDS - begin);
        dt_subtree leaf[2 * SHARDS];
        size_t leaves = 0;
        const size_t longest = 1 + (size_t)rand() % SHARDS;
        for (size_t at = begin; at < end;) {
            const size_t next = dt_min_size(end, at + 1 + (size_t)rand() % longest);
            leaves += dt_tree_cover(leaf + leaves, at, next);
            at = next;
        }
        float *row[2 * SHARDS], *root[2 * SHARDS];
        for (size_t i = 0; i < leaves; i++) row[i] = subtree_sum(leaf[i]);
        dt_tree_plan plan;
        assert_int_equal(dt_tree_plan_create(&plan, leaf, leaves), DT_OK);
        dt_subtree cover[DT_COVER_MAX];
        assert_int_equal(plan.roots, dt_tree_cover(cover, begin, end));
        size_t roots = 0;
        for (size_t i = 0; i < leaves; i++) {
            if (i == 0 || plan.step[i - 1].root) root[roots++] = row[i];
        }
        assert_int_equal(roots, plan.roots);
        dt_tree_sum(&plan, root, (const float *const *)row, LENGTH);
        for (size_t i = 0; i < roots; i++) {
            float *expected = subtree_sum(cover[i]);
            assert_memory_equal(root[i], expected, LENGTH * sizeof *expected);
            free(expected);
        }
        dt_tree_plan_destroy(&plan);
        for (size_t i = 0; i < leaves; i++) free(row[i]);
    }
}

/* The sum of all nodes is written over the leaf of this node. */
static void a_single_root_may_lie_on_any_leaf(void **state) {
    (void)state;
    float *expected = subtree_sum((dt_subtree){3, 0});
    dt_subtree leaf[8];
    for (size_t i = 0; i < 8; i++) leaf[i] = (dt_subtree){0, i};
    dt_tree_plan plan;
    assert_int_equal(dt_tree_plan_create(&plan, leaf, 8), DT_OK);
    for (size_t on = 0; on < 8; on++) {
        float *row[8];
        for (size_t i = 0; i < 8; i++) row[i] = subtree_sum(leaf[i]);
        dt_tree_sum(&plan, &row[on], (const float *const *)row, LENGTH);
        assert_memory_equal(row[on], expected, LENGTH * sizeof *expected);
        for (size_t i = 0; i < 8; i++) free(row[i]);
    }
    dt_tree_plan_destroy(&plan);
    free(expected);
}

static void a_lone_leaf_is_copied_to_another_root(void **state) {
    (void)state;
    dt_tree_plan plan;
    assert_int_equal(dt_tree_plan_create(&plan, &(dt_subtree){0, 5}, 1), DT_OK);
    float root[LENGTH] = {0};
    float *const roots[] = {root};
    const float *const row[] = {values[5]};
    dt_tree_sum(&plan, roots, row, LENGTH);
    assert_memory_equal(root, values[5], sizeof root);
    dt_tree_plan_destroy(&plan);
}

static void folds_of_every_length_are_nested_to_the_right(void **state) {
    (void)state;
    for (size_t merges = 1; merges <= 10; merges++) {
        const float *x[11];
        static float y[LENGTH];
        memcpy(y, values[0], sizeof y);
        x[0] = y;
        for (size_t i = 1; i <= merges; i++) x[i] = values[i];
        dt_tree_fold(y, x, merges, LENGTH);
        for (size_t i = 0; i < LENGTH; i++) {
            float expected = values[merges][i];
            for (size_t j = merges; j-- > 0;) expected = values[j][i] + expected;
            assert_memory_equal(&y[i], &expected, sizeof expected);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_are_whole_and_largest),
        cmocka_unit_test(plans_add_in_tree_order),
        cmocka_unit_test(a_single_root_may_lie_on_any_leaf),
        cmocka_unit_test(a_lone_leaf_is_copied_to_another_root),
        cmocka_unit_test(folds_of_every_length_are_nested_to_the_right),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
