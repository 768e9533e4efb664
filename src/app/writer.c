/* The background writer of checkpoints. */
#include "writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "signals.h"

/* A copy of everything a checkpoint needs. */
typedef struct {
    enum { FREE, FILLED, WRITING } state;
    dt_checkpoint copy; /* its arrays are the slot's own, its layout and tokenizer the trainer's */
    dt_metrics metrics;
    float *floats; /* (3, layout.count) */
    int flags;
} snapshot;

enum { SNAPSHOTS = 2 };

struct writer {
    writer_view *view;
    void *context;
    pthread_t thread;
    pthread_mutex_t state_lock; /* the state of the run */
    pthread_mutex_t lock;       /* everything below */
    pthread_cond_t changed;
    sem_t wake;
    snapshot slot[SNAPSHOTS];
    bool quit;
    int served_checkpoints; /* of USR2 */
    bool served_stop;
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
static dt_status take(writer *w, snapshot *s, int flags) {
    dt_checkpoint view;
    w->view(&view, w->context);
    const size_t count = view.layout.count, bytes = count * sizeof(float);
    if (!s->floats)
        DT_TRY(dt_memory_alloc(&s->floats, 3 * count, sizeof(float), "a snapshot of the weights"));
    DT_TRY(copy_metrics(&s->metrics, view.metrics));
    const float *from[] = {view.weights, view.m, view.v};
    for (size_t i = 0; i < 3; i++) memcpy(s->floats + i * count, from[i], bytes);
    s->copy = view;
    s->copy.weights = s->floats;
    s->copy.m = s->floats + count;
    s->copy.v = s->floats + 2 * count;
    s->copy.metrics = &s->metrics;
    s->flags = flags;
    return DT_OK;
}

static dt_status write_slot(const snapshot *s) {
    const char *folder = s->copy.config.out;
    char path[DT_PATH_MAX];
    DT_TRY(dt_run_checkpoint_path(path, sizeof path, folder, s->copy.state.step));
    DT_TRY(dt_checkpoint_write(path, &s->copy));
    DT_TRY(dt_run_link(folder, "latest.h5", s->copy.state.step));
    if (s->flags & WRITE_BEST) DT_TRY(dt_run_link(folder, "best.h5", s->copy.state.step));
    return dt_run_rotate(folder, s->copy.config.keep);
}

/* Write a slot that is WRITING, and note how it went. */
static void write_and_note(writer *w, snapshot *s) {
    const double start = seconds_now();
    const dt_status status = write_slot(s);
    const double seconds = seconds_now() - start;
    pthread_mutex_lock(&w->lock);
    w->last = status;
    if (status == DT_OK) {
        w->written_step = s->copy.state.step;
        w->write_seconds = seconds > w->write_seconds ? seconds : w->write_seconds;
    } else {
        w->failed = true;
        snprintf(w->failure, sizeof w->failure, "%s", dt_error_text());
    }
    s->state = FREE;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    dt_log_debug("checkpoint of step %lld: %.3f s", (long long)s->copy.state.step, seconds);
}

static snapshot *find(writer *w, int state) {
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        if ((int)w->slot[i].state == state) return &w->slot[i];
    }
    return NULL;
}

/* The oldest filled slot. */
static snapshot *next_filled(writer *w) {
    snapshot *oldest = NULL;
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot *s = &w->slot[i];
        if (s->state == FILLED && (!oldest || s->copy.state.step < oldest->copy.state.step))
            oldest = s;
    }
    return oldest;
}

/* A signal has come: the last completed step goes to disk now, unless it is there. */
static void answer_signal(writer *w, int stop) {
    pthread_mutex_lock(&w->lock);
    snapshot *s = find(w, FREE);
    if (s) s->state = WRITING;
    pthread_mutex_unlock(&w->lock);
    if (!s) return; /* cannot be: this thread writes all others first */
    pthread_mutex_lock(&w->state_lock);
    const dt_status status = take(w, s, WRITE_LATEST);
    pthread_mutex_unlock(&w->state_lock);
    if (status != DT_OK) {
        dt_log_error("%s", dt_error_text());
        pthread_mutex_lock(&w->lock);
        s->state = FREE;
        pthread_mutex_unlock(&w->lock);
        return;
    }
    if (stop && s->metrics.history_count) {
        dt_history_row *row = &s->metrics.history[s->metrics.history_count - 1];
        snprintf(row->stopped, sizeof row->stopped, "%s", signals_name(stop));
    }
    write_and_note(w, s);
}

/* One thing to do, if there is any. */
static bool work(writer *w) {
    pthread_mutex_lock(&w->lock);
    snapshot *s = next_filled(w);
    if (s) s->state = WRITING;
    const int stop = signals_stop(), checkpoints = signals_checkpoints();
    const bool signalled = (stop && !w->served_stop) || checkpoints != w->served_checkpoints;
    pthread_mutex_unlock(&w->lock);
    if (s) {
        write_and_note(w, s);
        return true;
    }
    if (!signalled) return false;
    answer_signal(w, stop);
    pthread_mutex_lock(&w->lock);
    w->served_stop = stop != 0;
    w->served_checkpoints = checkpoints;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return true;
}

static void *run(void *argument) {
    writer *w = argument;
    for (;;) {
        while (sem_wait(&w->wake) != 0 && errno == EINTR) {
        }
        while (work(w)) {
        }
        pthread_mutex_lock(&w->lock);
        const bool quit = w->quit;
        pthread_mutex_unlock(&w->lock);
        if (quit) return NULL;
    }
}

dt_status writer_open(writer **out, writer_view *view, void *context) {
    *out = NULL;
    writer *w;
    DT_TRY(dt_memory_alloc(&w, 1, sizeof *w, "the checkpoint writer"));
    w->view = view;
    w->context = context;
    w->written_step = -1;
    pthread_mutex_init(&w->state_lock, NULL);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    sem_init(&w->wake, 0, 0);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        dt_memory_free(&w);
        DT_RAISE(DT_ERR_MEMORY, "no thread could be started for writing checkpoints: %s",
                 strerror(errno));
    }
    signals_catch(&w->wake);
    *out = w;
    return DT_OK;
}

void writer_close(writer **out) {
    writer *w = *out;
    if (!w) return;
    signals_catch(NULL);
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_mutex_unlock(&w->lock);
    sem_post(&w->wake);
    pthread_join(w->thread, NULL);
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        dt_memory_free(&w->slot[i].floats);
        dt_metrics_clear(&w->slot[i].metrics);
    }
    sem_destroy(&w->wake);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->state_lock);
    dt_memory_free(out);
}

void writer_lock(writer *w) {
    if (w) pthread_mutex_lock(&w->state_lock);
}

void writer_unlock(writer *w) {
    if (w) pthread_mutex_unlock(&w->state_lock);
}

dt_status writer_submit(writer *w, int flags, bool *accepted) {
    const double start = seconds_now();
    pthread_mutex_lock(&w->lock);
    const bool idle = !find(w, FILLED) && !find(w, WRITING);
    *accepted = idle || (flags & WRITE_MUST);
    snapshot *s = NULL;
    while (*accepted && !(s = find(w, FREE))) pthread_cond_wait(&w->changed, &w->lock);
    if (s) s->state = WRITING; /* reserved: nobody else takes it */
    pthread_mutex_unlock(&w->lock);
    if (!s) return DT_OK;
    const dt_status status = take(w, s, flags);
    pthread_mutex_lock(&w->lock);
    s->state = status == DT_OK ? FILLED : FREE;
    w->wait_seconds += seconds_now() - start;
    pthread_mutex_unlock(&w->lock);
    sem_post(&w->wake);
    return status;
}

static bool all_served(const writer *w) {
    return (!signals_stop() || w->served_stop) && signals_checkpoints() == w->served_checkpoints;
}

dt_status writer_drain(writer *w) {
    pthread_mutex_lock(&w->lock);
    sem_post(&w->wake);
    while (find(w, FILLED) || find(w, WRITING) || !all_served(w))
        pthread_cond_wait(&w->changed, &w->lock);
    const dt_status status = w->last;
    if (status != DT_OK) dt_error_adopt(status, "writer.c", w->failure);
    pthread_mutex_unlock(&w->lock);
    return status;
}

const char *writer_failure(writer *w) {
    pthread_mutex_lock(&w->lock);
    const bool failed = w->failed;
    w->failed = false;
    memcpy(w->told, w->failure, sizeof w->told);
    pthread_mutex_unlock(&w->lock);
    return failed ? w->told : NULL;
}

int64_t writer_written_step(writer *w) {
    pthread_mutex_lock(&w->lock);
    const int64_t step = w->written_step;
    pthread_mutex_unlock(&w->lock);
    return step;
}

double writer_write_seconds(writer *w) {
    pthread_mutex_lock(&w->lock);
    const double seconds = w->write_seconds;
    pthread_mutex_unlock(&w->lock);
    return seconds;
}

double writer_wait_seconds(writer *w) {
    pthread_mutex_lock(&w->lock);
    const double seconds = w->wait_seconds;
    pthread_mutex_unlock(&w->lock);
    return seconds;
}
