/* Beats in a window of the node, and a thread that looks at them. */
#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One rank's, on a cache line of its own. */
typedef struct {
    _Alignas(DT_ALIGNMENT) _Atomic int64_t count;
    _Atomic int64_t step;
    _Atomic int kind;
    _Atomic int over; /* this rank has left the loop */
} beat;

struct watchdog {
    dt_comm *comm;
    dt_window *window;
    beat *beats; /* (ranks of the node) */
    double timeout;
    watchdog_last_words *save;
    void *context;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool quit;
    int64_t *seen; /* (ranks of the node) the count last seen */
    double *since; /* and since when */
};

void watchdog_beat(watchdog *w, beat_kind next, int64_t step) {
    if (!w) return;
    beat *mine = &w->beats[dt_comm_local_rank(w->comm)];
    atomic_store_explicit(&mine->step, step, memory_order_relaxed);
    atomic_store_explicit(&mine->kind, (int)next, memory_order_relaxed);
    atomic_fetch_add_explicit(&mine->count, 1, memory_order_release);
}

/* The rank of this node that the others wait for, or -1: the furthest behind, and of those one that
 * is not itself waiting. */
static int culprit(const watchdog *w, size_t ranks) {
    int found = -1;
    int64_t found_step = 0;
    int found_kind = BEAT_WAIT;
    for (size_t r = 0; r < ranks; r++) {
        if (atomic_load(&w->beats[r].over)) continue;
        const int64_t step = atomic_load(&w->beats[r].step);
        const int kind = atomic_load(&w->beats[r].kind);
        if (found < 0 || step < found_step || (step == found_step && kind < found_kind)) {
            found = (int)r;
            found_step = step;
            found_kind = kind;
        }
    }
    return found >= 0 && found_kind == BEAT_COMPUTE ? found : -1;
}

/* Seconds for which nobody on this node has come further, or for which one computing rank has not.
 */
static double standstill(watchdog *w, size_t ranks) {
    const double now = seconds_now();
    double still = 1e300;
    for (size_t r = 0; r < ranks; r++) {
        const int64_t count = atomic_load_explicit(&w->beats[r].count, memory_order_acquire);
        if (count != w->seen[r]) {
            w->seen[r] = count;
            w->since[r] = now;
        }
        if (!atomic_load(&w->beats[r].over) && now - w->since[r] < still) still = now - w->since[r];
    }
    return still > 1e299 ? 0 : still;
}

static void end_job(watchdog *w, double still, size_t ranks) {
    const size_t rank = dt_comm_rank(w->comm), first = rank - dt_comm_local_rank(w->comm);
    const int who = culprit(w, ranks);
    if (who >= 0) {
        fprintf(stderr,
                "dtrain: error: rank %zu on %s has made no progress for %.0f s in step %lld, and "
                "the others wait for it: the job is "
                "ended (--stall-timeout); start it again to go on from the last checkpoint\n",
                first + (size_t)who, dt_comm_host(w->comm, first), still,
                (long long)atomic_load(&w->beats[who].step));
    } else {
        fprintf(stderr,
                "dtrain: error: the ranks on %s have waited %.0f s for those of other nodes: the "
                "job is ended (--stall-timeout); "
                "start it again to go on from the last checkpoint\n",
                dt_comm_host(w->comm, rank), still);
    }
    if (rank == 0 && w->save) w->save(w->context);
    dt_comm_abort(w->comm, dt_status_exit_code(DT_ERR_COMM));
}

static void *watch(void *argument) {
    watchdog *w = argument;
    const size_t ranks = dt_comm_local_size(w->comm), mine = dt_comm_local_rank(w->comm);
    const double pause = w->timeout / 8 < 1 ? w->timeout / 8 : 1;
    /* One reports; the next does so only if that one has been stopped as well. */
    const double patience = w->timeout + 5.0 * (double)mine;
    bool quit = false;
    while (!quit) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)((pause - (double)(long)pause) * 1e9);
        until.tv_sec += (time_t)pause + until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_mutex_lock(&w->lock);
        if (!w->quit) pthread_cond_timedwait(&w->stop, &w->lock, &until);
        quit = w->quit;
        pthread_mutex_unlock(&w->lock);
        const double still = standstill(w, ranks);
        if (!quit && still > patience) end_job(w, still, ranks);
    }
    return NULL;
}

dt_status watchdog_open(watchdog **out, dt_comm *comm, double timeout, watchdog_last_words *save,
                        void *context) {
    *out = NULL;
    const size_t ranks = dt_comm_local_size(comm);
    watchdog *w = NULL;
    dt_status status = dt_memory_alloc(&w, 1, sizeof *w, "the watchdog");
    if (status == DT_OK) {
        *w = (watchdog){.comm = comm, .timeout = timeout, .save = save, .context = context};
        status = dt_memory_alloc(&w->seen, ranks, sizeof *w->seen, "the watchdog");
    }
    if (status == DT_OK)
        status = dt_memory_alloc(&w->since, ranks, sizeof *w->since, "the watchdog");
    DT_TRY(dt_comm_agree(comm, status));
    DT_TRY(dt_window_create(&w->window, comm, ranks * sizeof(beat), "beats"));
    w->beats = dt_window_memory(w->window);
    for (size_t r = 0; r < ranks; r++) w->since[r] = seconds_now();
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->stop, NULL);
    *out = w;
    if (timeout <= 0) return DT_OK;
    w->running = pthread_create(&w->thread, NULL, watch, w) == 0;
    if (!w->running)
        dt_log_warn("no thread could be started for watching the other ranks: %s", strerror(errno));
    return DT_OK;
}

void watchdog_close(watchdog **out) {
    watchdog *w = *out;
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
    dt_window_destroy(&w->window);
    dt_memory_free(&w->seen);
    dt_memory_free(&w->since);
    dt_memory_free(out);
}
