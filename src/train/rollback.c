/* Takes a diverging run back to a healthy state; checks that all nodes hold the same weights. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/digest.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/newest.h"
#include "dtrain/train/trainer.h"

/* A later start must not take the checkpoints of the diverged branch for the newest ones. */
static dt_status set_branch_aside(const char *folder, int64_t after) {
    int64_t *steps = NULL;
    size_t count = 0;
    dt_status status;
    DT_TRY_DONE(dt_run_checkpoints(&steps, &count, folder));
    for (size_t i = 0; i < count && steps[i] > after; i++) {
        char path[DT_PATH_MAX], aside[DT_PATH_MAX + 16];
        DT_TRY_DONE(dt_run_checkpoint_path(path, sizeof path, folder, steps[i]));
        snprintf(aside, sizeof aside, "%s.diverged", path);
        DT_REQUIRE_DONE(rename(path, aside) == 0, DT_ERR_IO, "%s cannot be renamed to %s: %s", path,
                        aside, strerror(errno));
    }
done:
    dt_memory_free(&steps);
    return status;
}

/* If the best model was on the diverged branch: use the best one of the state, if its file still
 * exists. */
static dt_status mend_best(const char *folder, dt_run_state *state) {
    char path[DT_PATH_MAX];
    struct stat info;
    if (!dt_run_dangles(folder, "best.h5")) return DT_OK;
    if (state->best_step >= 0) {
        DT_TRY(dt_run_checkpoint_path(path, sizeof path, folder, state->best_step));
        if (stat(path, &info) == 0) return dt_run_link(folder, "best.h5", state->best_step);
    }
    state->best_step = -1;
    state->best = -1;
    return dt_run_unlink(folder, "best.h5");
}

/* Rank 0 reads a checkpoint older than `before`. If there is none, it takes the newest one again:
 * with other data it may succeed, and no earlier work is lost. If there is no checkpoint at all,
 * *found is false without an error. */
static dt_status find_healthy(dt_trainer *t, dt_checkpoint *checkpoint, int64_t before,
                              bool *found) {
    char path[DT_PATH_MAX];
    const char *folder = t->config.out;
    *found = false;
    if (dt_writer_drain(t->writer) != DT_OK) dt_log_warn("%s", dt_error_text());
    dt_error_clear();
    DT_TRY(dt_newest_read(checkpoint, path, sizeof path, folder, before, DT_READ_ALL, found));
    if (!*found) {
        DT_TRY(
            dt_newest_read(checkpoint, path, sizeof path, folder, INT64_MAX, DT_READ_ALL, found));
    }
    DT_REQUIRE(
        *found || !t->given_weights, DT_ERR_UNAVAILABLE,
        "the run has diverged at step %lld, before its first checkpoint, and has no way back "
        "to the weights that it began with; start it again with a lower --lr, or a longer "
        "--warmup",
        (long long)t->state.step);
    DT_TRY(set_branch_aside(folder, *found ? checkpoint->state.step : 0));
    return *found ? mend_best(folder, &checkpoint->state) : DT_OK;
}

/* Keeps what belongs to the whole run, not only to the abandoned branch. */
static void keep_history(dt_trainer *t, dt_metrics *before, const dt_run_state *state) {
    dt_history_row *rows = t->metrics.history;
    const size_t count = t->metrics.history_count, capacity = t->metrics.history_capacity;
    t->metrics.history = before->history;
    t->metrics.history_count = before->history_count;
    t->metrics.history_capacity = before->history_capacity;
    before->history = rows;
    before->history_count = count;
    before->history_capacity = capacity;
    if (t->metrics.history_count) {
        dt_history_row *row = &t->metrics.history[t->metrics.history_count - 1];
        const size_t used = strlen(row->changed);
        snprintf(row->changed + used, sizeof row->changed - used, "%srolled back %lld -> %lld",
                 used ? ", " : "", (long long)state->step, (long long)t->state.step);
    }
    t->state.skipped = state->skipped;
    t->state.seconds = state->seconds;
    t->state.rollbacks = state->rollbacks + 1;
}

static dt_status restart_from(dt_trainer *t, dt_checkpoint *checkpoint, bool found, bool leads) {
    const dt_run_state before = t->state;
    dt_metrics metrics = t->metrics;
    t->metrics = (dt_metrics){0};
    dt_status status;
    if (found) {
        status = dt_trainer_load(t, leads ? checkpoint : NULL, false);
    } else {
        t->state = (dt_run_state){.best = -1, .best_step = -1};
        status = dt_trainer_initialise(t);
    }
    keep_history(t, &metrics, &before);
    dt_metrics_clear(&metrics);
    return status;
}

dt_status dt_trainer_roll_back(dt_trainer *t, int64_t before) {
    const bool leads = dt_comm_rank(t->s->comm) == 0;
    dt_checkpoint checkpoint = {0};
    bool found = false;
    const int64_t from = t->state.step;
    dt_status status = leads ? find_healthy(t, &checkpoint, before, &found) : DT_OK;
    DT_TRY_DONE(dt_comm_agree(t->s->comm, status));
    DT_TRY_DONE(dt_comm_broadcast(t->s->comm, &found, sizeof found));
    dt_writer_lock(t->writer);
    /* After an error the state may be half loaded: it stays locked, and the job ends. */
    status = dt_trainer_end_job(restart_from(t, &checkpoint, found, leads));
    if (status != DT_OK) goto done;
    dt_writer_unlock(t->writer);
    /* A signal may have had a checkpoint of the branch written meanwhile. */
    if (leads) {
        if (dt_writer_drain(t->writer) != DT_OK) dt_log_warn("%s", dt_error_text());
        dt_error_clear();
        status = set_branch_aside(t->config.out, t->state.step);
    }
    DT_TRY_DONE(dt_comm_agree(t->s->comm, status));
    dt_log_warn(
        "the run has diverged: it goes back from step %lld to %lld and continues with other texts",
        (long long)from, (long long)t->state.step);
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

static int rising(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* print (ranks) has a number for the first rank of each node, and NAN for other ranks; it is sorted
 * into `sorted`. Returns the rank whose number differs from the others, or -1 if all are equal;
 * *sure: most nodes have the same number. */
static ptrdiff_t odd_one(const double *print, double *sorted, size_t ranks, bool *sure) {
    size_t nodes = 0, most = 0;
    double common = print[0];
    for (size_t r = 0; r < ranks; r++) {
        if (print[r] == print[r]) sorted[nodes++] = print[r];
    }
    qsort(sorted, nodes, sizeof *sorted, rising);
    for (size_t i = 0, same = 0; i < nodes; i++) {
        same = i > 0 && sorted[i] == sorted[i - 1] ? same + 1 : 1;
        /* Of several the first node's, rank 0's. */
        if (same < most || (same == most && sorted[i] != print[0])) continue;
        most = same;
        common = sorted[i];
    }
    *sure = 2 * most > nodes;
    if (!*sure) common = print[0];
    for (size_t r = 0; r < ranks; r++) {
        if (print[r] == print[r] && print[r] != common) return (ptrdiff_t)r;
    }
    return -1;
}

/* The node whose first rank this is. */
static size_t node_of(const double *print, size_t rank) {
    size_t node = 0;
    for (size_t r = 0; r < rank; r++) node += print[r] == print[r];
    return node;
}

/* print: (2, ranks) those of the ranks, and room. */
static dt_status compare_prints(const dt_trainer *t, double *print) {
    const dt_comm *comm = t->s->comm;
    bool sure;
    const size_t ranks = dt_comm_size(comm);
    const ptrdiff_t odd = odd_one(print, print + ranks, ranks, &sure);
    const long long step = t->state.step;
    if (odd < 0) return DT_OK;
    const size_t rank = (size_t)odd;
    DT_REQUIRE(!sure, DT_ERR_UNAVAILABLE,
               "at step %lld the weights on %s (node %zu, from rank %zu on) differ from those of "
               "the other nodes: memory or a processor there has calculated wrongly; leave that "
               "node out, and start again to go on from the last checkpoint",
               step, dt_comm_host(comm, rank), node_of(print, rank), rank);
    DT_RAISE(DT_ERR_UNAVAILABLE,
             "at step %lld the weights on %s (node %zu, from rank %zu on) differ from those on %s: "
             "memory or a processor of one of them has calculated wrongly; leave it out, and "
             "start again to go on from the last checkpoint",
             step, dt_comm_host(comm, rank), node_of(print, rank), rank, dt_comm_host(comm, 0));
}

dt_status dt_trainer_compare_nodes(dt_trainer *t) {
    dt_comm *comm = t->s->comm;
    if (dt_comm_nodes(comm) == 1) return DT_OK;
    double *print = NULL;
    dt_status status;
    /* A double holds 52 bits of the fingerprint exactly; the first rank of each node sends it. */
    double mine = NAN;
    if (dt_comm_local_rank(comm) == 0) {
        const size_t bytes = t->layout.count * sizeof *t->weights_memory;
        mine = (double)(dt_fingerprint(t->weights_memory, bytes) >> 12);
    }
    DT_TRY_DONE(dt_comm_agree(
        comm, dt_memory_alloc(&print, 2 * dt_comm_size(comm), sizeof *print, "fingerprints")));
    DT_TRY_DONE(dt_comm_gather(comm, print, mine));
    DT_TRY_DONE(compare_prints(t, print));
done:
    dt_memory_free(&print);
    return status;
}
