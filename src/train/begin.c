/* Begins a start: loads or initialises weights, adds a row to the history, and logs what begins. */
#include "begin.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/kernels.h"
#include "dtrain/run/publish.h"
#include "dtrain/run/topology.h"

/* The newest row of the history, or NULL. */
static dt_history_row *last_start(const dt_trainer *t) {
    const size_t count = t->metrics.history_count;
    return count ? &t->metrics.history[count - 1] : NULL;
}

/* Warns if the kernels changed: the same bits need the same kernels. Rank 0 only. */
static void compare_kernels(const char *before, const char *now) {
    const char *was = dt_kernels_of(before), *is = dt_kernels_of(now);
    if (!*was || strcmp(was, is) == 0) return;
    dt_log_warn("the run was computed with %s until now, and goes on with %s: right results, but "
                "other bits than it would have had",
                was, is);
}

/* ", tree, job, 25 us, 1.2 GB/s": how the nodes exchange gradients, where matrices are updated, and
 * what was measured of the network. Nothing if there is one node. */
enum { EXCHANGE_MAX = 48 };
static void describe_exchange(char text[EXCHANGE_MAX], const dt_trainer *t) {
    text[0] = '\0';
    if (dt_comm_nodes(t->s->comm) == 1) return;
    const bool tree = dt_reducer_exchange(t->reducer) == DT_EXCHANGE_TREE;
    snprintf(text, EXCHANGE_MAX, ", %s, %s, %.3g us, %.3g GB/s", tree ? "tree" : "direct",
             t->divided ? "job" : "node", 1e6 * t->network.latency, 1e-9 * t->network.bandwidth);
}

/* Enter this start; rank 0 keeps the history. Collective. */
static dt_status begin_history(dt_trainer *t, const dt_start_plan *plan, bool leads) {
    dt_history_row row = {
        .step = t->state.step,
        .ranks = (int64_t)dt_comm_size(t->s->comm),
        .nodes = (int64_t)dt_comm_nodes(t->s->comm),
    };
    char exchange[EXCHANGE_MAX];
    describe_exchange(exchange, t);
    const size_t room = sizeof row.host - DT_KERNELS_MAX - strlen(exchange);
    DT_TRY(dt_topology_describe(row.host, room, t->s->comm));
    const size_t used = strlen(row.host);
    snprintf(row.host + used, sizeof row.host - used, "%s", exchange);
    if (!leads) return DT_OK;
    dt_kernels_append(row.host, sizeof row.host, t->s->device->op->name,
                      t->s->device->op->description);
    const dt_history_row *before = last_start(t);
    if (before && plan->kind == DT_START_RESUME) compare_kernels(before->host, row.host);
    row.seconds = row.processor_seconds = row.joules = NAN;
    dt_utc_now(row.time, sizeof row.time);
    snprintf(row.stopped, sizeof row.stopped, DT_STILL_RUNNING);
    snprintf(row.changed, sizeof row.changed, "%s", plan->changed);
    dt_usage before_now;
    dt_metrics_usage(&before_now, &t->metrics);
    t->joules_before = before_now.joules;
    return dt_metrics_add_history(&t->metrics, &row);
}

/* Tell the new learning rate if another number of steps has changed its curve. */
static void tell_rate(const dt_trainer *t, const dt_start_plan *plan) {
    const double now = dt_schedule_lr(&t->config, t->state.step);
    if (!plan->stretched || fabs(now - plan->planned_lr) <= 1e-6 * plan->planned_lr) return;
    char keep[96] = "";
    if (plan->planned_lr > 0) {
        snprintf(keep, sizeof keep,
                 "; to go on with that one to the end give --schedule constant --lr %.6g",
                 plan->planned_lr);
    }
    dt_log_info("with these --steps the learning rate of the next step is %.3g; it would have been "
                "%.3g%s",
                now, plan->planned_lr, keep);
}

static void announce_run(const dt_trainer *t, const dt_start_plan *plan, dt_session *s) {
    const dt_config *c = &t->config;
    dt_log_info(
        "model: %zu parameters (%zu layers, width %zu, %zu heads), vocabulary %zu, context %zu",
        t->layout.weights, t->shape.L, t->shape.C, t->shape.H, t->shape.V, t->shape.T);
    if (t->source.kind->announce) t->source.kind->announce(&t->source);
    char exchange[EXCHANGE_MAX];
    describe_exchange(exchange, t);
    if (exchange[0]) dt_log_info("exchange, updates and network: %s", exchange + strlen(", "));
    if (plan->kind == DT_START_RESUME) {
        const dt_history_row *before = last_start(t);
        char best[96] = "no validation yet", epoch[48] = "";
        if (t->state.best_step >= 0) {
            snprintf(best, sizeof best, "best %s %.4f at %lld", dt_metric_name(c), t->state.best,
                     (long long)t->state.best_step);
        }
        if (c->train_examples > 0) {
            snprintf(epoch, sizeof epoch, ", epoch %.2f",
                     (double)t->state.problems / (double)c->train_examples);
        }
        dt_log_info("resuming %s from step %lld%s (%s; was %lld rank%s, now %zu)", c->out,
                    (long long)t->state.step, epoch, best, before ? (long long)before->ranks : 0,
                    before && before->ranks == 1 ? "" : "s", dt_comm_size(s->comm));
        if (*plan->changed) dt_log_info("changed: %s", plan->changed);
        tell_rate(t, plan);
        return;
    }
    dt_log_info("new run in %s: %lld steps of %lld %s in %lld shards, seed %lld", c->out,
                (long long)c->steps, (long long)c->batch, t->source.kind->texts,
                (long long)c->shards, (long long)c->seed);
    if (plan->kind == DT_START_FROM_WEIGHTS) dt_log_info("%s", plan->changed);
}

void dt_begin_links(const dt_start_plan *plan) {
    char path[DT_PATH_MAX];
    const char *folder = plan->config.out;
    dt_status status = dt_run_checkpoint_path(path, sizeof path, folder, plan->state.step);
    if (status == DT_OK && strcmp(path, plan->path) != 0) return; /* it is in another folder */
    if (status == DT_OK) status = dt_run_links(folder, plan->state.step, plan->state.best_step);
    if (status != DT_OK) dt_log_warn("%s", dt_error_text());
    dt_error_clear();
}

/* The log knows what was used after the last checkpoint, for steps that are lost, and by starts
 * that were killed before they wrote one. */
static void count_lost_steps(dt_history_row *last, const dt_metrics *metrics, const char *folder) {
    dt_usage known;
    double seconds, joules;
    dt_metrics_usage(&known, metrics);
    dt_run_log_last(&seconds, folder, "run_seconds");
    dt_run_log_last(&joules, folder, "joules");
    if (seconds > known.seconds && isfinite(last->seconds))
        last->seconds += seconds - known.seconds;
    if (joules > known.joules && last->energy_source[0]) last->joules += joules - known.joules;
}

/* Completes what a killed start could not do: its links, what it has used, and the reason for its
 * end. */
static void mend(dt_trainer *t, const dt_start_plan *plan) {
    dt_history_row *before = last_start(t);
    if (before && strcmp(before->stopped, DT_STILL_RUNNING) == 0) {
        snprintf(before->stopped, sizeof before->stopped, "killed");
    }
    if (before) count_lost_steps(before, &t->metrics, plan->config.out);
    dt_begin_links(plan);
}

dt_status dt_begin(dt_trainer *t, const dt_start_plan *plan, dt_checkpoint *checkpoint) {
    const bool leads = dt_comm_rank(t->s->comm) == 0;
    const bool adapts = t->frozen_window && plan->kind == DT_START_FROM_WEIGHTS;
    DT_TRY(dt_trainer_load_frozen(t, leads ? checkpoint : NULL));
    if (plan->kind == DT_START_NEW || adapts) {
        DT_TRY(dt_trainer_initialise(t));
    } else {
        DT_TRY(dt_trainer_load(t, leads ? checkpoint : NULL, plan->kind == DT_START_FROM_WEIGHTS));
    }
    t->given_weights = plan->kind != DT_START_NEW && !adapts;
    dt_checkpoint_destroy(checkpoint);
    if (leads) announce_run(t, plan, t->s);
    if (leads && plan->kind == DT_START_RESUME) mend(t, plan);
    dt_status status = begin_history(t, plan, leads);
    if (status == DT_OK && leads) status = dt_publish_settings(&t->config);
    return dt_comm_agree(t->s->comm, status);
}
