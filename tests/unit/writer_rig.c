/* A folder, signals and a clock that the tests of the writer decide about. */
#include "writer_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "dtrain/core/clock.h"
#include "dtrain/run/publish.h"
#include "dtrain/run/signals.h"

/* ---- the clock, which only the test advances ---- */

static _Atomic double clock_now = 1000;

double dt_seconds_now(void) { return atomic_load(&clock_now); }

void rig_advance(double seconds) { atomic_store(&clock_now, atomic_load(&clock_now) + seconds); }

/* ---- signals ---- */

writer_rig rig = {.disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};

int dt_signals_stop(void) { return atomic_load(&rig.stop_signal); }
int dt_signals_checkpoints(void) { return atomic_load(&rig.checkpoints_asked); }
int dt_signals_continues(void) { return atomic_load(&rig.continues); }
double dt_signals_stop_age(void) { return 0; }
const char *dt_signals_name(int number) { return number == SIGTERM ? "signal TERM" : "other"; }
void dt_signals_wake(void) { sem_post(&rig.wake); }

void dt_signals_wait(double seconds) {
    (void)seconds;
    sem_wait(&rig.wake);
}

void rig_come(atomic_int *flag, int value) {
    atomic_store(flag, value);
    dt_signals_wake();
}

/* ---- the folder ---- */

/* The value of a block's floats after a step. */
static float float_at(int64_t step, size_t block) { return (float)(4 * step + (int64_t)block); }

static void note_file(rig_file *f, const dt_checkpoint *c) {
    const float *const block[] = {c->weights, c->m, c->v, c->iterate};
    *f = (rig_file){.step = c->state.step, .whole = true};
    for (size_t b = 0; b < sizeof block / sizeof *block; b++) {
        if (!block[b]) continue;
        f->blocks++;
        for (size_t i = 0; i < RIG_FLOATS; i++) {
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
    pthread_mutex_lock(&rig.disk.lock);
    rig.disk.begun++;
    pthread_cond_broadcast(&rig.disk.changed);
    rig_advance(rig.disk.seconds);
    while (rig.disk.closed && status == DT_OK) {
        pthread_mutex_unlock(&rig.disk.lock);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (needless && needless()) status = DT_ERR_STOPPED;
        pthread_mutex_lock(&rig.disk.lock);
    }
    rig.disk.given_up += status == DT_ERR_STOPPED;
    if (status == DT_OK && rig.disk.failures > 0) {
        rig.disk.failures--;
        status = dt_error_raise(DT_ERR_IO, __FILE__, __LINE__, "the disk is full");
    }
    if (status == DT_OK && rig.disk.files < RIG_FILES)
        note_file(&rig.disk.file[rig.disk.files++], checkpoint);
    pthread_cond_broadcast(&rig.disk.changed);
    pthread_mutex_unlock(&rig.disk.lock);
    return status;
}

/* ---- the state ---- */

void rig_view(dt_checkpoint *view, void *context) {
    (void)context;
    const bool other = !pthread_equal(pthread_self(), rig.run.loop);
    if (other && atomic_load(&rig.run.changing)) atomic_store(&rig.run.wrong, true);
    *view = (dt_checkpoint){.layout = {.count = RIG_FLOATS},
                            .weights = rig.run.floats[0],
                            .m = rig.run.floats[1],
                            .v = rig.run.floats[2],
                            .iterate = rig.run.averaged ? rig.run.floats[3] : NULL,
                            .metrics = &rig.run.metrics,
                            .state = rig.run.state};
}

/* Half of the next step: no other thread may see it. */
void rig_change_half(void) {
    atomic_store(&rig.run.changing, true);
    rig.run.state.step++;
    for (size_t i = 0; i < RIG_FLOATS; i++) rig.run.floats[0][i] = float_at(rig.run.state.step, 0);
}

void rig_change_rest(void) {
    const dt_train_row row = {.step = rig.run.state.step - 1};
    for (size_t b = 1; b < 4; b++) {
        for (size_t i = 0; i < RIG_FLOATS; i++)
            rig.run.floats[b][i] = float_at(rig.run.state.step, b);
    }
    assert_int_equal(dt_metrics_add_train(&rig.run.metrics, &row), DT_OK);
    atomic_store(&rig.run.changing, false);
}

void rig_make_step(dt_writer *w) {
    dt_writer_begin_update(w);
    rig_change_half();
    rig_change_rest();
    dt_writer_end_update(w);
}

void rig_say_stopped(dt_writer *w, const char *why) {
    dt_writer_lock(w);
    snprintf(rig.run.metrics.history[0].stopped, sizeof rig.run.metrics.history[0].stopped, "%s",
             why);
    dt_writer_unlock(w);
}

static bool is_open;

dt_writer *rig_begin(void) {
    dt_writer *w;
    const dt_history_row row = {.stopped = DT_STILL_RUNNING};
    sem_init(&rig.wake, 0, 0);
    dt_metrics_clear(&rig.run.metrics);
    for (size_t b = 0; b < 4; b++) {
        for (size_t i = 0; i < RIG_FLOATS; i++) rig.run.floats[b][i] = float_at(0, b);
    }
    rig.run.averaged = true;
    rig.run.state = (dt_run_state){.best_step = -1};
    rig.run.loop = pthread_self();
    atomic_store(&rig.run.wrong, false);
    atomic_store(&rig.stop_signal, 0);
    atomic_store(&rig.checkpoints_asked, 0);
    atomic_store(&rig.continues, 0);
    rig.disk.files = rig.disk.begun = rig.disk.given_up = 0;
    rig.disk.closed = false;
    rig.disk.failures = 0;
    rig.disk.seconds = 0;
    assert_int_equal(dt_metrics_add_history(&rig.run.metrics, &row), DT_OK);
    assert_int_equal(dt_writer_open(&w, rig_view, NULL), DT_OK);
    is_open = true;
    return w;
}

void rig_end(dt_writer *w) {
    dt_writer_close(&w);
    assert_null(w);
    is_open = false;
    assert_false(atomic_load(&rig.run.wrong));
    dt_metrics_clear(&rig.run.metrics);
}

/* A failed test leaves a thread that would disturb the next test. */
int rig_stop_after_a_failure(void **state) {
    (void)state;
    if (is_open) exit(1);
    return 0;
}

/* ---- what the tests check ---- */

void rig_close_disk(bool closed) {
    pthread_mutex_lock(&rig.disk.lock);
    rig.disk.closed = closed;
    pthread_mutex_unlock(&rig.disk.lock);
}

/* Waits until so many writes have begun and so many files exist; at most a minute, since machines
 * may be busy. */
void rig_wait_for(size_t begun, size_t files) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&rig.disk.lock);
    int error = 0;
    while ((rig.disk.begun < begun || rig.disk.files < files) && !error) {
        error = pthread_cond_timedwait(&rig.disk.changed, &rig.disk.lock, &until);
    }
    pthread_mutex_unlock(&rig.disk.lock);
    assert_int_equal(error, 0);
}

rig_file rig_file_at(size_t i) {
    pthread_mutex_lock(&rig.disk.lock);
    const rig_file f = i < rig.disk.files ? rig.disk.file[i] : (rig_file){.step = -1};
    pthread_mutex_unlock(&rig.disk.lock);
    return f;
}

size_t rig_files(void) {
    pthread_mutex_lock(&rig.disk.lock);
    const size_t count = rig.disk.files;
    pthread_mutex_unlock(&rig.disk.lock);
    return count;
}

void rig_expect_file(size_t i, int64_t step, const char *stopped) {
    const rig_file f = rig_file_at(i);
    assert_int_equal(f.step, step);
    assert_true(f.whole);
    assert_string_equal(f.stopped, stopped);
}

void rig_submit(dt_writer *w, bool expected) {
    bool accepted;
    assert_int_equal(dt_writer_submit(w, false, &accepted), DT_OK);
    assert_int_equal(accepted, expected);
}

void rig_pass(double seconds) {
    nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 1e9)}, NULL);
}
