/* The training command: the loop over steps, with validations, checkpoints and stopping on request. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trainer.h"

/* Set by signals, looked at between steps. */
static volatile sig_atomic_t stop_signal, checkpoint_signal;

static void on_stop(int number) { stop_signal = number; }
static void on_checkpoint(int number) { checkpoint_signal = number; }

/* After MPI_Init, whose libraries may install handlers of their own. */
static void catch_signals(void) {
    const struct sigaction stop = {.sa_handler = on_stop}, checkpoint = {.sa_handler = on_checkpoint};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGUSR1, &stop, NULL);
    sigaction(SIGUSR2, &checkpoint, NULL);
}

/* A rank that caught nothing itself was told by another. */
static const char *stop_reason(void) {
    switch (stop_signal) {
    case SIGINT: return "signal INT";
    case SIGTERM: return "signal TERM";
    case SIGUSR1: return "signal USR1";
    default: return "signal to another rank";
    }
}

/* What the loop remembers between steps. */
typedef struct {
    double last_checkpoint, last_line; /* seconds_now() */
    int64_t line_step, line_tokens, written_step;
    double line_seconds;
    bool leads; /* rank 0: it writes and speaks */
} loop_state;

static void utc_now(char *text, size_t size) {
    const time_t now = time(NULL);
    struct tm parts;
    strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
}

static dt_history_row *this_start(trainer *t) { return &t->metrics.history[t->metrics.history_count - 1]; }

static dt_status begin_history(trainer *t, const start_plan *plan) {
    dt_history_row row = {
        .step = t->state.step,
        .ranks = (int64_t)dt_comm_size(t->s->comm),
        .nodes = (int64_t)dt_comm_nodes(t->s->comm),
    };
    snprintf(row.host, sizeof row.host, "%.*s", (int)sizeof row.host - 1, dt_comm_host(t->s->comm, 0));
    utc_now(row.time, sizeof row.time);
    snprintf(row.stopped, sizeof row.stopped, "running");
    snprintf(row.changed, sizeof row.changed, "%s", plan->changed);
    return dt_metrics_add_history(&t->metrics, &row);
}

/* Write this moment; rank 0 only. `best`: it is the best so far. */
static dt_status write_checkpoint(trainer *t, loop_state *loop, bool best) {
    const double start = seconds_now();
    char path[DT_PATH_MAX];
    const dt_checkpoint view = trainer_view(t);
    DT_TRY(dt_run_checkpoint_path(path, sizeof path, t->config.out, t->state.step));
    DT_TRY(dt_checkpoint_write(path, &view));
    DT_TRY(dt_run_link(t->config.out, "latest.h5", t->state.step));
    if (best) DT_TRY(dt_run_link(t->config.out, "best.h5", t->state.step));
    DT_TRY(dt_run_rotate(t->config.out, t->config.keep));
    loop->last_checkpoint = seconds_now();
    loop->written_step = t->state.step;
    dt_log_debug("wrote %s in %.3f s", path, loop->last_checkpoint - start);
    return DT_OK;
}

static dt_status log_line(trainer *t, const char *line) { return dt_run_append_log(t->config.out, line); }

static dt_status tell_progress(trainer *t, loop_state *loop, const dt_train_row *row) {
    loop->line_tokens += row->tokens;
    loop->line_seconds += row->seconds;
    const double now = seconds_now();
    const bool last = t->state.step == t->config.steps;
    if (!last && now - loop->last_line < 5) return DT_OK;
    const double rate = (double)loop->line_tokens / loop->line_seconds;
    const double step_seconds = loop->line_seconds / (double)(t->state.step - loop->line_step);
    const double left = step_seconds * (double)(t->config.steps - t->state.step);
    dt_log_info("step %lld/%lld  loss %.4f  lr %.2e  grad norm %.3f  %.0f tokens/s  %.0f problems/s  %.0f:%02.0f left",
                (long long)t->state.step, (long long)t->config.steps, row->loss, row->lr, row->grad_norm, rate,
                (double)t->config.batch / step_seconds, (double)((int64_t)left / 60), (double)((int64_t)left % 60));
    char line[256];
    snprintf(line, sizeof line,
             "{\"event\":\"step\",\"step\":%lld,\"loss\":%.9g,\"lr\":%.9g,\"grad_norm\":%.9g,\"tokens_per_second\":%.0f}",
             (long long)t->state.step, row->loss, row->lr, row->grad_norm, rate);
    loop->last_line = now;
    loop->line_step = t->state.step;
    loop->line_tokens = 0;
    loop->line_seconds = 0;
    return log_line(t, line);
}

static dt_status tell_validation(trainer *t, const dt_validation_row *row, bool improved) {
    char parts[160] = "", json[160] = "";
    size_t used = 0, json_used = 0;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const double value = row->exact_match_of[op];
        if (value != value) continue;
        used += (size_t)snprintf(parts + used, sizeof parts - used, "  %c %.2f%%", dt_operation_symbol((dt_operation)op), 100 * value);
        json_used += (size_t)snprintf(json + json_used, sizeof json - json_used, ",\"exact_match_%s\":%.6f",
                                      dt_operation_name((dt_operation)op), value);
    }
    dt_log_info("validation at %lld: loss %.4f  perplexity %.3f  tokens %.2f%%  exact %.2f%% %s%s", (long long)row->step, row->loss,
                row->perplexity, 100 * row->token_accuracy, 100 * row->exact_match, parts, improved ? "  (best)" : "");
    char line[512];
    snprintf(line, sizeof line,
             "{\"event\":\"validation\",\"step\":%lld,\"loss\":%.9g,\"token_accuracy\":%.6f,\"exact_match\":%.6f%s}",
             (long long)row->step, row->loss, row->token_accuracy, row->exact_match, json);
    return log_line(t, line);
}

static bool due(int64_t every, const trainer *t) {
    return every > 0 && (t->state.step % every == 0 || t->state.step == t->config.steps);
}

/* After a step: measure, write, tell. Collective. */
static dt_status after_step(trainer *t, loop_state *loop, const dt_train_row *row, const step_request *request) {
    dt_status status = DT_OK;
    if (loop->leads) {
        status = dt_metrics_add_train(&t->metrics, row);
        if (status == DT_OK) status = tell_progress(t, loop, row);
    }
    DT_TRY(dt_comm_agree(t->s->comm, status));
    bool improved = false;
    /* Asked to stop, there is no time for a validation. */
    if (due(t->config.eval_every, t) && !request->stop) {
        dt_validation_row measured;
        DT_TRY(trainer_validate(t, &measured, &improved));
        if (loop->leads) {
            status = dt_metrics_add_validation(&t->metrics, &measured);
            if (status == DT_OK) status = tell_validation(t, &measured, improved);
        }
    }
    const bool last = request->stop || t->state.step == t->config.steps;
    if (loop->leads && last) {
        dt_history_row *start = this_start(t);
        if (t->state.step == t->config.steps) {
            snprintf(start->stopped, sizeof start->stopped, "finished");
        } else {
            snprintf(start->stopped, sizeof start->stopped, "%s", stop_reason());
        }
    }
    const bool write = last || improved || request->checkpoint || due(t->config.checkpoint_every.steps, t);
    if (loop->leads && status == DT_OK && write) status = write_checkpoint(t, loop, improved);
    return dt_comm_agree(t->s->comm, status);
}

static dt_status train_loop(trainer *t, bool *stopped) {
    loop_state loop = {.leads = dt_comm_rank(t->s->comm) == 0, .last_checkpoint = seconds_now(), .last_line = seconds_now(),
                       .line_step = t->state.step};
    *stopped = false;
    while (t->state.step < t->config.steps && !*stopped) {
        const double interval = t->config.checkpoint_every.seconds;
        step_request request = {
            .stop = stop_signal != 0,
            .checkpoint = checkpoint_signal != 0 || (loop.leads && interval > 0 && seconds_now() - loop.last_checkpoint > interval),
        };
        if (request.checkpoint) checkpoint_signal = 0;
        dt_train_row row;
        DT_TRY(trainer_step(t, &row, &request));
        DT_TRY(after_step(t, &loop, &row, &request));
        *stopped = request.stop && t->state.step < t->config.steps;
    }
    return DT_OK;
}

static void announce_run(const trainer *t, const start_plan *plan, session *s) {
    const dt_config *c = &t->config;
    dt_log_info("model: %zu parameters (%zu layers, width %zu, %zu heads), vocabulary %zu, context %zu", t->layout.weights,
                t->shape.L, t->shape.C, t->shape.H, t->shape.V, t->shape.T);
    if (plan->kind == START_NEW) {
        dt_log_info("new run in %s: %lld steps of %lld problems in %lld shards, seed %lld", c->out, (long long)c->steps,
                    (long long)c->batch, (long long)c->shards, (long long)c->seed);
        return;
    }
    const dt_history_row *before = t->metrics.history_count ? &t->metrics.history[t->metrics.history_count - 1] : NULL;
    char best[96] = "no validation yet";
    if (t->state.best >= 0) {
        snprintf(best, sizeof best, "best exact match %.4f at %lld", t->state.best, (long long)t->state.best_step);
    }
    dt_log_info("resuming %s from step %lld (%s; was %lld ranks, now %zu)", c->out, (long long)t->state.step, best,
                before ? (long long)before->ranks : 0, dt_comm_size(s->comm));
    if (*plan->changed) dt_log_info("changed: %s", plan->changed);
}

static dt_status write_settings(const trainer *t) {
    char *ini;
    DT_TRY(dt_config_format(&ini, &t->config, false));
    const dt_status status = dt_run_write_text(t->config.out, "config.ini", ini);
    dt_memory_free(&ini);
    return status;
}

/* Fill the trainer as planned. Collective. */
static dt_status begin(trainer *t, const start_plan *plan, dt_checkpoint *checkpoint) {
    const bool leads = dt_comm_rank(t->s->comm) == 0;
    if (plan->kind == START_RESUME) {
        DT_TRY(trainer_load(t, leads ? checkpoint : NULL));
    } else {
        DT_TRY(trainer_initialise(t));
    }
    dt_status status = DT_OK;
    if (leads) {
        announce_run(t, plan, t->s);
        status = begin_history(t, plan);
        if (status == DT_OK) status = write_settings(t);
    }
    return dt_comm_agree(t->s->comm, status);
}

static void tell_end(const trainer *t, bool stopped) {
    if (stopped) {
        dt_log_info("stopped at step %lld of %lld, with a checkpoint; start dtrain again to go on", (long long)t->state.step,
                    (long long)t->config.steps);
        return;
    }
    dt_log_info("finished %lld steps (%lld problems, %lld tokens) in %.0f s; best exact match %.4f; the model is %s/%s",
                (long long)t->state.step, (long long)t->state.problems, (long long)t->state.tokens, t->state.seconds, t->state.best,
                t->config.out, t->state.best >= 0 ? "best.h5" : "latest.h5");
}

dt_status command_train(session *s, const app_options *options) {
    start_plan plan;
    dt_checkpoint checkpoint = {0};
    trainer t = {0};
    bool stopped = false;
    dt_status status;
    DT_TRY_DONE(start_decide(&plan, &checkpoint, s, options));
    DT_TRY_DONE(session_announce(s));
    if (plan.kind == START_FINISHED && !options->check_gradients) {
        dt_log_info("%s is finished: %lld steps, best exact match %.4f; the model is %s; to train it further give --steps N", plan.config.out,
                    (long long)plan.state.step, plan.state.best, plan.path);
        goto done;
    }
    DT_TRY_DONE(trainer_create(&t, s, &plan.config));
    if (options->check_gradients) {
        DT_TRY_DONE(trainer_initialise(&t));
        /* One rank does: the weights it moves are everybody's. */
        if (dt_comm_rank(s->comm) == 0) {
            status = check_gradients(s, t.model, t.device_weights, t.weights_memory, &t.config, t.tokenizer);
        }
        status = dt_comm_agree(s->comm, status);
        goto done;
    }
    DT_TRY_DONE(begin(&t, &plan, &checkpoint));
    dt_checkpoint_destroy(&checkpoint);
    catch_signals();
    DT_TRY_DONE(train_loop(&t, &stopped));
    tell_end(&t, stopped);
    if (stopped) status = DT_ERR_STOPPED;
done:
    trainer_destroy(&t);
    dt_checkpoint_destroy(&checkpoint);
    return status;
}
