/* When a run diverges: back to a healthy state. And whether all nodes still hold the same weights.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trainer.h"

/* The checkpoints of the branch that diverged must not be taken for the newest by a later start. */
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

/* Rank 0 reads; *found also without an error when there is nothing to go back to but the beginning.
 */
static dt_status find_healthy(trainer *t, dt_checkpoint *checkpoint, int64_t before, bool *found) {
    char path[DT_PATH_MAX];
    *found = false;
    if (writer_drain(t->writer) != DT_OK) dt_log_warn("%s", dt_error_text());
    dt_error_clear();
    DT_TRY(start_read_newest(checkpoint, path, sizeof path, t->config.out, before, found));
    return set_branch_aside(t->config.out, *found ? checkpoint->state.step : 0);
}

/* What belongs to the whole run rather than to the branch that is given up. */
static void keep_history(trainer *t, dt_metrics *before, const dt_run_state *state) {
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

static dt_status restart_from(trainer *t, dt_checkpoint *checkpoint, bool found, bool leads) {
    const dt_run_state before = t->state;
    dt_metrics metrics = t->metrics;
    t->metrics = (dt_metrics){0};
    dt_status status;
    if (found) {
        status = trainer_load(t, leads ? checkpoint : NULL, false);
    } else {
        t->state = (dt_run_state){.best = -1, .best_step = -1};
        status = trainer_initialise(t);
    }
    keep_history(t, &metrics, &before);
    dt_metrics_clear(&metrics);
    return status;
}

dt_status trainer_roll_back(trainer *t, int64_t before) {
    const bool leads = dt_comm_rank(t->s->comm) == 0;
    dt_checkpoint checkpoint = {0};
    bool found = false;
    const int64_t from = t->state.step;
    dt_status status = leads ? find_healthy(t, &checkpoint, before, &found) : DT_OK;
    DT_TRY_DONE(dt_comm_agree(t->s->comm, status));
    DT_TRY_DONE(dt_comm_broadcast(t->s->comm, &found, sizeof found));
    writer_lock(t->writer);
    status = restart_from(t, &checkpoint, found, leads);
    writer_unlock(t->writer);
    if (status == DT_OK) {
        dt_log_warn("the run has diverged: back from step %lld to %lld, and on over other problems",
                    (long long)from, (long long)t->state.step);
    }
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

dt_status trainer_compare_nodes(trainer *t) {
    dt_comm *comm = t->s->comm;
    const size_t size = dt_comm_size(comm);
    if (dt_comm_nodes(comm) == 1) return DT_OK;
    double *print = NULL;
    dt_status status;
    /* 52 bits of it travel exactly in a double; the first rank of each node speaks for it. */
    const double none = -1;
    double mine = none;
    if (dt_comm_local_rank(comm) == 0) {
        mine = (double)(dt_fingerprint(t->weights_memory,
                                       t->layout.count * sizeof *t->weights_memory) >>
                        12);
    }
    DT_TRY_DONE(dt_comm_agree(comm, dt_memory_alloc(&print, size, sizeof *print, "fingerprints")));
    DT_TRY_DONE(dt_comm_gather(comm, print, mine));
    for (size_t r = 1; r < size; r++) {
        DT_REQUIRE_DONE(print[r] == none || print[r] == print[0], DT_ERR_UNAVAILABLE,
                        "at step %lld the weights on %s (from rank %zu on) differ from those on "
                        "%s: memory or a processor there has "
                        "calculated wrongly; leave that node out, and start again to go on from "
                        "the last checkpoint",
                        (long long)t->state.step, dt_comm_host(comm, r), r, dt_comm_host(comm, 0));
    }
done:
    dt_memory_free(&print);
    return status;
}
