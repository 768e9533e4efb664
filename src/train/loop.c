/* Training: the loop over steps, with validations, checkpoints and a stop in time. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "begin.h"
#include "checkpoints.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/cost.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/work.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/deadline.h"
#include "dtrain/run/publish.h"
#include "dtrain/run/signals.h"
#include "dtrain/run/startup.h"
#include "dtrain/run/topology.h"
#include "dtrain/train/gradcheck.h"
#include "dtrain/train/loop.h"
#include "dtrain/train/start.h"
#include "dtrain/train/trainer.h"

/* What the loop remembers between steps. */
typedef struct {
    bool leads; /* rank 0: it writes files and messages */
    dt_deadline until;
    double step_seconds;       /* the longest recent step */
    double validation_seconds; /* the last one */
    dt_checkpoints checkpoints;
    int skipped_in_a_row;
    bool nodes_differ;  /* nodes hold different weights */
    int rollbacks_here; /* to about the same step */
    int64_t rollback_step,
        rollback_target; /* where the last rollback was needed, and the step it went back to */
    const dt_observer *observer; /* on rank 0 */
    dt_status error;             /* for END_ERROR; the same on all ranks */
    char error_location[96], error_text[1600];
} loop_state;

/* Why the loop ended. */
#define DEVICE_FAILED "device failed"
typedef enum { END_STEPS, END_PATIENCE, END_SIGNAL, END_TIME, END_DEVICE, END_ERROR } end_kind;

static bool validation_due(const dt_trainer *t) {
    const int64_t every = t->config.eval_every;
    return every > 0 && t->state.step > 0 &&
           (t->state.step % every == 0 || t->state.step == t->config.steps);
}

/* A validation, if one is due at this step and has not been made. Collective. */
static dt_status validate_if_due(dt_trainer *t, loop_state *loop, bool *improved,
                                 bool *interrupted) {
    *improved = *interrupted = false;
    if (!validation_due(t)) return DT_OK;
    dt_validation_row row;
    DT_TRY(dt_trainer_validate(t, &row, improved, interrupted));
    if (*interrupted) return DT_OK;
    loop->validation_seconds = row.seconds;
    if (!loop->leads) return DT_OK;
    const dt_observer *observer = loop->observer;
    observer->validation(observer->context, &row, *improved);
    if (t->sample.length > 0) observer->sample(observer->context, row.step, t->sample.bytes);
    return DT_OK;
}

/* After several skipped updates in a row, go back. Gives up if that does not help. Collective. */
static dt_status handle_skipped(dt_trainer *t, loop_state *loop, const dt_step_request *request,
                                bool *rolled_back) {
    enum { IN_A_ROW = 3, ROLLBACKS = 3 };
    *rolled_back = false;
    loop->skipped_in_a_row = request->skipped ? loop->skipped_in_a_row + 1 : 0;
    if (!request->skipped) return DT_OK;
    dt_log_warn("loss or gradient of step %lld is not finite: nothing was updated",
                (long long)t->state.step - 1);
    if (loop->skipped_in_a_row < IN_A_ROW) return DT_OK;
    const bool again = loop->rollbacks_here > 0 && t->state.step <= loop->rollback_step;
    loop->rollbacks_here = again ? loop->rollbacks_here + 1 : 1;
    DT_REQUIRE(loop->rollbacks_here <= ROLLBACKS, DT_ERR_UNAVAILABLE,
               "the run keeps diverging, now at step %lld, after %d returns to earlier "
               "checkpoints; lower --lr, raise --warmup or lower --clip, and start again to go on "
               "from the last healthy checkpoint",
               (long long)t->state.step, ROLLBACKS);
    const int64_t diverged_at = t->state.step;
    /* If going back did not help, go back farther. */
    DT_TRY(dt_trainer_roll_back(t, again ? loop->rollback_target : INT64_MAX));
    loop->rollback_step = diverged_at + 2 * IN_A_ROW;
    loop->rollback_target = t->state.step;
    loop->skipped_in_a_row = 0;
    if (loop->leads) loop->observer->back(loop->observer->context, t->state.step, &t->metrics);
    /* A later start must use the other data, too. */
    if (loop->leads) dt_checkpoints_request(&loop->checkpoints, t, DT_CHECKPOINT_MUST);
    *rolled_back = true;
    return DT_OK;
}

/* Decide on a checkpoint after a step. Rank 0 only. */
static void checkpoint_if_due(dt_trainer *t, loop_state *loop, const dt_step_request *request,
                              bool improved) {
    dt_checkpoints *c = &loop->checkpoints;
    const bool due = improved || request->checkpoint || dt_checkpoints_due(t) ||
                     dt_checkpoints_unanswered(c, request);
    if (loop->skipped_in_a_row > 0 && !improved) {
        /* These weights may be unfit for training: they must not replace healthy checkpoints. */
        if (due) dt_checkpoints_postpone(c);
        return;
    }
    dt_checkpoints_request(c, t,
                           improved ? DT_CHECKPOINT_MUST
                           : due    ? DT_CHECKPOINT_DUE
                                    : DT_CHECKPOINT_OWED);
}

static void tell_step(const dt_trainer *t, loop_state *loop, const dt_train_row *row) {
    dt_step_times times = {.waiting = t->waiting, .metrics = &t->metrics};
    double adding, exchanging, waiting;
    dt_reducer_times(t->reducer, &adding, &exchanging, &waiting);
    times.communicating = adding + exchanging;
    times.waiting += waiting;
    loop->observer->step(loop->observer->context, row, &times);
}

static dt_status compare_nodes(dt_trainer *t, loop_state *loop) {
    const dt_status same = dt_trainer_compare_nodes(t);
    loop->nodes_differ = same == DT_ERR_UNAVAILABLE;
    return same;
}

/* After a step: validate, write a checkpoint, report. Collective. */
static dt_status after_step(dt_trainer *t, loop_state *loop, const dt_train_row *row,
                            const dt_step_request *request, bool *interrupted) {
    bool improved = false;
    *interrupted = false;
    const bool ends = request->stop_after || t->state.step >= t->config.steps;
    if (loop->leads) tell_step(t, loop, row);
    /* Nothing is kept unless all nodes agree on the weights. */
    const bool asked = request->checkpoint || request->asked;
    if (ends || asked || dt_checkpoints_due(t) || validation_due(t)) DT_TRY(compare_nodes(t, loop));
    if (!request->stop_after) DT_TRY(validate_if_due(t, loop, &improved, interrupted));
    /* The last checkpoint is written later, with the reason for the end. */
    if (loop->leads && !ends) checkpoint_if_due(t, loop, request, improved);
    return DT_OK;
}

/* Seconds that the next step and the validation after it may take. */
static double next_seconds(const dt_trainer *t, const loop_state *loop) {
    const int64_t next = t->state.step + 1, every = t->config.eval_every;
    if (every == 0 || (next % every != 0 && next != t->config.steps)) return loop->step_seconds;
    /* Assume that the first validation is as slow as training. */
    const double validation =
        loop->validation_seconds > 0
            ? loop->validation_seconds
            : loop->step_seconds * (double)t->config.eval_examples / (double)t->config.batch;
    return loop->step_seconds + validation;
}

/* This rank's requests for this step. */
static dt_step_request ask_for(const dt_trainer *t, loop_state *loop) {
    dt_step_request request = {.asked = dt_checkpoints_asked(&loop->checkpoints)};
    if (!loop->leads) return request;
    request.stop_after =
        dt_deadline_near(&loop->until, next_seconds(t, loop), dt_writer_write_seconds(t->writer));
    request.checkpoint = dt_checkpoints_overdue(&loop->checkpoints, &t->config);
    return request;
}

/* One step of the loop; *over: the loop ends, for the reason *end. Collective. */
static dt_status train_once(dt_trainer *t, loop_state *loop, end_kind *end, bool *over) {
    dt_train_row row;
    bool rolled_back, interrupted = false;
    *over = false;
    dt_step_request request = ask_for(t, loop);
    DT_TRY(dt_trainer_step(t, &row, &request));
    if (request.stop) {
        *over = true;
        *end = END_SIGNAL;
        return DT_OK;
    }
    if (loop->leads) dt_log_debug("step %lld is complete", (long long)t->state.step);
    loop->step_seconds =
        row.seconds > 0.9 * loop->step_seconds ? row.seconds : 0.9 * loop->step_seconds;
    DT_TRY(handle_skipped(t, loop, &request, &rolled_back));
    if (!rolled_back) DT_TRY(after_step(t, loop, &row, &request, &interrupted));
    if (interrupted) {
        *over = true;
        *end = END_SIGNAL;
    } else if (request.stop_after && (t->state.step < t->config.steps || validation_due(t))) {
        *over = true;
        *end = END_TIME;
    }
    return DT_OK;
}

/* If the run was stopped between a step and its validation, make that validation first. Collective.
 */
static dt_status validate_if_owed(dt_trainer *t, loop_state *loop, bool *interrupted) {
    bool improved;
    *interrupted = false;
    const size_t count = t->metrics.validation_count;
    int64_t validated = loop->leads && count ? t->metrics.validation[count - 1].step : -1;
    DT_TRY(dt_comm_max(t->s->comm, &validated));
    if (validated >= t->state.step) return DT_OK;
    DT_TRY(validate_if_due(t, loop, &improved, interrupted));
    if (loop->leads && improved) dt_checkpoints_request(&loop->checkpoints, t, DT_CHECKPOINT_MUST);
    return DT_OK;
}

static dt_status steps(dt_trainer *t, loop_state *loop, end_kind *end) {
    bool over;
    *end = END_SIGNAL;
    DT_TRY(validate_if_owed(t, loop, &over));
    while (!over && t->state.step < t->config.steps) {
        if (dt_trainer_patience_over(&t->config, &t->state)) {
            *end = END_PATIENCE;
            return DT_OK;
        }
        DT_TRY(train_once(t, loop, end, &over));
    }
    if (!over) *end = END_STEPS;
    return DT_OK;
}

/* After an error on which all ranks agree, the last completed step is whole in the host's memory,
 * and is written before the error ends the run. After a failed message it is not, since other ranks
 * may not know of the error. Collective, except in that case. */
static dt_status train_loop(dt_trainer *t, loop_state *loop, end_kind *end) {
    const int64_t first = t->state.step;
    const dt_status status = steps(t, loop, end);
    if (status == DT_OK || status == DT_ERR_COMM || t->state.step <= first) return status;
    loop->error = status;
    snprintf(loop->error_location, sizeof loop->error_location, "%s", dt_error_location());
    snprintf(loop->error_text, sizeof loop->error_text, "%s", dt_error_text());
    const dt_status same = compare_nodes(t, loop);
    if (same == DT_ERR_COMM) return same;
    *end = END_ERROR;
    if (status == DT_ERR_DEVICE && same == DT_OK) {
        /* Another start may succeed. */
        dt_log_warn("%s", loop->error_text);
        *end = END_DEVICE;
    }
    dt_error_clear();
    return DT_OK;
}

/* Whether a later start can go on from this state. Not if its last step was not finite or the nodes
 * do not agree on it: then earlier checkpoints are better. */
static bool is_healthy(const loop_state *loop) {
    return loop->skipped_in_a_row == 0 && !loop->nodes_differ;
}

/* Writes the last completed step before an error ends the run. The caller reports that error. Rank
 * 0 only. */
static void save_before_error(dt_trainer *t, const loop_state *loop) {
    if (!is_healthy(loop)) return;
    if (dt_checkpoints_write_last(t) == DT_OK) {
        dt_log_info("the last completed step, %lld, has been saved", (long long)t->state.step);
    } else {
        dt_log_warn("the last completed step, %lld, could not be saved: %s",
                    (long long)t->state.step, dt_error_text());
    }
    dt_error_clear();
}

/* Writes the last checkpoint with the reason for the end. Rank 0 only. */
static dt_status finish(dt_trainer *t, loop_state *loop, end_kind end) {
    char failed[32];
    snprintf(failed, sizeof failed, "error, exit code %d", dt_status_exit_code(loop->error));
    const char *reason[] = {
        [END_STEPS] = DT_FINISHED,
        [END_PATIENCE] = (DT_FINISHED " (early stopping)"),
        [END_SIGNAL] = dt_signals_name(dt_signals_stop()),
        [END_TIME] = loop->until.what,
        [END_DEVICE] = DEVICE_FAILED,
        [END_ERROR] = failed,
    };
    dt_history_row *row = &t->metrics.history[t->metrics.history_count - 1];
    const dt_status before = dt_writer_drain(
        t->writer); /* waits for the signal's own checkpoint, if there was a signal */
    const bool written = before == DT_OK && end == END_SIGNAL &&
                         dt_writer_written_step(t->writer) == t->state.step && dt_signals_stop();
    if (written) return DT_OK;
    dt_writer_lock(t->writer);
    snprintf(row->stopped, sizeof row->stopped, "%s", reason[end]);
    dt_writer_unlock(t->writer);
    if (end == END_ERROR) {
        save_before_error(t, loop);
        return DT_OK;
    }
    DT_TRY(dt_checkpoints_write_last(t));
    /* Until now the checkpoint before the last one was kept, too. */
    return end == END_STEPS || end == END_PATIENCE ? dt_run_rotate(t->config.out, t->config.keep)
                                                   : DT_OK;
}

/* The file of the best model, or of the newest if there is no best one. */
static void model_path(char path[DT_PATH_MAX + 16], const dt_config *config,
                       const dt_run_state *state) {
    const size_t size = DT_PATH_MAX + 16;
    const char *folder = config->out;
    if (state->best_step >= 0 && dt_run_find(path, size, folder, "best.h5")) return;
    if (!dt_run_find(path, size, folder, "latest.h5")) snprintf(path, size, "%s/latest.h5", folder);
}

static void tell_end(const dt_trainer *t, end_kind end, const char *limit) {
    const dt_run_state *state = &t->state;
    char cost[512];
    dt_usage usage;
    dt_metrics_usage(&usage, &t->metrics);
    dt_cost_usage_text(cost, sizeof cost, &usage, &t->config);
    if (*cost) dt_log_info("used by all starts so far: %s", cost);
    if (end == END_SIGNAL || end == END_TIME || end == END_DEVICE) {
        dt_log_info(
            "stopped at step %lld of %lld (%s), with a checkpoint; start dtrain again to go on",
            (long long)state->step, (long long)t->config.steps,
            end == END_TIME     ? limit
            : end == END_DEVICE ? DEVICE_FAILED
                                : dt_signals_name(dt_signals_stop()));
        return;
    }
    if (end == END_PATIENCE) {
        dt_log_info("stopped early: no better %s in the last %lld validations",
                    dt_metric_name(&t->config), (long long)state->stale);
    }
    char best[96] = "";
    if (state->best_step >= 0) {
        snprintf(best, sizeof best, "; best %s %.4f at step %lld", dt_metric_name(&t->config),
                 state->best, (long long)state->best_step);
    }
    char model[DT_PATH_MAX + 16];
    model_path(model, &t->config, state);
    dt_log_info("finished %lld steps (%lld problems, %lld tokens) in %.0f s%s; the model is %s",
                (long long)state->step, (long long)state->problems, (long long)state->tokens,
                state->seconds, best, model);
}

/* What was used after the last step, too. Collective. */
static dt_status finish_energy(dt_trainer *t, bool hurry) {
    dt_energy_part sum;
    double joules;
    DT_TRY(dt_energy_finish(&sum, t->energy, hurry));
    if (dt_comm_rank(t->s->comm) > 0) return DT_OK;
    dt_writer_lock(t->writer);
    dt_trainer_enter_energy(t, &joules, &sum);
    dt_writer_unlock(t->writer);
    return DT_OK;
}

/* Starts the writer, runs the loop, and stops the writer. Collective. */
static dt_status train(dt_trainer *t, const dt_deadline *until, const dt_observer *observer,
                       end_kind *end) {
    loop_state loop = {.leads = dt_comm_rank(t->s->comm) == 0,
                       .until = *until,
                       .checkpoints = {.last = dt_seconds_now()},
                       .observer = observer};
    dt_status status = DT_OK;
    if (loop.leads) observer->open(observer->context, &t->config, t->state.step, &t->metrics);
    if (loop.leads) status = dt_writer_open(&t->writer, dt_trainer_view, t);
    DT_TRY_DONE(dt_comm_agree(t->s->comm, status));
    status = train_loop(t, &loop, end);
    /* Collective operations are no longer possible, but the state in memory may be whole. */
    if (status == DT_ERR_COMM && dt_watchdog_forget_last_words(t->watchdog) && loop.leads)
        dt_checkpoints_save_at_end(t);
    if (status != DT_OK) goto done;
    dt_watchdog_enter(t->watchdog, DT_PHASE_END, t->state.step);
    if (loop.leads) observer->close(observer->context);
    DT_TRY_DONE(finish_energy(t, *end == END_TIME));
    if (loop.leads) status = finish(t, &loop, *end);
    dt_watchdog_enter(t->watchdog, DT_PHASE_END, t->state.step);
    DT_TRY_DONE(dt_comm_agree(t->s->comm, status));
    if (*end == END_ERROR) {
        status = dt_error_adopt(loop.error, loop.error_location, loop.error_text);
    } else {
        tell_end(t, *end, loop.until.what);
    }
done:
    if (loop.leads) observer->close(observer->context);
    /* Collective operations, such as closing windows, are no longer possible. */
    if (status == DT_ERR_COMM) return status;
    dt_watchdog_forget_last_words(t->watchdog);
    dt_writer_close(&t->writer);
    return status;
}

/* Tells the observer, on rank 0. */
static void observe_end(const dt_observer *observer, const dt_config *config,
                        const dt_run_state *state, const dt_metrics *metrics, bool finished) {
    char model[DT_PATH_MAX + 16];
    model_path(model, config, state);
    dt_train_end end = {.config = config, .state = state, .finished = finished, .model = model};
    dt_metrics_usage(&end.usage, metrics);
    observer->end(observer->context, &end);
}

static void tell_finished(const dt_start_plan *plan) {
    const bool patience = dt_trainer_patience_over(&plan->config, &plan->state);
    char best[96] = "";
    if (plan->state.best_step >= 0) {
        snprintf(best, sizeof best, ", best %s %.4f at step %lld", dt_metric_name(&plan->config),
                 plan->state.best, (long long)plan->state.best_step);
    }
    char model[DT_PATH_MAX + 16];
    model_path(model, &plan->config, &plan->state);
    dt_log_info("%s is finished: %lld steps%s; the model is %s; to train it further give %s",
                plan->config.out, (long long)plan->state.step, best, model,
                patience ? "--patience 0 or a larger one" : "a larger --steps N");
}

/* Where a rank has to turn a large text into tokens, that is progress. */
static dt_status stay_awake(void *context, const char *what, uint64_t done, uint64_t all) {
    (void)what, (void)done, (void)all;
    dt_watchdog_beat(context);
    return DT_OK;
}

dt_status dt_train(dt_session *s, const dt_start_request *request, const dt_observer *observer) {
    const double start = dt_seconds_now();
    const bool leads = dt_comm_rank(s->comm) == 0;
    dt_start_plan plan;
    dt_checkpoint checkpoint = {0};
    dt_run_lock *lock = NULL;
    dt_watchdog *watchdog = NULL;
    dt_trainer t = {0};
    end_kind end = END_STEPS;
    dt_status status;
    dt_signals_catch();
    dt_startup_enter(DT_STARTUP_FOLDER);
    DT_TRY_DONE(dt_start_decide(&plan, &checkpoint, &lock, s, request));
    if (plan.kind == DT_START_FINISHED && !request->check_gradients) {
        if (leads) dt_begin_links(&plan);
        tell_finished(&plan);
        if (leads) observe_end(observer, &plan.config, &plan.state, checkpoint.metrics, true);
        goto done;
    }
    dt_startup_limit(plan.config.stall_timeout);
    /* Only one rank checks gradients, for as long as that takes. */
    const double watched = request->check_gradients ? 0 : plan.config.stall_timeout;
    DT_TRY_DONE(dt_watchdog_open(&watchdog, s->comm, watched, dt_checkpoints_save_at_end, &t));
    dt_startup_end();
    DT_TRY_DONE(dt_session_open_device(s, (dt_backend_kind)plan.config.backend));
    dt_signals_catch(); /* again: OpenCL's compilers replace signal handlers */
    /* In bfloat16 the loss is not a smooth function of the weights. */
    if (request->check_gradients) plan.config.precision = DT_PRECISION_FLOAT32;
    DT_TRY_DONE(dt_session_settle_precision(s, &plan.config));
    dt_watchdog_enter(watchdog, DT_PHASE_START, 0);
    DT_TRY_DONE(dt_session_announce(s));
    dt_watchdog_enter(watchdog, DT_PHASE_START, 0);
    dt_work_listen(stay_awake, watchdog);
    status = dt_trainer_create(&t, s, &plan.config, checkpoint.tokenizer);
    dt_work_listen(NULL, NULL);
    DT_TRY_DONE(status);
    t.watchdog = watchdog;
    dt_watchdog_enter(watchdog, DT_PHASE_START, 0);
    if (request->check_gradients) {
        DT_TRY_DONE(dt_trainer_load_frozen(&t, leads ? &checkpoint : NULL));
        DT_TRY_DONE(dt_trainer_initialise(&t));
        /* Only one rank checks, since all ranks share the weights that it changes. */
        if (leads) {
            const dt_source source = dt_trainer_source(&t);
            status = dt_gradients_check(s, t.model, t.device_weights, t.weights_memory, &source);
        }
        status = dt_comm_agree(s->comm, status);
        goto done;
    }
    DT_TRY_DONE(dt_energy_open(&t.energy, s->comm, plan.config.watts, start));
    if (dt_cost_asks_energy(&plan.config)) dt_energy_explain(t.energy);
    DT_TRY_DONE(dt_begin(&t, &plan, &checkpoint));
    dt_watchdog_enter(watchdog, DT_PHASE_START, 0);
    dt_deadline until = {.at = INFINITY, .what = "no limit"};
    if (leads) until = dt_deadline_find(start, plan.config.time_limit); /* may ask Slurm */
    DT_TRY_DONE(train(&t, &until, observer, &end));
    const bool finished = end == END_STEPS || end == END_PATIENCE;
    if (leads) observe_end(observer, &t.config, &t.state, &t.metrics, finished);
    if (!finished) status = DT_ERR_STOPPED;
done:
    /* After a failed message nothing collective is possible. */
    if (status != DT_ERR_COMM) {
        dt_trainer_destroy(&t);
        dt_startup_enter(DT_STARTUP_CLOSE);
        dt_watchdog_close(&watchdog);
    }
    dt_startup_end();
    dt_checkpoint_destroy(&checkpoint);
    dt_run_lock_release(&lock);
    if (status != DT_OK && leads && plan.made) dt_run_folder_discard(plan.config.out);
    return status;
}
