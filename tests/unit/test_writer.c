/* The writer of checkpoints: what is on disk after which event. The test replaces the folder and
 * the signals, so it decides when a write ends, fails or takes long. */
#include "dtrain/run/writer.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dtrain/core/clock.h"
#include "dtrain/run/publish.h"
#include "dtrain/run/signals.h"

/* ---- the clock, which only the test advances ---- */

static _Atomic double clock_now = 1000;

double dt_seconds_now(void) { return atomic_load(&clock_now); }

static void advance(double seconds) { atomic_store(&clock_now, atomic_load(&clock_now) + seconds); }

/* ---- signals ---- */

static atomic_int stop_signal, checkpoints_asked, continues;
static sem_t wake;

int dt_signals_stop(void) { return atomic_load(&stop_signal); }
int dt_signals_checkpoints(void) { return atomic_load(&checkpoints_asked); }
int dt_signals_continues(void) { return atomic_load(&continues); }
double dt_signals_stop_age(void) { return 0; }
const char *dt_signals_name(int number) { return number == SIGTERM ? "signal TERM" : "other"; }
void dt_signals_wake(void) { sem_post(&wake); }

void dt_signals_wait(double seconds) {
    (void)seconds;
    sem_wait(&wake);
}

static void come(atomic_int *flag, int value) {
    atomic_store(flag, value);
    dt_signals_wake();
}

/* ---- the folder ---- */

typedef struct {
    int64_t step;
    size_t blocks, rows;
    char stopped[64];
    bool whole; /* all floats belong to the step */
} file;

enum { COUNT = 1000, FILES = 1024 };

/* Protected by the lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    file file[FILES]; /* complete, in the order of writing */
    size_t files, begun, given_up;
    bool closed;    /* a write does not end */
    int failures;   /* so many of the next writes fail */
    double seconds; /* of clock time per write */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The value of a block's floats after a step. */
static float float_at(int64_t step, size_t block) { return (float)(4 * step + (int64_t)block); }

static void note_file(file *f, const dt_checkpoint *c) {
    const float *const block[] = {c->weights, c->m, c->v, c->iterate};
    *f = (file){.step = c->state.step, .whole = true};
    for (size_t b = 0; b < sizeof block / sizeof *block; b++) {
        if (!block[b]) continue;
        f->blocks++;
        for (size_t i = 0; i < COUNT; i++) {
            f->whole = f->whole && block[b][i] == float_at(f->step, b);
        }
    }
    f->rows = c->metrics->train_count;
    if (c->metrics->history_count) {
        snprintf(f->stopped, sizeof f->stopped, "%s",
                 c->metrics->history[c->metrics->history_count - 1].stopped);
    }
}

dt_status dt_publish_checkpoint(const dt_checkpoint *checkpoint, dt_checkpoint_needless *needless) {
    dt_status status = DT_OK;
    pthread_mutex_lock(&disk.lock);
    disk.begun++;
    pthread_cond_broadcast(&disk.changed);
    advance(disk.seconds);
    while (disk.closed && status == DT_OK) {
        pthread_mutex_unlock(&disk.lock);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (needless && needless()) status = DT_ERR_STOPPED;
        pthread_mutex_lock(&disk.lock);
    }
    disk.given_up += status == DT_ERR_STOPPED;
    if (status == DT_OK && disk.failures > 0) {
        disk.failures--;
        status = dt_error_raise(DT_ERR_IO, __FILE__, __LINE__, "the disk is full");
    }
    if (status == DT_OK && disk.files < FILES) note_file(&disk.file[disk.files++], checkpoint);
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.lock);
    return status;
}

/* ---- the state ---- */

static struct {
    float floats[4][COUNT];
    bool averaged;
    dt_metrics metrics;
    dt_run_state state;
    pthread_t loop;
    atomic_bool changing; /* the loop is changing it */
    atomic_bool wrong;    /* another thread has read it meanwhile */
} run;

static void view_run(dt_checkpoint *view, void *context) {
    (void)context;
    const bool other = !pthread_equal(pthread_self(), run.loop);
    if (other && atomic_load(&run.changing)) atomic_store(&run.wrong, true);
    *view = (dt_checkpoint){.layout = {.count = COUNT},
                            .weights = run.floats[0],
                            .m = run.floats[1],
                            .v = run.floats[2],
                            .iterate = run.averaged ? run.floats[3] : NULL,
                            .metrics = &run.metrics,
                            .state = run.state};
}

/* Half of the next step: no other thread may see it. */
static void change_half(void) {
    atomic_store(&run.changing, true);
    run.state.step++;
    for (size_t i = 0; i < COUNT; i++) run.floats[0][i] = float_at(run.state.step, 0);
}

static void change_rest(void) {
    const dt_train_row row = {.step = run.state.step - 1};
    for (size_t b = 1; b < 4; b++) {
        for (size_t i = 0; i < COUNT; i++) run.floats[b][i] = float_at(run.state.step, b);
    }
    assert_int_equal(dt_metrics_add_train(&run.metrics, &row), DT_OK);
    atomic_store(&run.changing, false);
}

static void make_step(dt_writer *w) {
    dt_writer_begin_update(w);
    change_half();
    change_rest();
    dt_writer_end_update(w);
}

static void say_stopped(dt_writer *w, const char *why) {
    dt_writer_lock(w);
    snprintf(run.metrics.history[0].stopped, sizeof run.metrics.history[0].stopped, "%s", why);
    dt_writer_unlock(w);
}

static bool is_open;

static dt_writer *begin(void) {
    dt_writer *w;
    const dt_history_row row = {.stopped = DT_STILL_RUNNING};
    dt_metrics_clear(&run.metrics);
    for (size_t b = 0; b < 4; b++) {
        for (size_t i = 0; i < COUNT; i++) run.floats[b][i] = float_at(0, b);
    }
    run.averaged = true;
    run.state = (dt_run_state){.best_step = -1};
    run.loop = pthread_self();
    atomic_store(&run.wrong, false);
    atomic_store(&stop_signal, 0);
    atomic_store(&checkpoints_asked, 0);
    atomic_store(&continues, 0);
    disk.files = disk.begun = disk.given_up = 0;
    disk.closed = false;
    disk.failures = 0;
    disk.seconds = 0;
    assert_int_equal(dt_metrics_add_history(&run.metrics, &row), DT_OK);
    assert_int_equal(dt_writer_open(&w, view_run, NULL), DT_OK);
    is_open = true;
    return w;
}

static void end(dt_writer *w) {
    dt_writer_close(&w);
    assert_null(w);
    is_open = false;
    assert_false(atomic_load(&run.wrong));
    dt_metrics_clear(&run.metrics);
}

/* A failed test leaves a thread that would disturb the next test. */
static int stop_after_a_failure(void **state) {
    (void)state;
    if (is_open) exit(1);
    return 0;
}

/* ---- what the tests check ---- */

static void close_disk(bool closed) {
    pthread_mutex_lock(&disk.lock);
    disk.closed = closed;
    pthread_mutex_unlock(&disk.lock);
}

/* Waits until so many writes have begun and so many files exist; at most a minute, since machines
 * may be busy. */
static void wait_for(size_t begun, size_t files) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&disk.lock);
    int error = 0;
    while ((disk.begun < begun || disk.files < files) && !error) {
        error = pthread_cond_timedwait(&disk.changed, &disk.lock, &until);
    }
    pthread_mutex_unlock(&disk.lock);
    assert_int_equal(error, 0);
}

static file file_at(size_t i) {
    pthread_mutex_lock(&disk.lock);
    const file f = i < disk.files ? disk.file[i] : (file){.step = -1};
    pthread_mutex_unlock(&disk.lock);
    return f;
}

static size_t files(void) {
    pthread_mutex_lock(&disk.lock);
    const size_t count = disk.files;
    pthread_mutex_unlock(&disk.lock);
    return count;
}

static void expect_file(size_t i, int64_t step, const char *stopped) {
    const file f = file_at(i);
    assert_int_equal(f.step, step);
    assert_true(f.whole);
    assert_string_equal(f.stopped, stopped);
}

static void submit(dt_writer *w, bool expected) {
    bool accepted;
    assert_int_equal(dt_writer_submit(w, false, &accepted), DT_OK);
    assert_int_equal(accepted, expected);
}

static void pass(double seconds) {
    nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 1e9)}, NULL);
}

/* ---- what the loop submits ---- */

static void what_is_written_is_the_state_at_submission(void **state) {
    (void)state;
    dt_writer *w = begin();
    assert_int_equal(dt_writer_written_step(w), -1);
    make_step(w);
    close_disk(true);
    submit(w, true);
    make_step(w);
    close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    expect_file(0, 1, DT_STILL_RUNNING);
    assert_int_equal(file_at(0).blocks, 4);
    assert_int_equal(file_at(0).rows, 1);
    assert_int_equal(dt_writer_written_step(w), 1);
    assert_int_equal(files(), 1);
    end(w);
}

static void a_state_without_averages_has_three_blocks(void **state) {
    (void)state;
    dt_writer *w = begin();
    dt_writer_close(&w);
    run.averaged = false;
    assert_int_equal(dt_writer_open(&w, view_run, NULL), DT_OK);
    assert_true(dt_writer_write_seconds(w) < 0.1 + 3.5 * COUNT * sizeof(float) / 1e8);
    make_step(w);
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    expect_file(0, 1, DT_STILL_RUNNING);
    assert_int_equal(file_at(0).blocks, 3);
    end(w);
}

static void a_third_waits_or_is_left_out(void **state) {
    (void)state;
    dt_writer *w = begin();
    close_disk(true);
    make_step(w);
    submit(w, true);
    wait_for(1, 0);
    make_step(w);
    submit(w, true);
    make_step(w);
    submit(w, false);
    make_step(w);
    close_disk(false);
    bool accepted;
    assert_int_equal(dt_writer_submit(w, true, &accepted), DT_OK);
    assert_true(accepted);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 3);
    expect_file(0, 1, DT_STILL_RUNNING);
    expect_file(1, 2, DT_STILL_RUNNING);
    expect_file(2, 4, DT_STILL_RUNNING);
    end(w);
}

static void what_waits_is_written_in_its_order(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    close_disk(true);
    submit(w, true);
    wait_for(1, 0);
    make_step(w);
    submit(w, true); /* in the second slot */
    come(&continues, 1);
    close_disk(false);
    wait_for(1, 1);
    pass(0.2);
    assert_int_equal(files(), 1); /* it is held back */
    make_step(w);
    submit(w, true); /* in the first */
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 3);
    expect_file(1, 2, DT_STILL_RUNNING);
    expect_file(2, 3, DT_STILL_RUNNING);
    end(w);
}

static void a_failure_is_told_once_and_the_next_write_may_succeed(void **state) {
    (void)state;
    dt_writer *w = begin();
    assert_null(dt_writer_failure(w));
    make_step(w);
    disk.failures = 1;
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_ERR_IO);
    assert_string_equal(dt_error_text(), "the disk is full");
    assert_string_equal(dt_writer_failure(w), "the disk is full");
    assert_null(dt_writer_failure(w));
    assert_int_equal(dt_writer_written_step(w), -1);
    make_step(w);
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_null(dt_writer_failure(w));
    expect_file(0, 2, DT_STILL_RUNNING);
    end(w);
}

static void the_longest_write_counts_and_before_it_a_slow_disk(void **state) {
    (void)state;
    dt_writer *w = begin();
    const double before = 0.1 + 4.0 * COUNT * sizeof(float) / 1e8;
    assert_true(dt_writer_write_seconds(w) > 0.999 * before);
    assert_true(dt_writer_write_seconds(w) < 1.001 * before);
    disk.seconds = 0.3;
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_true(dt_writer_write_seconds(w) > 0.299);
    disk.seconds = 0;
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_true(dt_writer_write_seconds(w) > 0.299);
    end(w);
}

/* ---- signals ---- */

static void usr2_is_answered_without_the_loop(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    come(&checkpoints_asked, 1);
    wait_for(1, 1);
    expect_file(0, 1, DT_STILL_RUNNING);
    make_step(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 1);
    end(w);
}

static void a_stop_is_answered_with_its_reason(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    come(&stop_signal, SIGTERM);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 1);
    expect_file(0, 1, "signal TERM");
    /* A second signal to stop needs no further write. */
    come(&stop_signal, SIGINT);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 1);
    end(w);
}

/* The half-written file may be the only one that gets written. */
static void the_first_write_is_not_given_up(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    close_disk(true);
    submit(w, true);
    wait_for(1, 0);
    make_step(w);
    come(&stop_signal, SIGTERM);
    pass(0.1);
    close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(disk.given_up, 0);
    assert_int_equal(files(), 2);
    expect_file(0, 1, DT_STILL_RUNNING);
    expect_file(1, 2, "signal TERM");
    end(w);
}

static void a_later_write_is_given_up_for_that_of_the_signal(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    make_step(w);
    close_disk(true);
    submit(w, true);
    wait_for(2, 1);
    make_step(w);
    come(&stop_signal, SIGTERM);
    wait_for(3, 1); /* the disk is still closed: step 2 has been given up */
    close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(disk.given_up, 1);
    assert_int_equal(files(), 2);
    expect_file(1, 3, "signal TERM");
    end(w);
}

/* If writing takes long, the write for the signal might not finish in time. */
static void a_slow_write_is_not_given_up(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    disk.seconds = 2.1;
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    disk.seconds = 0;
    make_step(w);
    close_disk(true);
    submit(w, true);
    wait_for(2, 1);
    come(&stop_signal, SIGTERM);
    pass(0.1);
    close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(disk.given_up, 0);
    expect_file(1, 2, DT_STILL_RUNNING);
    end(w);
}

static void the_best_is_not_given_up_and_not_dropped(void **state) {
    (void)state;
    dt_writer *w = begin();
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    close_disk(true);
    for (int64_t step = 1; step <= 2; step++) {
        make_step(w);
        dt_writer_lock(w);
        run.state.best_step = step;
        dt_writer_unlock(w);
        submit(w, true);
        wait_for(2, 1);
    }
    make_step(w);
    come(&stop_signal, SIGTERM);
    pass(0.1);
    close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 4);
    expect_file(1, 1, DT_STILL_RUNNING);
    expect_file(2, 2, DT_STILL_RUNNING);
    expect_file(3, 3, "signal TERM");
    end(w);
}

static void what_the_answer_makes_needless_is_dropped(void **state) {
    (void)state;
    dt_writer *w = begin();
    close_disk(true);
    make_step(w);
    submit(w, true);
    wait_for(1, 0);
    make_step(w);
    submit(w, true); /* waits, and is older than the answer */
    make_step(w);
    come(&stop_signal, SIGTERM);
    close_disk(false);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 2);
    expect_file(1, 3, "signal TERM");
    /* The loop does not know of the signal yet. */
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 2);
    /* But its last write has a later reason to stop. */
    say_stopped(w, DT_FINISHED);
    submit(w, true);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 3);
    expect_file(2, 3, DT_FINISHED);
    end(w);
}

static void a_launcher_that_may_stop_soon_finds_the_thread_free(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    come(&continues, 1);
    pass(0.2);
    submit(w, true);
    pass(0.3);
    assert_int_equal(files(), 0);
    assert_int_equal(dt_writer_drain(w), DT_OK); /* the loop cannot wait */
    assert_int_equal(files(), 1);
    make_step(w);
    come(&continues, 2);
    pass(0.2);
    make_step(w);
    submit(w, true);
    come(&stop_signal, SIGTERM); /* as expected */
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 2);
    expect_file(1, 3, "signal TERM");
    end(w);
}

/* If no stop follows, the write is done later. */
static void what_was_held_back_is_written_later(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    come(&continues, 1);
    pass(0.2);
    submit(w, true);
    pass(0.2);
    assert_int_equal(files(), 0);
    advance(2);
    dt_signals_wake();
    wait_for(1, 1);
    end(w);
}

/* ---- during an update ---- */

/* Slow updates, so that a copy before them costs little in comparison. */
static void make_slow_steps(dt_writer *w) {
    for (int i = 0; i < 3; i++) {
        make_step(w);
        advance(1);
    }
}

static void in_an_update_a_signal_gets_the_step_before(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_slow_steps(w);
    dt_writer_begin_update(w);
    change_half();
    come(&stop_signal, SIGTERM);
    wait_for(1, 1); /* although the update does not end */
    expect_file(0, 3, "signal TERM");
    change_rest();
    dt_writer_end_update(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    assert_int_equal(files(), 1);
    end(w);
}

static void without_a_copy_a_signal_waits_for_the_update(void **state) {
    (void)state;
    dt_writer *w = begin();
    dt_writer_begin_update(w); /* the first update: the cost of a copy is not known yet */
    change_half();
    come(&stop_signal, SIGTERM);
    pass(0.1);
    assert_int_equal(files(), 0);
    change_rest();
    dt_writer_end_update(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    expect_file(0, 1, "signal TERM");
    end(w);
}

/* After an update, the copy made before it is out of date. */
static void after_an_update_a_signal_gets_its_step(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_slow_steps(w);
    make_step(w);
    come(&checkpoints_asked, 1);
    wait_for(1, 1);
    expect_file(0, 4, DT_STILL_RUNNING);
    end(w);
}

static void an_update_waits_until_the_answer_is_copied(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    dt_writer_lock(w);
    come(&stop_signal, SIGTERM);
    pass(0.2); /* the thread is waiting for the state */
    dt_writer_unlock(w);
    make_step(w);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    expect_file(0, 1, "signal TERM");
    end(w);
}

/* ---- when the loop is stuck ---- */

static void a_stuck_run_is_saved_from_outside(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    assert_true(dt_writer_save(w, 60));
    assert_int_equal(files(), 1);
    expect_file(0, 1, DT_STILL_RUNNING);
    make_slow_steps(w);
    dt_writer_begin_update(w);
    change_half();
    assert_true(dt_writer_save(w, 60)); /* from the copy */
    expect_file(1, 4, DT_STILL_RUNNING);
    change_rest();
    dt_writer_end_update(w);
    end(w);
}

static void a_closed_or_failing_state_is_not_said_to_be_saved(void **state) {
    (void)state;
    dt_writer *w = begin();
    make_step(w);
    disk.failures = 1;
    assert_false(dt_writer_save(w, 60));
    dt_writer_lock(w);
    assert_false(dt_writer_save(w, 1));
    assert_int_equal(files(), 0);
    dt_writer_unlock(w);
    end(w);
}

/* ---- all at once ---- */

enum { STEPS = 400 };

static void *ask_and_save(void *context) {
    dt_writer *w = context;
    for (int i = 1; i <= 40; i++) {
        if (i % 2) {
            come(&checkpoints_asked, i);
        } else {
            dt_writer_save(w, 60);
        }
        dt_writer_write_seconds(w);
        dt_writer_written_step(w);
        pass(0.002);
    }
    return NULL;
}

/* For the thread sanitizer, and for the order of writes. */
static void everything_at_once_keeps_each_file_whole(void **state) {
    (void)state;
    dt_writer *w = begin();
    pthread_t other;
    disk.seconds = 0.001;
    assert_int_equal(pthread_create(&other, NULL, ask_and_save, w), 0);
    for (int i = 0; i < STEPS; i++) {
        bool accepted;
        make_step(w);
        if (i % 3 == 0) assert_int_equal(dt_writer_submit(w, i % 2 == 0, &accepted), DT_OK);
        if (i % 50 == 0) dt_writer_failure(w);
    }
    come(&stop_signal, SIGTERM);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    pthread_join(other, NULL);
    assert_int_equal(dt_writer_drain(w), DT_OK);
    const size_t count = files();
    bool stopped = false;
    for (size_t i = 0; i < count; i++) {
        assert_true(file_at(i).whole);
        if (strcmp(file_at(i).stopped, "signal TERM") != 0) continue;
        stopped = true;
        assert_int_equal(file_at(i).step, STEPS);
    }
    assert_true(stopped);
    end(w);
}

int main(void) {
    sem_init(&wake, 0, 0);
#define TEST(function) cmocka_unit_test_teardown(function, stop_after_a_failure)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_the_state_at_submission),
        TEST(a_state_without_averages_has_three_blocks),
        TEST(a_third_waits_or_is_left_out),
        TEST(what_waits_is_written_in_its_order),
        TEST(a_failure_is_told_once_and_the_next_write_may_succeed),
        TEST(the_longest_write_counts_and_before_it_a_slow_disk),
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
