/* The thread that writes checkpoints. */
#include "dtrain/run/writer.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/run/publish.h"
#include "dtrain/run/signals.h"
#include "snapshot.h"

/* Requests in addition to the loop's own checkpoints: the thread takes a snapshot for them itself.
 */
typedef struct {
    int stop;        /* the signal, or 0 */
    int checkpoints; /* number asked for by USR2 */
    int saves;       /* number asked for by dt_writer_save */
} demand;

struct dt_writer {
    dt_writer_view *view;
    void *context;
    pthread_t thread;
    pthread_mutex_t state_lock; /* of the state of the run */

    /* Used only by the loop's thread: */
    pid_t loop;                       /* its thread id; 0: unknown */
    double closed_at, closed_seconds; /* when the last update began, and how long it took */
    double between_updates;           /* seconds between the beginnings of the last two updates */
    char told[1600];                  /* the last failure reported to it */

    /* Used only by the writer's thread: */
    int continues;     /* dt_signals_continues() last seen */
    double hold_until; /* dt_seconds_now() until which a stop may be near: nothing that can wait is
                          begun */

    pthread_mutex_t lock; /* of all members below */
    pthread_cond_t changed;
    dt_snapshots snapshots;
    bool quit;
    bool draining; /* submitted checkpoints cannot wait */
    int saves;
    int64_t submitted;
    demand served;
    bool answers_stop; /* the checkpoint for a stop signal is being taken or written */
    bool takes_state;  /* the thread is about to copy the state, which must not change */
    int64_t written_step;
    double write_seconds, wait_seconds;
    dt_status last;     /* of the last write */
    bool failed;        /* and the loop has not been told yet */
    char failure[1600]; /* the message */
};

static bool stops(void) { return dt_signals_stop() != 0; }

/* Copy the state into a slot. The state lock is held, or this is the loop's thread. */
static dt_status take(dt_writer *w, dt_snapshot *s) {
    dt_checkpoint view;
    w->view(&view, w->context);
    return dt_snapshot_take(s, &w->snapshots, &view);
}

static dt_snapshot *find(dt_writer *w, dt_slot_state state) {
    return dt_snapshots_find(&w->snapshots, state);
}

static demand wanted_now(const dt_writer *w) {
    return (demand){dt_signals_stop(), dt_signals_checkpoints(), w->saves};
}

/* A second stop signal asks for nothing new. */
static bool is_served(const dt_writer *w, const demand *wanted) {
    return !wanted->stop == !w->served.stop && wanted->checkpoints == w->served.checkpoints &&
           wanted->saves == w->served.saves;
}

/* The longest write so far; before the first, an estimate for a slow disk. The lock is held. */
static double expected_seconds(const dt_writer *w) {
    static const double SLOW_DISK = 1e8; /* bytes per second */
    if (w->write_seconds > 0) return w->write_seconds;
    return 0.1 + (double)dt_snapshots_bytes(&w->snapshots) / SLOW_DISK;
}

/* Copies the last completed step; the loop may be anywhere in the next one. taken: the slot already
 * holds it. */
static dt_status take_answer(dt_writer *w, dt_snapshot *s, bool taken, const demand *wanted) {
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
    /* Unless it already says "finished". */
    if (dt_snapshot_says_running(s)) {
        snprintf(row->stopped, sizeof row->stopped, "%s", dt_signals_name(wanted->stop));
    }
    return status;
}

/* Records the result of a write and frees the slot. answered NULL: the loop had submitted it. */
static void note(dt_writer *w, dt_snapshot *s, dt_status status, double seconds,
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
    s->state = DT_SLOT_FREE;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* After a stop signal, a half-written file may be abandoned in favour of the signal's own
 * checkpoint, which has a later step. But only if that one is likely to be on disk before a
 * launcher kills the process, and if this start already has a checkpoint on disk: otherwise the
 * half-written file may be the only one. The lock is held. */
static bool may_be_given_up(const dt_writer *w, const dt_snapshot *s) {
    const double most = 2; /* seconds while training goes on */
    return !dt_snapshot_is_best(s) && w->written_step >= 0 && expected_seconds(w) <= most;
}

static void give_up(dt_writer *w, dt_snapshot *s) {
    dt_log_debug("the checkpoint of step %lld is given up for that of a later step",
                 (long long)s->copy.state.step);
    dt_error_clear();
    pthread_mutex_lock(&w->lock);
    s->state = DT_SLOT_FREE;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Time may be short after a stop signal: checkpoints that the signal's own one replaces are
 * dropped. Once that one is on disk, a checkpoint of the same step that the loop submitted
 * meanwhile, without knowing of the signal, is dropped too. The lock is held. */
static void drop_needless(dt_writer *w) {
    for (size_t i = 0; i < DT_SNAPSHOTS; i++) {
        dt_snapshot *s = &w->snapshots.slot[i];
        if (s->state != DT_SLOT_FILLED) continue;
        const bool needless =
            w->served.stop ? dt_snapshot_says_running(s) && s->copy.state.step <= w->written_step
                           : !dt_snapshot_is_best(s);
        if (needless) s->state = DT_SLOT_FREE;
    }
    pthread_cond_broadcast(&w->changed);
}

/* TERM may follow after a second, and KILL one second later: the thread must be free by then. The
 * lock is held. */
static bool holds_back(dt_writer *w, const demand *wanted) {
    static const double HOLD = 1.5; /* seconds */
    const int continues = dt_signals_continues();
    if (continues != w->continues) w->hold_until = dt_seconds_now() + HOLD;
    w->continues = continues;
    return is_served(w, wanted) && !w->draining && !w->quit && dt_seconds_now() < w->hold_until;
}

/* The loop may still compute for seconds on the same processor, and nothing depends on the result
 * any more. So its priority is lowered, but not so far that it gets no time beside ranks that wait
 * for it. */
static void let_writer_pass(const dt_writer *w) {
    enum { NICER = 5 };
    if (w->loop > 0) setpriority(PRIO_PROCESS, (id_t)w->loop, NICER);
}

/* A free slot for the loop; NULL: there is none, or its memory is lent at the moment. The page
 * cache needs as much memory as the file has bytes. A virtual machine whose host reclaims free
 * memory must request every page, which takes several times as long as the rest of a write. The
 * lock is held. */
static dt_snapshot *find_room(dt_writer *w) {
    return w->answers_stop ? NULL : find(w, DT_SLOT_FREE);
}

/* Stores a copy that the loop has made. A copy that was begun before a stop signal and completed
 * after it is not needed: the loop will submit its last step. The lock is held. */
static void put(dt_writer *w, dt_snapshot *s, dt_slot_state state) {
    const bool needless = w->answers_stop && dt_snapshot_says_running(s) && !dt_snapshot_is_best(s);
    s->state = needless ? DT_SLOT_FREE : state;
    if (needless) dt_snapshots_lend(&w->snapshots);
}

/* What the thread does next. */
typedef struct {
    dt_snapshot *slot; /* NULL: nothing */
    bool answer;       /* it answers a request; otherwise the loop submitted it */
    bool taken;        /* the slot already holds the answer */
    demand wanted;
    dt_checkpoint_needless *needless; /* for the write */
} task;

/* Submitted checkpoints come first, since they are older; so the best checkpoint is on disk before
 * any file that names it. The lock is held. */
static task choose(dt_writer *w) {
    task next = {.wanted = wanted_now(w)};
    if (next.wanted.stop) drop_needless(w);
    if (!holds_back(w, &next.wanted)) next.slot = dt_snapshots_oldest(&w->snapshots);
    next.answer = !next.slot && !is_served(w, &next.wanted);
    if (next.answer) next.slot = find(w, DT_SLOT_SHADOW);
    next.taken = next.slot && next.answer;
    /* There is a free slot, or will be soon: the loop fills one at a time, and none is waiting. */
    if (next.answer && !next.taken) next.slot = find(w, DT_SLOT_FREE);
    if (!next.slot) return next;
    if (!next.answer && !next.wanted.stop && may_be_given_up(w, next.slot)) next.needless = stops;
    next.slot->state = DT_SLOT_BUSY;
    w->answers_stop = next.answer && next.wanted.stop;
    w->takes_state = next.answer && !next.taken;
    if (w->answers_stop) {
        let_writer_pass(w);
        dt_snapshots_lend(&w->snapshots);
    }
    return next;
}

/* Does one task; returns false if there is none. */
static bool work(dt_writer *w) {
    pthread_mutex_lock(&w->lock);
    const task next = choose(w);
    pthread_mutex_unlock(&w->lock);
    dt_snapshot *s = next.slot;
    if (!s) return false;
    dt_status status = next.answer ? take_answer(w, s, next.taken, &next.wanted) : DT_OK;
    const double start = dt_seconds_now();
    if (status == DT_OK) status = dt_publish_checkpoint(&s->copy, next.needless);
    if (next.needless && status == DT_ERR_STOPPED) {
        give_up(w, s);
        return true;
    }
    const double seconds = dt_seconds_now() - start;
    if (status == DT_OK) {
        dt_log_debug("checkpoint of step %lld: %.3f s", (long long)s->copy.state.step, seconds);
    }
    if (status == DT_OK && next.answer && next.wanted.stop) {
        dt_log_debug("%s: answered after %.3f s", dt_signals_name(next.wanted.stop),
                     dt_signals_stop_age());
    }
    note(w, s, status, seconds, next.answer ? &next.wanted : NULL);
    return true;
}

static void *run(void *argument) {
    static const double LOOK = 0.1, SLEEP = 3600; /* seconds; every wait needs an end */
    dt_writer *w = argument;
    for (;;) {
        dt_signals_wait(dt_seconds_now() < w->hold_until ? LOOK : SLEEP);
        while (work(w)) {
        }
        pthread_mutex_lock(&w->lock);
        const bool quit = w->quit;
        pthread_mutex_unlock(&w->lock);
        if (quit) return NULL;
    }
}

static void free_writer(dt_writer **w) {
    dt_snapshots_close(&(*w)->snapshots);
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
#ifdef __linux__ /* where each thread has its own priority */
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
    dt_checkpoint state;
    w->view(&state, w->context);
    DT_TRY_DONE(dt_snapshots_open(&w->snapshots, &state));
    const int error = pthread_create(&w->thread, NULL, run, w);
    DT_REQUIRE_DONE(error == 0, DT_ERR_MEMORY,
                    "no thread could be started for writing checkpoints: %s", strerror(error));
    dt_signals_wake(); /* a signal may have come before the thread existed */
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

/* If a rank dies in an update, the update never ends, and the step before it can only be saved from
 * a copy. A cheap copy is always made; an expensive one only if signals would otherwise wait long.
 * Called in the loop's thread. */
static bool is_worth_a_copy(dt_writer *w) {
    static const double LONG_UPDATE = 0.03; /* seconds */
    static const double SMALL_PART = 0.03;  /* of a step's time */
    static const double COPY_RATE = 4e9;    /* bytes per second; most machines reach twice that */
    dt_checkpoint view;
    w->view(&view, w->context);
    const double rows = (double)sizeof *view.metrics->train * (double)view.metrics->train_count;
    const double bytes = (double)dt_snapshots_bytes(&w->snapshots) + rows;
    return w->closed_seconds >= LONG_UPDATE || bytes / COPY_RATE <= SMALL_PART * w->between_updates;
}

static void keep_shadow(dt_writer *w) {
    if (!is_worth_a_copy(w)) return;
    const double start = dt_seconds_now();
    pthread_mutex_lock(&w->lock);
    dt_snapshot *s = find_room(w);
    if (s) s->state = DT_SLOT_BUSY;
    pthread_mutex_unlock(&w->lock);
    if (!s) return;
    const dt_status status = take(w, s);
    pthread_mutex_lock(&w->lock);
    put(w, s, status == DT_OK ? DT_SLOT_SHADOW : DT_SLOT_FREE);
    w->wait_seconds += dt_seconds_now() - start;
    pthread_mutex_unlock(&w->lock);
    dt_signals_wake(); /* a signal may have come and found no slot */
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
    dt_snapshot *s = find(w, DT_SLOT_SHADOW);
    if (s) s->state = DT_SLOT_FREE;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

dt_status dt_writer_submit(dt_writer *w, bool must, bool *accepted) {
    const double start = dt_seconds_now();
    pthread_mutex_lock(&w->lock);
    *accepted = must || find_room(w);
    dt_snapshot *s = NULL;
    while (*accepted && !(s = find_room(w))) pthread_cond_wait(&w->changed, &w->lock);
    if (s) s->state = DT_SLOT_BUSY;
    pthread_mutex_unlock(&w->lock);
    if (!s) return DT_OK;
    const dt_status status = take(w, s);
    pthread_mutex_lock(&w->lock);
    put(w, s, status == DT_OK ? DT_SLOT_FILLED : DT_SLOT_FREE);
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
        if (!find(w, DT_SLOT_FILLED) && !find(w, DT_SLOT_BUSY) && is_served(w, &wanted)) break;
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
    pthread_mutex_lock(&w->lock);
    const double seconds = expected_seconds(w);
    pthread_mutex_unlock(&w->lock);
    return seconds;
}

double dt_writer_wait_seconds(dt_writer *w) {
    pthread_mutex_lock(&w->lock);
    const double seconds = w->wait_seconds;
    pthread_mutex_unlock(&w->lock);
    return seconds;
}
