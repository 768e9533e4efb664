/* The writer of checkpoints: what is on disk after what the loop has submitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/run/writer.h"
#include "writer_rig.h"

static void what_is_written_is_the_state_at_submission(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    assert_int_equal(dt_writer_written_step(w), -1);
    rig_make_step(w);
    rig_close_disk(true);
    rig_submit(w, true);
    rig_make_step(w);
    rig_close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    rig_expect_file(0, 1, DT_STILL_RUNNING);
    assert_int_equal(rig_file_at(0).blocks, 4);
    assert_int_equal(rig_file_at(0).rows, 1);
    assert_int_equal(dt_writer_written_step(w), 1);
    assert_int_equal(rig_files(), 1);
    rig_end(w);
}

static void a_state_without_averages_has_three_blocks(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    dt_writer_close(&w);
    rig.run.averaged = false;
    assert_int_equal(dt_writer_open(&w, rig_view, NULL), DT_OK);
    assert_true(dt_writer_write_seconds(w) < 0.1 + 3.5 * RIG_FLOATS * sizeof(float) / 1e8);
    rig_make_step(w);
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    rig_expect_file(0, 1, DT_STILL_RUNNING);
    assert_int_equal(rig_file_at(0).blocks, 3);
    rig_end(w);
}

static void a_third_waits_or_is_left_out(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_close_disk(true);
    rig_make_step(w);
    rig_submit(w, true);
    rig_wait_for(1, 0);
    rig_make_step(w);
    rig_submit(w, true);
    rig_make_step(w);
    rig_submit(w, false);
    rig_make_step(w);
    rig_close_disk(false);
    bool accepted;
    assert_int_equal(dt_writer_submit(w, true, &accepted), DT_OK);
    assert_true(accepted);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 3);
    rig_expect_file(0, 1, DT_STILL_RUNNING);
    rig_expect_file(1, 2, DT_STILL_RUNNING);
    rig_expect_file(2, 4, DT_STILL_RUNNING);
    rig_end(w);
}

static void what_waits_is_written_in_its_order(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    rig_make_step(w);
    rig_close_disk(true);
    rig_submit(w, true);
    rig_wait_for(1, 0);
    rig_make_step(w);
    rig_submit(w, true); /* in the second slot */
    rig_come(&rig.continues, 1);
    rig_close_disk(false);
    rig_wait_for(1, 1);
    rig_pass(0.2);
    assert_int_equal(rig_files(), 1); /* it is held back */
    rig_make_step(w);
    rig_submit(w, true); /* in the first */
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(rig_files(), 3);
    rig_expect_file(1, 2, DT_STILL_RUNNING);
    rig_expect_file(2, 3, DT_STILL_RUNNING);
    rig_end(w);
}

static void a_failure_is_told_once_and_the_next_write_may_succeed(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    assert_null(dt_writer_failure(w));
    rig_make_step(w);
    rig.disk.failures = 1;
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_ERR_IO);
    assert_string_equal(dt_error_text(), "the disk is full");
    assert_string_equal(dt_writer_failure(w), "the disk is full");
    assert_null(dt_writer_failure(w));
    assert_int_equal(dt_writer_written_step(w), -1);
    rig_make_step(w);
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_null(dt_writer_failure(w));
    rig_expect_file(0, 2, DT_STILL_RUNNING);
    rig_end(w);
}

static void the_longest_write_counts_and_before_it_a_slow_disk(void **state) {
    (void)state;
    dt_writer *w = rig_begin();
    const double before = 0.1 + 4.0 * RIG_FLOATS * sizeof(float) / 1e8;
    assert_true(dt_writer_write_seconds(w) > 0.999 * before);
    assert_true(dt_writer_write_seconds(w) < 1.001 * before);
    rig.disk.seconds = 0.3;
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_true(dt_writer_write_seconds(w) > 0.299);
    rig.disk.seconds = 0;
    rig_submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_true(dt_writer_write_seconds(w) > 0.299);
    rig_end(w);
}

int main(void) {
#define TEST(function) cmocka_unit_test_teardown(function, rig_stop_after_a_failure)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_the_state_at_submission),
        TEST(a_state_without_averages_has_three_blocks),
        TEST(a_third_waits_or_is_left_out),
        TEST(what_waits_is_written_in_its_order),
        TEST(a_failure_is_told_once_and_the_next_write_may_succeed),
        TEST(the_longest_write_counts_and_before_it_a_slow_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
