/* Ranks count their progress in a shared window of the node; a thread watches it. */
#include "dtrain/run/watchdog.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/run/startup.h"
#include "roll.h"
#include "stall.h"

/* After a host is lost the launcher finds that out within 12 s by itself, where it asks quiet
 * connections for a sign of life (oob_tcp_keepalive_*), and ends the job. Told to end the job
 * before, mpirun did not end in one of three runs of tests/hosts/cut.sh: it then sends orders to
 * the lost host, so that the connection is not quiet, and probably waits until TCP gives up. */
enum { LAUNCHER_SECONDS = 13 };

/* One rank's progress, on its own cache line. */
typedef struct {
    _Alignas(DT_ALIGNMENT) _Atomic int64_t count; /* beats */
    _Atomic int64_t looks; /* by its watchdog: they show that the process runs */
    _Atomic int64_t phase; /* phases entered */
    _Atomic int64_t step;
    _Atomic int kind; /* phase_kind */
    _Atomic int over; /* this rank has left the loop */
} beat;

struct dt_watchdog {
    dt_comm *comm;
    dt_window *window;
    beat *beats; /* (ranks of the node) */
    double timeout;
    dt_watchdog_last_words *save;
    void *context;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool quit, said;        /* said: save has been called */
    dt_stall_rank *seen;    /* (ranks of the node) */
    dt_roll *roll;          /* NULL: there is one node */
    dt_roll_answer *answer; /* (nodes) */
};

void dt_watchdog_beat(dt_watchdog *w) {
    if (!w) return;
    beat *mine = &w->beats[dt_comm_local_rank(w->comm)];
    atomic_fetch_add_explicit(&mine->count, 1, memory_order_release);
}

void dt_watchdog_enter(dt_watchdog *w, dt_phase_kind kind, int64_t step) {
    if (!w) return;
    beat *mine = &w->beats[dt_comm_local_rank(w->comm)];
    atomic_store_explicit(&mine->step, step, memory_order_relaxed);
    atomic_store_explicit(&mine->kind, (int)kind, memory_order_relaxed);
    atomic_fetch_add_explicit(&mine->phase, 1, memory_order_relaxed);
    dt_watchdog_beat(w);
}

/* Record what the ranks have done in the `passed` seconds since the last look. */
static void look(dt_watchdog *w, size_t ranks, double passed) {
    for (size_t r = 0; r < ranks; r++) {
        const beat *b = &w->beats[r];
        dt_stall_beat now = {.count = atomic_load_explicit(&b->count, memory_order_acquire)};
        now.looks = atomic_load_explicit(&b->looks, memory_order_relaxed);
        now.phase = atomic_load_explicit(&b->phase, memory_order_relaxed);
        now.kind = (dt_phase_kind)atomic_load_explicit(&b->kind, memory_order_relaxed);
        now.over = atomic_load_explicit(&b->over, memory_order_relaxed) != 0;
        dt_stall_look(&w->seen[r], &now, passed);
    }
}

/* "rank 3 on n02" or "ranks 2 to 3 on n02" */
static void name_node(char *text, size_t size, const dt_watchdog *w, size_t node) {
    size_t first, count;
    dt_roll_ranks(w->roll, node, &first, &count);
    if (count == 1) {
        snprintf(text, size, "rank %zu on %s", first, dt_comm_host(w->comm, first));
    } else {
        snprintf(text, size, "ranks %zu to %zu on %s", first, first + count - 1,
                 dt_comm_host(w->comm, first));
    }
}

static bool is_there(dt_roll_answer answer) {
    return answer == DT_ROLL_WAITS || answer == DT_ROLL_NAMED;
}

/* Of the nodes that answer each other the first one speaks. */
static bool another_speaks(dt_watchdog *w) {
    const size_t node = dt_comm_node(w->comm);
    const double patience = 3; /* seconds */
    /* First the one that usually does. */
    for (size_t begin = 0, end = 1; begin < node; begin = end, end = node) {
        dt_roll_ask(w->roll, w->answer, begin, end, patience);
        for (size_t other = begin; other < end; other++) {
            if (is_there(w->answer[other])) return true;
        }
    }
    return false;
}

/* Which nodes do not answer. Returns false if one has named the rank that is waited for. */
static bool find_silent(dt_watchdog *w, size_t *first, size_t *count) {
    const size_t nodes = dt_comm_nodes(w->comm);
    const double patience = 2; /* seconds */
    *count = 0;
    dt_roll_ask(w->roll, w->answer, 0, nodes, patience);
    for (size_t node = nodes; node-- > 0;) {
        if (w->answer[node] == DT_ROLL_NAMED) return false;
        if (w->answer[node] != DT_ROLL_SILENT) continue;
        *first = node;
        ++*count;
    }
    return true;
}

/* Whether a node is on another machine than this rank. */
static bool is_elsewhere(const dt_watchdog *w, size_t node) {
    size_t first, count;
    dt_roll_ranks(w->roll, node, &first, &count);
    return strcmp(dt_comm_host(w->comm, first), dt_comm_host(w->comm, dt_comm_rank(w->comm))) != 0;
}

/* The ranks of this node wait for others. One sentence for the whole job. Returns whether a host
 * may be lost. */
static bool name_others(dt_watchdog *w, double still) {
    char lost[256], more[64] = "";
    size_t first = 0, count = 0;
    if (another_speaks(w) || !find_silent(w, &first, &count)) return false;
    if (count == 0) {
        fprintf(stderr,
                "dtrain: error: the ranks on %s have waited %.0f s for those of other nodes, which "
                "wait as well: a message was lost, and the job is ended (--stall-timeout); start "
                "it again to go on from the last checkpoint\n",
                dt_comm_host(w->comm, dt_comm_rank(w->comm)), still);
        return false;
    }
    name_node(lost, sizeof lost, w, first);
    if (count > 1) {
        snprintf(more, sizeof more, " and %zu other node%s", count - 1, count > 2 ? "s" : "");
    }
    fprintf(stderr,
            "dtrain: error: no answer from %s%s, for which the others have waited %.0f s: the host "
            "or the network is lost, or it is stopped; the job is ended (--stall-timeout); start "
            "it again, without that host, to go on from the last checkpoint\n",
            lost, more, still);
    return is_elsewhere(w, first);
}

/* "at step 12" */
static void name_moment(char *text, size_t size, const beat *b) {
    const int kind = atomic_load(&b->kind);
    if (kind == DT_PHASE_START || kind == DT_PHASE_END) {
        snprintf(text, size, "while the job %s", kind == DT_PHASE_START ? "starts" : "ends");
    } else {
        snprintf(text, size, "at step %lld", (long long)atomic_load(&b->step));
    }
}

static void say_last_words(dt_watchdog *w) {
    pthread_mutex_lock(&w->lock);
    if (w->save) w->save(w->context);
    w->said = true;
    pthread_mutex_unlock(&w->lock);
}

static void end_job(dt_watchdog *w, double still, size_t ranks, double timeout) {
    const size_t rank = dt_comm_rank(w->comm), first = rank - dt_comm_local_rank(w->comm);
    const int who = dt_stall_culprit(w->seen, ranks, timeout);
    bool lost = false;
    if (who >= 0) {
        char moment[64];
        name_moment(moment, sizeof moment, &w->beats[who]);
        fprintf(stderr,
                "dtrain: error: rank %zu on %s has made no progress for %.0f s %s, and "
                "the others wait for it: the job is "
                "ended (--stall-timeout); start it again to go on from the last checkpoint\n",
                first + (size_t)who, dt_comm_host(w->comm, first + (size_t)who), still, moment);
        dt_roll_say(w->roll, DT_ROLL_NAMED);
    } else if (w->roll) {
        lost = name_others(w, still);
    } else {
        fprintf(stderr,
                "dtrain: error: all ranks have waited %.0f s for each other: the job is ended "
                "(--stall-timeout); start it again to go on from the last checkpoint\n",
                still);
    }
    if (rank == 0) say_last_words(w);
    if (lost) sleep(LAUNCHER_SECONDS);
    /* Only rank 0 can save, and it does not know of this; wait until it stops waiting for this
     * node. */
    if (dt_comm_node(w->comm) > 0) sleep(DT_PATIENCE_NODES + 5);
    /* MPI may hang as well: then SIGALRM ends this process, and the launcher ends the others. */
    dt_startup_end();
    alarm(5);
    dt_comm_abort(w->comm, dt_status_exit_code(DT_ERR_COMM));
}

/* Wait for some seconds, or until there is nothing more to watch; returns true in that case. */
static bool rest(dt_watchdog *w, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)((seconds - (double)(long)seconds) * 1e9);
    until.tv_sec += (time_t)seconds + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&w->lock);
    if (!w->quit) pthread_cond_timedwait(&w->stop, &w->lock, &until);
    const bool quit = w->quit;
    pthread_mutex_unlock(&w->lock);
    return quit;
}

/* What a phase may take now: as long as a rank is at the start or at the end, others wait for it.
 */
static double limit_now(const dt_watchdog *w, size_t ranks) {
    for (size_t r = 0; r < ranks; r++) {
        const dt_stall_beat *b = &w->seen[r].beat;
        const bool outside = b->kind == DT_PHASE_START || b->kind == DT_PHASE_END;
        if (outside && !b->over) return fmax(w->timeout, DT_STARTUP_SECONDS_MIN);
    }
    return w->timeout;
}

static void *watch(void *argument) {
    dt_watchdog *w = argument;
    const size_t ranks = dt_comm_local_size(w->comm);
    const double pause = w->timeout / 8 < 1 ? w->timeout / 8 : 1;
    double before = dt_seconds_now();
    while (!rest(w, pause)) {
        const double now = dt_seconds_now();
        /* A longer pause means that the job was suspended or the laptop slept. */
        const double passed = now - before < 2 * pause ? now - before : 2 * pause;
        before = now;
        atomic_fetch_add(&w->beats[dt_comm_local_rank(w->comm)].looks, 1);
        look(w, ranks, passed);
        const double timeout = limit_now(w, ranks);
        const double still = dt_stall_seconds(w->seen, ranks, timeout);
        const size_t number = dt_comm_local_rank(w->comm);
        if (still > dt_stall_patience(w->seen, ranks, number, timeout))
            end_job(w, still, ranks, timeout);
    }
    return NULL;
}

static void free_watchdog(dt_watchdog **w) {
    dt_roll_close(&(*w)->roll);
    dt_memory_free(&(*w)->answer);
    dt_window_destroy(&(*w)->window);
    dt_memory_free(&(*w)->seen);
    dt_memory_free(w);
}

static void start_thread(dt_watchdog *w) {
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->stop, &steady);
    pthread_condattr_destroy(&steady);
    const int error = pthread_create(&w->thread, NULL, watch, w);
    w->running = error == 0;
    /* The first look shows the other ranks that this watchdog runs. */
    if (w->running) atomic_fetch_add(&w->beats[dt_comm_local_rank(w->comm)].looks, 1);
    if (error) {
        dt_log_warn("no thread could be started for watching the other ranks: %s", strerror(error));
    }
}

dt_status dt_watchdog_open(dt_watchdog **out, dt_comm *comm, double timeout,
                           dt_watchdog_last_words *save, void *context) {
    *out = NULL;
    if (timeout <= 0) return DT_OK;
    const size_t ranks = dt_comm_local_size(comm);
    dt_watchdog *w;
    dt_status status = dt_memory_alloc(&w, 1, sizeof *w, "the watchdog");
    if (status == DT_OK) {
        *w = (dt_watchdog){.comm = comm, .timeout = timeout, .save = save, .context = context};
        status = dt_memory_alloc(&w->seen, ranks, sizeof *w->seen, "the watchdog");
    }
    if (status == DT_OK) {
        status =
            dt_memory_alloc(&w->answer, dt_comm_nodes(comm), sizeof *w->answer, "the watchdog");
    }
    DT_TRY_DONE(dt_comm_agree(comm, status));
    DT_TRY_DONE(dt_window_create(&w->window, comm, ranks * sizeof(beat), "beats"));
    w->beats = dt_window_memory(w->window);
    DT_TRY_DONE(dt_roll_open(&w->roll, comm));
    start_thread(w);
    *out = w;
    return DT_OK;
done:
    if (w) free_watchdog(&w);
    return status;
}

bool dt_watchdog_forget_last_words(dt_watchdog *w) {
    if (!w) return true;
    pthread_mutex_lock(&w->lock);
    const bool said = w->said;
    w->save = NULL;
    pthread_mutex_unlock(&w->lock);
    return !said;
}

void dt_watchdog_close(dt_watchdog **out) {
    dt_watchdog *w = *out;
    if (!w) return;
    atomic_store(&w->beats[dt_comm_local_rank(w->comm)].over, 1);
    if (w->running) {
        pthread_mutex_lock(&w->lock);
        w->quit = true;
        pthread_cond_signal(&w->stop);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->stop);
    pthread_mutex_destroy(&w->lock);
    free_watchdog(out);
}
