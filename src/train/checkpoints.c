/* When training's checkpoints are written; a write that fails is repeated, and said once. */
#include "checkpoints.h"

#include <stdio.h>
#include <time.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/run/signals.h"

enum { RETRY_SECONDS = 30 };

bool dt_checkpoints_due(const dt_trainer *t) {
    const dt_cadence *every = &t->config.checkpoint_every;
    if (every->steps > 0) return t->state.step % every->steps == 0;
    if (every->epochs > 0 && t->config.train_examples > 0) {
        const int64_t length = every->epochs * t->config.train_examples;
        return t->state.problems / length != (t->state.problems - t->config.batch) / length;
    }
    return false;
}

bool dt_checkpoints_asked(dt_checkpoints *c) {
    c->asked[0] = c->asked[1];
    c->asked[1] = c->asked[2];
    c->asked[2] = dt_signals_checkpoints();
    return c->asked[2] > c->asked[1];
}

/* What came to rank 0, in this step or the two before, the writer has answered. If USR2 came to all
 * ranks, that is the same one. */
bool dt_checkpoints_unanswered(const dt_checkpoints *c, const dt_step_request *request) {
    return request->asked && dt_signals_checkpoints() == c->asked[0];
}

bool dt_checkpoints_overdue(const dt_checkpoints *c, const dt_config *config) {
    return dt_seconds_now() - c->last >= dt_cadence_most_seconds(&config->checkpoint_every);
}

/* A disk that fails, and one that works again, is said once. */
static void notice_failure(dt_checkpoints *c, dt_trainer *t) {
    const char *failure = dt_writer_failure(t->writer);
    const int64_t written = dt_writer_written_step(t->writer);
    if (failure) {
        c->retry_at = dt_seconds_now() + RETRY_SECONDS;
        if (c->failing) {
            dt_log_debug("%s", failure);
        } else {
            dt_log_warn("%s; the run goes on and tries again every %d s", failure, RETRY_SECONDS);
        }
        c->failing = true;
        c->written = written;
    } else if (c->failing && written != c->written) {
        dt_log_info("checkpoints can be written again: that of step %lld is", (long long)written);
        c->failing = false;
        c->retry_at = 0;
    }
}

void dt_checkpoints_request(dt_checkpoints *c, dt_trainer *t, dt_checkpoint_wish wish) {
    /* No further step will be made: this state is written later, with the reason for the end. */
    if (dt_signals_stop()) return;
    bool accepted = false;
    notice_failure(c, t);
    c->pending = c->pending || wish == DT_CHECKPOINT_DUE || c->retry_at > 0;
    if (wish == DT_CHECKPOINT_OWED && !c->pending) return;
    if (wish != DT_CHECKPOINT_MUST && dt_seconds_now() < c->retry_at) {
        c->last = dt_seconds_now(); /* it is not due again until then */
        return;
    }
    c->retry_at = 0;
    if (dt_writer_submit(t->writer, wish == DT_CHECKPOINT_MUST, &accepted) != DT_OK) {
        dt_log_warn("%s; the run goes on without this checkpoint", dt_error_text());
        dt_error_clear();
    } else if (!accepted && wish != DT_CHECKPOINT_OWED) {
        dt_log_debug("the checkpoint of step %lld has to wait: two before it are not written yet",
                     (long long)t->state.step);
    }
    c->pending = !accepted;
    if (accepted) c->last = dt_seconds_now();
}

void dt_checkpoints_postpone(dt_checkpoints *c) { c->pending = true; }

dt_status dt_checkpoints_write_last(dt_trainer *t) {
    static const time_t PAUSE[] = {1, 3};
    enum { TRIES = 1 + sizeof PAUSE / sizeof *PAUSE };
    dt_status status = DT_OK;
    for (size_t i = 0; i < TRIES; i++) {
        bool accepted;
        status = dt_writer_submit(t->writer, true, &accepted);
        if (status == DT_OK) status = dt_writer_drain(t->writer);
        if (status == DT_OK || i == TRIES - 1) break;
        dt_log_warn("%s; trying again in %lld s", dt_error_text(), (long long)PAUSE[i]);
        nanosleep(&(struct timespec){.tv_sec = PAUSE[i]}, NULL);
    }
    return status;
}

/* It may be on disk already, whether or not it can be written once more. */
void dt_checkpoints_save_at_end(void *trainer) {
    dt_trainer *t = trainer;
    if (!t->writer) return; /* no step has been made */
    const double patience = 2 + 2 * dt_writer_write_seconds(t->writer);
    const bool saved = dt_writer_save(t->writer, patience);
    const int64_t written = dt_writer_written_step(t->writer);
    if (saved || written >= t->state.step) {
        fprintf(stderr, "dtrain: the last completed step, %lld, has been saved\n",
                (long long)written);
    } else {
        fprintf(stderr, "dtrain: the last completed step, %lld, could not be saved\n",
                (long long)t->state.step);
    }
}
