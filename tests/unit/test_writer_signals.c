/* The writer of checkpoints: what is on disk after signals, during an update, and when the loop is
 * stuck. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/run/signals.h"
#include "dtrain/run/writer.h"
#include "writer_rig.h"

/* ---- signals ---- */

static void usr2_is_answered_without_the_loop(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig_come(&rig.checkpoints_asked, 1);
    rig_wait_for(1, 1);
    rig_expect_file(0, 1, DT_STILL_RUNNING);
    rig_make_step(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 1);
    rig_end(w);
}

static void a_stop_is_answered_with_its_reason(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig_come(&rig.stop_signal, SIGTERM);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 1);
    rig_expect_file(0, 1, "signal TERM");
    /* A second signal to stop needs no further write. */
    rig_come(&rig.stop_signal, SIGINT);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 1);
    rig_end(w);
}

/* The half-written file may be the only one that gets written. */
static void the_first_write_is_not_given_up(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig_close_disk(true);
    rig_submit(w, true);
    rig_wait_for(1, 0);
    rig_make_step(w);
    rig_come(&rig.stop_signal, SIGTERM);
    rig_pass(0.1);
    rig_close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig.disk.given_up, 0);
    assert_int_equal(rig_files(), 2);
    rig_expect_file(0, 1, DT_STILL_RUNNING);
    rig_expect_file(1, 2, "signal TERM");
    rig_end(w);
}

static void a_later_write_is_given_up_for_that_of_the_signal(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    rig_make_step(w);
    rig_close_disk(true);
    rig_submit(w, true);
    rig_wait_for(2, 1);
    rig_make_step(w);
    rig_come(&rig.stop_signal, SIGTERM);
    rig_wait_for(3, 1); /* the disk is still closed: step 2 has been given up */
    rig_close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig.disk.given_up, 1);
    assert_int_equal(rig_files(), 2);
    rig_expect_file(1, 3, "signal TERM");
    rig_end(w);
}

/* If writing takes long, the write for the signal might not finish in time. */
static void a_slow_write_is_not_given_up(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig.disk.seconds = 2.1;
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    rig.disk.seconds = 0;
    rig_make_step(w);
    rig_close_disk(true);
    rig_submit(w, true);
    rig_wait_for(2, 1);
    rig_come(&rig.stop_signal, SIGTERM);
    rig_pass(0.1);
    rig_close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig.disk.given_up, 0);
    rig_expect_file(1, 2, DT_STILL_RUNNING);
    rig_end(w);
}

static void the_best_is_not_given_up_and_not_dropped(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    rig_close_disk(true);
    for (int64_t step = 1; step <= 2; step++) {
        rig_make_step(w);
        dt_writer_lock(w);
        rig.run.state.best_step = step;
        dt_writer_unlock(w);
        rig_submit(w, true);
        rig_wait_for(2, 1);
    }
    rig_make_step(w);
    rig_come(&rig.stop_signal, SIGTERM);
    rig_pass(0.1);
    rig_close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 4);
    rig_expect_file(1, 1, DT_STILL_RUNNING);
    rig_expect_file(2, 2, DT_STILL_RUNNING);
    rig_expect_file(3, 3, "signal TERM");
    rig_end(w);
}

static void what_the_answer_makes_needless_is_dropped(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_close_disk(true);
    rig_make_step(w);
    rig_submit(w, true);
    rig_wait_for(1, 0);
    rig_make_step(w);
    rig_submit(w, true); /* waits, and is older than the answer */
    rig_make_step(w);
    rig_come(&rig.stop_signal, SIGTERM);
    rig_close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 2);
    rig_expect_file(1, 3, "signal TERM");
    /* The loop does not know of the signal yet. */
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 2);
    /* But its last write has a later reason to stop. */
    rig_say_stopped(w, DT_FINISHED);
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 3);
    rig_expect_file(2, 3, DT_FINISHED);
    rig_end(w);
}

static void a_launcher_that_may_stop_soon_finds_the_thread_free(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig_come(&rig.continues, 1);
    rig_pass(0.2);
    rig_submit(w, true);
    rig_pass(0.3);
    assert_int_equal(rig_files(), 0);
    assert_int_equal(dt_writer_drain(w), DT_OK); /* the loop cannot wait */
    assert_int_equal(rig_files(), 1);
    rig_make_step(w);
    rig_come(&rig.continues, 2);
    rig_pass(0.2);
    rig_make_step(w);
    rig_submit(w, true);
    rig_come(&rig.stop_signal, SIGTERM); /* as expected */
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 2);
    rig_expect_file(1, 3, "signal TERM");
    rig_end(w);
}

/* If no stop follows, the write is done later. */
static void what_was_held_back_is_written_later(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig_come(&rig.continues, 1);
    rig_pass(0.2);
    rig_submit(w, true);
    rig_pass(0.2);
    assert_int_equal(rig_files(), 0);
    rig_advance(2);
    dt_signals_wake();
    rig_wait_for(1, 1);
    rig_end(w);
}

/* ---- during an update ---- */

/* Slow updates, so that a copy before them costs little in comparison. */
static void make_slow_steps(dt_writer *w) {
    for (int i = 0; i < 3; i++) {
        rig_make_step(w);
        rig_advance(1);
    }
}

static void in_an_update_a_signal_gets_the_step_before(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    make_slow_steps(w);
    dt_writer_begin_update(w);
    rig_change_half();
    rig_come(&rig.stop_signal, SIGTERM);
    rig_wait_for(1, 1); /* although the update does not end */
    rig_expect_file(0, 3, "signal TERM");
    rig_change_rest();
    dt_writer_end_update(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 1);
    rig_end(w);
}

static void without_a_copy_a_signal_waits_for_the_update(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    dt_writer_begin_update(w); /* the first update: the cost of a copy is not known yet */
    rig_change_half();
    rig_come(&rig.stop_signal, SIGTERM);
    rig_pass(0.1);
    assert_int_equal(rig_files(), 0);
    rig_change_rest();
    dt_writer_end_update(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    rig_expect_file(0, 1, "signal TERM");
    rig_end(w);
}

/* After an update, the copy made before it is out of date. */
static void after_an_update_a_signal_gets_its_step(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    make_slow_steps(w);
    rig_make_step(w);
    rig_come(&rig.checkpoints_asked, 1);
    rig_wait_for(1, 1);
    rig_expect_file(0, 4, DT_STILL_RUNNING);
    rig_end(w);
}

static void an_update_waits_until_the_answer_is_copied(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    dt_writer_lock(w);
    rig_come(&rig.stop_signal, SIGTERM);
    rig_pass(0.2); /* the thread is waiting for the state */
    dt_writer_unlock(w);
    rig_make_step(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    rig_expect_file(0, 1, "signal TERM");
    rig_end(w);
}

/* ---- when the loop is stuck ---- */

static void a_stuck_run_is_saved_from_outside(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    assert_true(dt_writer_save(w, 60));
    assert_int_equal(rig_files(), 1);
    rig_expect_file(0, 1, DT_STILL_RUNNING);
    make_slow_steps(w);
    dt_writer_begin_update(w);
    rig_change_half();
    assert_true(dt_writer_save(w, 60)); /* from the copy */
    rig_expect_file(1, 4, DT_STILL_RUNNING);
    rig_change_rest();
    dt_writer_end_update(w);
    rig_end(w);
}

static void a_closed_or_failing_state_is_not_said_to_be_saved(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig.disk.failures = 1;
    assert_false(dt_writer_save(w, 60));
    dt_writer_lock(w);
    assert_false(dt_writer_save(w, 1));
    assert_int_equal(rig_files(), 0);
    dt_writer_unlock(w);
    rig_end(w);
}

/* ---- all at once ---- */

enum { STEPS = 400 };

static void *ask_and_save(void *context) {
    dt_writer *w = context;
    for (int i = 1; i <= 40; i++) {
        if (i % 2) {
            rig_come(&rig.checkpoints_asked, i);
        } else {
            dt_writer_save(w, 60);
        }
        dt_writer_write_seconds(w);
        dt_writer_written_step(w);
        rig_pass(0.002);
    }
    return NULL;
}

/* For the thread sanitizer, and for the order of writes. */
static void everything_at_once_keeps_each_file_whole(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    pthread_t other;
    rig.disk.seconds = 0.001;
    assert_int_equal(pthread_create(&other, NULL, ask_and_save, w), 0);
    for (int i = 0; i < STEPS; i++) {
        bool accepted;
        rig_make_step(w);
        if (i % 3 == 0) assert_int_equal(dt_writer_submit(w, i % 2 == 0, &accepted), DT_OK);
        if (i % 50 == 0) dt_writer_failure(w);
    }
    rig_come(&rig.stop_signal, SIGTERM);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    pthread_join(other, NULL);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    const size_t count = rig_files();
    bool stopped = false;
    for (size_t i = 0; i < count; i++) {
        assert_true(rig_file_at(i).whole);
        if (strcmp(rig_file_at(i).stopped, "signal TERM") != 0) continue;
        stopped = true;
        assert_int_equal(rig_file_at(i).step, STEPS);
    }
    assert_true(stopped);
    rig_end(w);
}

int main(void) {
#define TEST(function) cmocka_unit_test_teardown(function, rig_stop_after_a_failure)
    const struct CMUnitTest tests[] = {
        TEST(usr2_is_answered_without_the_loop),
        TEST(a_stop_is_answered_with_its_reason),
        TEST(the_first_write_is_not_given_up),
        TEST(a_later_write_is_given_up_for_that_of_the_signal),
        TEST(a_slow_write_is_not_given_up),
        TEST(the_best_is_not_given_up_and_not_dropped),
        TEST(what_the_answer_makes_needless_is_dropped),
        TEST(a_launcher_that_may_stop_soon_finds_the_thread_free),
        TEST(what_was_held_back_is_written_later),
        TEST(in_an_update_a_signal_gets_the_step_before),
        TEST(without_a_copy_a_signal_waits_for_the_update),
        TEST(after_an_update_a_signal_gets_its_step),
        TEST(an_update_waits_until_the_answer_is_copied),
        TEST(a_stuck_run_is_saved_from_outside),
        TEST(a_closed_or_failing_state_is_not_said_to_be_saved),
        TEST(everything_at_once_keeps_each_file_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
