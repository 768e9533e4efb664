/* The background writer of checkpoints. */
#include "dtrain/run/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/signals.h"

/* Of floats, of layout.count each: weights, m, v and iterate. */
enum { BLOCKS = 4 };

/* A copy of everything a checkpoint needs. */
typedef struct {
    /* BUSY: being filled by the loop, or written; SHADOW: the last completed step, while an update
     * is changing the state. */
    enum { FREE, FILLED, BUSY, SHADOW } state;
    dt_checkpoint copy; /* its arrays are the slot's own, its layout and tokenizer the trainer's */
    dt_metrics metrics;
    float *floats;  /* (BLOCKS, layout.count) */
    int64_t number; /* in the order of submission */
} snapshot;

enum { SNAPSHOTS = 2 };

/* What others than the loop want: the thread answers with a snapshot that it takes itself. */
typedef struct {
    int stop;        /* the signal, or 0 */
    int checkpoints; /* by USR2, so far */
    int saves;       /* by dt_writer_save, so far */
} demand;

struct dt_writer {
    dt_writer_view *view;
    void *context;
    pthread_t thread;
    pid_t loop;                 /* the training loop's thread; 0: not known */
    pthread_mutex_t state_lock; /* the state of the run */
    pthread_mutex_t lock;       /* everything below */
    pthread_cond_t changed;
    snapshot slot[SNAPSHOTS];
    bool quit;
    int saves;
    int64_t submitted;
    int continues;     /* dt_signals_continues() last seen */
    double hold_until; /* dt_seconds_now(); a stop may be near: nothing is begun that could wait */
    bool draining;     /* it cannot */
    double closed_at, closed_seconds; /* when the last update began, and how long it took */
    double between_updates;           /* seconds from the one before to it */
    demand served;
    bool answers_stop; /* the answer to a signal to stop is being taken or written */
    bool takes_state;  /* an answer is about to be copied from the state, which is to stay open */
    int64_t written_step;
    double write_seconds, wait_seconds;
    dt_status last;     /* of the last write */
    bool failed;        /* and nobody has asked yet */
    char failure[1600]; /* the sentence */
    char told[1600];    /* the one last given out */
};

static dt_status copy_rows(void *to, size_t *to_count, size_t *to_capacity, const void *from,
                           size_t count, size_t size) {
    DT_TRY(dt_memory_grow(to, to_capacity, count, size, "a snapshot of the metrics"));
    void *rows;
    memcpy(&rows, to, sizeof rows);
    if (count) memcpy(rows, from, count * size);
    *to_count = count;
    return DT_OK;
}

static dt_status copy_metrics(dt_metrics *to, const dt_metrics *from) {
    DT_TRY(copy_rows(&to->train, &to->train_count, &to->train_capacity, from->train,
                     from->train_count, sizeof *to->train));
    DT_TRY(copy_rows(&to->validation, &to->validation_count, &to->validation_capacity,
                     from->validation, from->validation_count, sizeof *to->validation));
    return copy_rows(&to->history, &to->history_count, &to->history_capacity, from->history,
                     from->history_count, sizeof *to->history);
}

/* Copy the state into a slot. The state lock is held, or the caller is the only one who changes it.
 */
static dt_status take(dt_writer *w, snapshot *s) {
    dt_checkpoint view;
    w->view(&view, w->context);
    const size_t count = view.layout.count, bytes = count * sizeof(float);
    DT_TRY(copy_metrics(&s->metrics, view.metrics));
    s->copy = view;
    float **const block[BLOCKS] = {&s->copy.weights, &s->copy.m, &s->copy.v, &s->copy.iterate};
    for (size_t i = 0; i < BLOCKS; i++) {
        if (*block[i]) *block[i] = memcpy(s->floats + i * count, *block[i], bytes);
    }
    s->copy.metrics = &s->metrics;
    return DT_OK;
}

static bool is_best(const snapshot *s) { return s->copy.state.best_step == s->copy.state.step; }

dt_status dt_writer_settings(const dt_config *config) {
    char *ini;
    DT_TRY(dt_config_format(&ini, config, false));
    const dt_status status = dt_run_write_text(config->out, "config.ini", ini);
    dt_memory_free(&ini);
    return status;
}

/* A folder that somebody has removed is made again: what is in memory is all there is of the run.
 */
static dt_status ensure_folder(const dt_config *config) {
    struct stat there;
    if (stat(config->out, &there) == 0 || errno != ENOENT) return DT_OK;
    DT_TRY(dt_run_folder_open(config->out));
    dt_log_warn("the folder %s had gone, with what was in it; it has been made again, and the run "
                "goes on in it",
                config->out);
    return dt_writer_settings(config);
}

static bool stops(void) { return dt_signals_stop() != 0; }

/* needless: NULL, or asked while the file is written. */
static dt_status write_slot(const snapshot *s, dt_checkpoint_needless *needless) {
    const dt_run_state *state = &s->copy.state;
    const dt_config *config = &s->copy.config;
    char path[DT_PATH_MAX];
    DT_TRY(ensure_folder(config));
    DT_TRY(dt_run_checkpoint_path(path, sizeof path, config->out, state->step));
    dt_run_uncache(config->out);
    DT_TRY(dt_checkpoint_write_unless(path, &s->copy, needless));
    /* best.h5 as well if it should be an earlier one, but could not be made then: without it that
     * one would be rotated away. */
    DT_TRY(dt_run_links(config->out, state->step, state->best_step));
    /* The newest has not proved healthy before a step from it was: the one before stays so long. */
    return dt_run_rotate(config->out, config->keep == 1 ? 2 : config->keep);
}

static snapshot *find(dt_writer *w, int state) {
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        if ((int)w->slot[i].state == state) return &w->slot[i];
    }
    return NULL;
}

/* The oldest filled slot. */
static snapshot *next_filled(dt_writer *w) {
    snapshot *oldest = NULL;
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot *s = &w->slot[i];
        if (s->state == FILLED && (!oldest || s->number < oldest->number)) oldest = s;
    }
    return oldest;
}

static demand wanted_now(const dt_writer *w) {
    return (demand){dt_signals_stop(), dt_signals_checkpoints(), w->saves};
}

/* A second signal to stop wants nothing that the first did not. */
static bool is_served(const dt_writer *w, const demand *wanted) {
    return !wanted->stop == !w->served.stop && wanted->checkpoints == w->served.checkpoints &&
           wanted->saves == w->served.saves;
}

/* Taken before the run knew why it would stop. */
static bool says_running(const snapshot *s) {
    const dt_metrics *m = &s->metrics;
    return m->history_count &&
           strcmp(m->history[m->history_count - 1].stopped, DT_STILL_RUNNING) == 0;
}

/* The last completed step; the loop may be anywhere in the next one. taken: the slot has it. */
static dt_status take_answer(dt_writer *w, snapshot *s, bool taken, const demand *wanted) {
    dt_status status = DT_OK;
    if (!taken) {
        pthread_mutex_lock(&w->state_lock);
        status = take(w, s);
        pthread_mutex_unlock(&w->state_lock);
        pthread_mutex_lock(&w->lock);
        w->takes_state = false;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
    }
    if (status != DT_OK || !wanted->stop || !s->metrics.history_count) return status;
    dt_history_row *row = &s->metrics.history[s->metrics.history_count - 1];
    /* Unless it says "finished" by now. */
    if (says_running(s)) {
        snprintf(row->stopped, sizeof row->stopped, "%s", dt_signals_name(wanted->stop));
    }
    return status;
}

/* How a write went; gives the slot back. answered NULL: the loop had submitted it. */
static void note(dt_writer *w, snapshot *s, dt_status status, double seconds,
                 const demand *answered) {
    pthread_mutex_lock(&w->lock);
    w->last = status;
    w->answers_stop = false;
    if (status == DT_OK) {
        w->written_step = s->copy.state.step;
        w->write_seconds = seconds > w->write_seconds ? seconds : w->write_seconds;
    } else {
        w->failed = true;
        snprintf(w->failure, sizeof w->failure, "%s", dt_error_text());
    }
    if (answered) w->served = *answered;
    s->state = FREE;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* After a signal to stop, a file that is half written is given up for the one of the signal, of a
 * later step: but only where that is likely to be on disk before a launcher kills. Otherwise the
 * older one may be all that is saved. */
static bool is_quick(const dt_writer *w, const snapshot *s) {
    const double most = 2, slow_disk = 1e8; /* s while training goes on, bytes/s */
    const double bytes = (double)BLOCKS * sizeof(float) * (double)s->copy.layout.count;
    return (w->write_seconds > 0 ? w->write_seconds : bytes / slow_disk) <= most;
}

static void forget(dt_writer *w, snapshot *s) {
    dt_log_debug("the checkpoint of step %lld is given up for that of a later step",
                 (long long)s->copy.state.step);
    dt_error_clear();
    pthread_mutex_lock(&w->lock);
    s->state = FREE;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Time may be short after a signal to stop: what its own checkpoint makes needless is left out. So
 * is, once that is on disk, what the loop submitted of the same step meanwhile: it does not know of
 * the signal. */
static void drop_needless(dt_writer *w) {
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot *s = &w->slot[i];
        if (s->state != FILLED) continue;
        const bool needless =
            w->served.stop ? says_running(s) && s->copy.state.step <= w->written_step : !is_best(s);
        if (needless) s->state = FREE;
    }
    pthread_cond_broadcast(&w->changed);
}

/* TERM may follow in a second, and KILL one after that: the thread is to be free by then. */
static bool holds_back(dt_writer *w, const demand *wanted) {
    enum { HOLD = 1500 }; /* ms */
    const int continues = dt_signals_continues();
    if (continues != w->continues) w->hold_until = dt_seconds_now() + HOLD / 1000.0;
    w->continues = continues;
    return is_served(w, wanted) && !w->draining && !w->quit && dt_seconds_now() < w->hold_until;
}

/* The loop may have seconds of its step left, on the same processor, and nothing depends on them
 * any more: it becomes nicer, but not so much that it starves behind ranks that wait for it. */
static void let_writer_pass(const dt_writer *w) {
    enum { NICER = 5 };
    if (w->loop > 0) setpriority(PRIO_PROCESS, (id_t)w->loop, NICER);
}

/* The page cache needs as much memory as the file has bytes, and a virtual machine whose host takes
 * back what is free has to ask for every page: that takes several times as long as the rest of a
 * write. What only later copies would need is at hand. The lock is held. */
static void lend_memory(dt_writer *w) {
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot *s = &w->slot[i];
        if (s->state == FREE) dt_memory_release(s->floats);
    }
}

/* Where the loop may put a copy; NULL: nowhere, or not now, since its memory is lent. */
static snapshot *find_room(dt_writer *w) { return w->answers_stop ? NULL : find(w, FREE); }

/* A copy that the loop has made; one begun before a signal to stop and complete after it is
 * needless: the loop will have its last step written. */
static void put(dt_writer *w, snapshot *s, int state) {
    const bool needless = w->answers_stop && says_running(s) && !is_best(s);
    s->state = needless ? FREE : state;
    if (needless) lend_memory(w);
}

/* One thing to do, if there is any: what was submitted comes first, since it is older. No file is
 * ever without the best one that it speaks of. */
static bool work(dt_writer *w) {
    pthread_mutex_lock(&w->lock);
    const demand wanted = wanted_now(w);
    if (wanted.stop) drop_needless(w);
    snapshot *s = holds_back(w, &wanted) ? NULL : next_filled(w);
    const bool answer = !s && !is_served(w, &wanted);
    if (answer) s = find(w, SHADOW);
    const bool taken = s && answer;
    /* There is one, or will be soon: the loop fills one at a time, and the other is not waiting. */
    if (answer && !taken) s = find(w, FREE);
    if (s) s->state = BUSY;
    w->answers_stop = s && answer && wanted.stop;
    w->takes_state = s && answer && !taken;
    if (w->answers_stop) {
        let_writer_pass(w);
        lend_memory(w);
    }
    pthread_mutex_unlock(&w->lock);
    if (!s) return false;
    dt_status status = answer ? take_answer(w, s, taken, &wanted) : DT_OK;
    const double start = dt_seconds_now();
    const bool leaves = !answer && !wanted.stop && !is_best(s) && is_quick(w, s);
    dt_checkpoint_needless *const needless = leaves ? stops : NULL;
    if (status == DT_OK) status = write_slot(s, needless);
    if (needless && status == DT_ERR_STOPPED) {
        forget(w, s);
        return true;
    }
    const double seconds = dt_seconds_now() - start;
    if (status == DT_OK) {
        dt_log_debug("checkpoint of step %lld: %.3f s", (long long)s->copy.state.step, seconds);
    }
    if (status == DT_OK && answer && wanted.stop) {
        dt_log_debug("%s: answered after %.3f s", dt_signals_name(wanted.stop),
                     dt_signals_stop_age());
    }
    note(w, s, status, seconds, answer ? &wanted : NULL);
    return true;
}

static void *run(void *argument) {
    enum { LOOK = 100, SLEEP = 3600000 }; /* ms; a wait has to end some time */
    dt_writer *w = argument;
    for (;;) {
        dt_signals_wait((dt_seconds_now() < w->hold_until ? LOOK : SLEEP) / 1000.0);
        while (work(w)) {
        }
        pthread_mutex_lock(&w->lock);
        const bool quit = w->quit;
        pthread_mutex_unlock(&w->lock);
        if (quit) return NULL;
    }
}

/* All at the start: later there might be no memory left, and the first touch of a page takes longer
 * than copying it. */
static dt_status open_slots(dt_writer *w) {
    dt_checkpoint view;
    w->view(&view, w->context);
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        DT_TRY(dt_memory_alloc(&w->slot[i].floats, BLOCKS * view.layout.count, sizeof(float),
                               "a snapshot of the weights"));
        dt_memory_touch(w->slot[i].floats, BLOCKS * view.layout.count * sizeof(float));
    }
    return DT_OK;
}

static void free_writer(dt_writer **w) {
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        dt_memory_free(&(*w)->slot[i].floats);
        dt_metrics_clear(&(*w)->slot[i].metrics);
    }
    pthread_cond_destroy(&(*w)->changed);
    pthread_mutex_destroy(&(*w)->lock);
    pthread_mutex_destroy(&(*w)->state_lock);
    dt_memory_free(w);
}

dt_status dt_writer_open(dt_writer **out, dt_writer_view *view, void *context) {
    *out = NULL;
    dt_writer *w;
    dt_status status;
    DT_TRY(dt_memory_alloc(&w, 1, sizeof *w, "the checkpoint writer"));
    w->view = view;
#ifdef __linux__ /* where threads have priorities of their own */
    w->loop = (pid_t)syscall(SYS_gettid);
#endif
    w->context = context;
    w->written_step = -1;
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->state_lock, NULL);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, &steady);
    pthread_condattr_destroy(&steady);
    DT_TRY_DONE(open_slots(w));
    const int error = pthread_create(&w->thread, NULL, run, w);
    DT_REQUIRE_DONE(error == 0, DT_ERR_MEMORY,
                    "no thread could be started for writing checkpoints: %s", strerror(error));
    dt_signals_wake(); /* one may have come before there was a thread */
    *out = w;
    return DT_OK;
done:
    free_writer(&w);
    return status;
}

void dt_writer_close(dt_writer **out) {
    dt_writer *w = *out;
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_mutex_unlock(&w->lock);
    dt_signals_wake();
    pthread_join(w->thread, NULL);
    free_writer(out);
}

void dt_writer_lock(dt_writer *w) {
    if (w) pthread_mutex_lock(&w->state_lock);
}

void dt_writer_unlock(dt_writer *w) {
    if (w) pthread_mutex_unlock(&w->state_lock);
}

/* If a rank dies in an update, that never ends, and the step before it can be saved from a copy
 * only. A cheap one is always made; a dearer one if answers would have to wait long. */
static bool is_worth_a_copy(dt_writer *w) {
    static const double LONG_UPDATE = 0.03; /* seconds */
    static const double SMALL_PART = 0.03;  /* of a step's time */
    static const double COPY_RATE = 4e9;    /* bytes per second; most machines reach twice that */
    dt_checkpoint view;
    w->view(&view, w->context);
    const double bytes = 3.0 * sizeof(float) * (double)view.layout.count +
                         (double)sizeof *view.metrics->train * (double)view.metrics->train_count;
    return w->closed_seconds >= LONG_UPDATE || bytes / COPY_RATE <= SMALL_PART * w->between_updates;
}

static void keep_shadow(dt_writer *w) {
    if (!is_worth_a_copy(w)) return;
    const double start = dt_seconds_now();
    pthread_mutex_lock(&w->lock);
    snapshot *s = find_room(w);
    if (s) s->state = BUSY;
    pthread_mutex_unlock(&w->lock);
    if (!s) return;
    const dt_status status = take(w, s);
    pthread_mutex_lock(&w->lock);
    put(w, s, status == DT_OK ? SHADOW : FREE);
    w->wait_seconds += dt_seconds_now() - start;
    pthread_mutex_unlock(&w->lock);
    dt_signals_wake(); /* one may have come, and found no slot */
}

void dt_writer_begin_update(dt_writer *w) {
    if (!w) return;
    const double before = w->closed_at;
    keep_shadow(w);
    pthread_mutex_lock(&w->lock);
    while (w->takes_state) pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_lock(&w->state_lock);
    w->closed_at = dt_seconds_now();
    if (before > 0) w->between_updates = w->closed_at - before;
}

void dt_writer_end_update(dt_writer *w) {
    if (!w) return;
    w->closed_seconds = dt_seconds_now() - w->closed_at;
    pthread_mutex_unlock(&w->state_lock);
    pthread_mutex_lock(&w->lock);
    snapshot *s = find(w, SHADOW);
    if (s) s->state = FREE;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

dt_status dt_writer_submit(dt_writer *w, bool must, bool *accepted) {
    const double start = dt_seconds_now();
    pthread_mutex_lock(&w->lock);
    *accepted = must || find_room(w);
    snapshot *s = NULL;
    while (*accepted && !(s = find_room(w))) pthread_cond_wait(&w->changed, &w->lock);
    if (s) s->state = BUSY;
    pthread_mutex_unlock(&w->lock);
    if (!s) return DT_OK;
    const dt_status status = take(w, s);
    pthread_mutex_lock(&w->lock);
    put(w, s, status == DT_OK ? FILLED : FREE);
    s->number = ++w->submitted;
    w->wait_seconds += dt_seconds_now() - start;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    dt_signals_wake();
    return status;
}

dt_status dt_writer_drain(dt_writer *w) {
    pthread_mutex_lock(&w->lock);
    w->draining = true;
    dt_signals_wake();
    for (;;) {
        const demand wanted = wanted_now(w);
        if (!find(w, FILLED) && !find(w, BUSY) && is_served(w, &wanted)) break;
        pthread_cond_wait(&w->changed, &w->lock);
    }
    w->draining = false;
    const dt_status status = w->last;
    if (status != DT_OK) dt_error_adopt(status, "writer.c", w->failure);
    pthread_mutex_unlock(&w->lock);
    return status;
}

bool dt_writer_save(dt_writer *w, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    pthread_mutex_lock(&w->lock);
    const int number = ++w->saves;
    dt_signals_wake();
    int error = 0;
    while (w->served.saves < number && error == 0) {
        error = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    }
    const bool saved = w->served.saves >= number && w->last == DT_OK;
    pthread_mutex_unlock(&w->lock);
    return saved;
}

const char *dt_writer_failure(dt_writer *w) {
    pthread_mutex_lock(&w->lock);
    const bool failed = w->failed;
    w->failed = false;
    memcpy(w->told, w->failure, sizeof w->told);
    pthread_mutex_unlock(&w->lock);
    return failed ? w->told : NULL;
}

int64_t dt_writer_written_step(dt_writer *w) {
    pthread_mutex_lock(&w->lock);
    const int64_t step = w->written_step;
    pthread_mutex_unlock(&w->lock);
    return step;
}

double dt_writer_write_seconds(dt_writer *w) {
    enum { SLOW_DISK = 100000000 }; /* bytes per second */
    dt_checkpoint view;
    w->view(&view, w->context);
    pthread_mutex_lock(&w->lock);
    const double seconds = w->write_seconds;
    pthread_mutex_unlock(&w->lock);
    const double bytes = 3.0 * sizeof(float) * (double)view.layout.count;
    return seconds > 0 ? seconds : 0.1 + bytes / SLOW_DISK;
}

double dt_writer_wait_seconds(dt_writer *w) {
    pthread_mutex_lock(&w->lock);
    const double seconds = w->wait_seconds;
    pthread_mutex_unlock(&w->lock);
    return seconds;
}
