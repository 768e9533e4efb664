/* Which rank causes a stall, found from the reports of a node's ranks. */
#include "stall.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RANKS = 3 };
static const double TIMEOUT = 10;

/* All ranks have just made progress, wait in phase 7, and have watchdogs. */
static void begin(dt_stall_rank rank[RANKS]) {
    for (size_t r = 0; r < RANKS; r++) {
        rank[r] =
            (dt_stall_rank){.beat = {.count = 100, .looks = 5, .phase = 7, .kind = DT_PHASE_WAIT}};
    }
}

static double seconds(const dt_stall_rank *rank) { return dt_stall_seconds(rank, RANKS, TIMEOUT); }
static int culprit(const dt_stall_rank *rank) { return dt_stall_culprit(rank, RANKS, TIMEOUT); }

static void a_look_counts_time_without_a_beat(void **state) {
    (void)state;
    dt_stall_rank rank = {0};
    dt_stall_beat beat = {.count = 1, .looks = 1, .phase = 1, .kind = DT_PHASE_WORK};
    dt_stall_look(&rank, &beat, 2);
    assert_true(rank.still == 0 && rank.gone == 0);
    beat.looks++;
    dt_stall_look(&rank, &beat, 2);
    dt_stall_look(&rank, &beat, 3);
    assert_true(rank.still == 5 && rank.gone == 3);
    beat.count++;
    beat.phase++;
    dt_stall_look(&rank, &beat, 1);
    assert_true(rank.still == 0 && rank.gone == 4);
    assert_int_equal(rank.beat.phase, 2);
}

static void waiting_is_no_standstill_while_one_comes_further(void **state) {
    (void)state;
    dt_stall_rank rank[RANKS];
    begin(rank);
    rank[0].still = rank[2].still = 30;
    rank[1].still = 4;
    assert_true(seconds(rank) == 4);
    rank[1].still = 30;
    assert_true(seconds(rank) == 30);
}

static void work_of_its_own_is_a_standstill_alone(void **state) {
    (void)state;
    dt_stall_rank rank[RANKS];
    begin(rank);
    rank[1].beat.kind = DT_PHASE_WORK;
    rank[1].still = 12;
    assert_true(seconds(rank) == 12);
    assert_int_equal(culprit(rank), 1);
    rank[1].still = 9; /* it may still finish in time */
    assert_int_equal(culprit(rank), -1);
}

/* The process of a rank is stopped, in any phase. */
static void a_process_that_does_not_run_is_to_blame(void **state) {
    (void)state;
    dt_stall_rank rank[RANKS];
    begin(rank);
    rank[2].still = 11;
    rank[2].gone = 5.5;
    assert_true(seconds(rank) == 11);
    assert_int_equal(culprit(rank), 2);
    rank[2].gone = 5; /* half of the timeout is not long enough */
    assert_true(seconds(rank) == 0);
    assert_int_equal(culprit(rank), -1);
    rank[2].gone = 11;
    rank[2].beat.looks = 0; /* it has no watchdog: nothing is known */
    assert_int_equal(culprit(rank), -1);
}

static void the_one_that_has_come_least_far_is_to_blame(void **state) {
    (void)state;
    dt_stall_rank rank[RANKS];
    begin(rank);
    for (size_t r = 0; r < RANKS; r++) rank[r].still = 11;
    assert_int_equal(culprit(rank), -1); /* all wait for another node */
    rank[1].beat.phase = 6;
    assert_int_equal(culprit(rank), 1);
    rank[0].beat.phase = 5;
    assert_int_equal(culprit(rank), 0);
}

static void those_that_have_left_are_not_waited_for(void **state) {
    (void)state;
    dt_stall_rank rank[RANKS];
    begin(rank);
    rank[0].beat.over = true;
    rank[0].beat.phase = 3;
    rank[0].beat.kind = DT_PHASE_WORK;
    rank[0].still = rank[0].gone = 100;
    assert_true(seconds(rank) == 0);
    assert_int_equal(culprit(rank), -1);
    for (size_t r = 0; r < RANKS; r++) rank[r].beat.over = true;
    assert_true(seconds(rank) == 0);
}

/* One report is enough, and the node that causes the stall reports better than those that wait for
 * it. */
static void ranks_lose_patience_one_after_the_other(void **state) {
    (void)state;
    dt_stall_rank rank[RANKS];
    begin(rank);
    for (size_t r = 0; r < RANKS; r++) {
        const double here = TIMEOUT + 2.0 * (double)r;
        rank[1].beat.phase = 7;
        assert_true(dt_stall_patience(rank, RANKS, r, TIMEOUT) == here + DT_PATIENCE_NODES);
        rank[1].beat.phase = 6;
        assert_true(dt_stall_patience(rank, RANKS, r, TIMEOUT) == here);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_counts_time_without_a_beat),
        cmocka_unit_test(waiting_is_no_standstill_while_one_comes_further),
        cmocka_unit_test(work_of_its_own_is_a_standstill_alone),
        cmocka_unit_test(a_process_that_does_not_run_is_to_blame),
        cmocka_unit_test(the_one_that_has_come_least_far_is_to_blame),
        cmocka_unit_test(those_that_have_left_are_not_waited_for),
        cmocka_unit_test(ranks_lose_patience_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
