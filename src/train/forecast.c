/* From measured parts to a whole run, on these ranks or on others. */
#include "dtrain/train/forecast.h"

#include <math.h>
#include <string.h>

#include "dtrain/core/memory.h"

double dt_forecast_flops(const dt_config *config, const dt_model_shape *s) {
    (void)config;
    const double C = (double)s->C, F = (double)s->F, T = (double)s->T;
    /* Products of a layer, its attention over half of the context, and the logits. */
    const double layer = 2 * (4 * C * C + 2 * C * F) + 2 * C * T;
    return 3 * ((double)s->L * layer + 2 * C * (double)s->V);
}

static double local_of(const dt_allocation *at) {
    return ceil((double)at->ranks / (double)at->nodes);
}

/* Ranks of a node that compute at the same time. */
static double busy_of(const dt_allocation *at) {
    return fmin(local_of(at), (double)dt_max_size(at->cores, 1));
}

/* Work of these settings over that of the trial. */
static double work_ratio(const dt_trial *trial, const dt_config *config, double flops) {
    double precision = 1;
    const bool was = trial->config.precision == DT_PRECISION_BFLOAT16;
    const bool is = config->precision == DT_PRECISION_BFLOAT16;
    if (is && !was && isfinite(trial->bfloat16)) precision = trial->bfloat16;
    return precision * flops / trial->flops * (double)config->batch / (double)trial->config.batch;
}

/* The part of a batch that the rank with most shards has. */
static double most_of_batch(const dt_config *config, const dt_allocation *at) {
    const double shards = (double)config->shards;
    return ceil(shards / (double)at->ranks) / shards;
}

/* Passes of the rank that has most shards. */
static double passes_on(const dt_trial *trial, const dt_config *config, const dt_allocation *at,
                        double ratio) {
    const double slowed = local_of(&trial->at) / busy_of(&trial->at);
    const double whole = trial->passes / most_of_batch(&trial->config, &trial->at) / slowed;
    return ratio * whole * most_of_batch(config, at) * local_of(at) / busy_of(at);
}

/* Gradients between nodes, by a tree: twice the logarithm of messages, and each node sends and
 * receives nearly all of its gradient twice. NaN: nothing is known of the network. */
static double exchange_on(const dt_trial *trial, const dt_config *config, const dt_allocation *at) {
    if (at->nodes == 1) return 0;
    const double nodes = (double)at->nodes, there = (double)trial->at.nodes;
    if (at->bandwidth <= 0)
        return trial->at.nodes > 1
                   ? trial->exchanging * ceil(log2(nodes)) / fmax(1, ceil(log2(there)))
                   : NAN;
    const double element = config->transport == DT_TRANSPORT_BFLOAT16 ? 2 : 4;
    return 2 * ceil(log2(nodes)) * at->latency +
           2 * element * (double)trial->floats * (nodes - 1) / nodes / at->bandwidth;
}

static bool same_ranks(const dt_allocation *x, const dt_allocation *y) {
    return x->ranks == y->ranks && x->nodes == y->nodes;
}

/* One step's parts. */
typedef struct {
    double computing, communicating, waiting;
} step_parts;

static step_parts step_on(const dt_trial *trial, const dt_config *config, const dt_allocation *at,
                          double ratio) {
    const bool here = same_ranks(&trial->at, at);
    const double update = trial->update * busy_of(&trial->at) / busy_of(at);
    const double passes = passes_on(trial, config, at, ratio);
    const double exchange = here ? trial->exchanging : exchange_on(trial, config, at);
    /* Waiting is uneven work; a rank alone waits for nobody. */
    const double waiting = at->ranks == 1 ? 0 : trial->waiting * passes / trial->passes;
    return (step_parts){passes + update, trial->adding + exchange, waiting};
}

static int64_t count_validations(const dt_config *c) {
    if (c->eval_every == 0) return 0;
    return c->steps / c->eval_every + (c->steps % c->eval_every != 0);
}

/* By steps or by time, and the last one. */
static int64_t count_checkpoints(const dt_config *c, double seconds) {
    const double by_time = seconds / dt_cadence_most_seconds(&c->checkpoint_every);
    int64_t every = c->checkpoint_every.steps;
    if (c->checkpoint_every.epochs > 0 && c->train_examples > 0)
        every = c->checkpoint_every.epochs * c->train_examples / c->batch;
    const int64_t by_steps = every > 0 ? (c->steps - 1) / every : 0;
    return 1 + (int64_t)fmin((double)c->steps, fmax((double)by_steps, by_time));
}

static void forecast_starts(dt_forecast *f, const dt_trial *trial, const dt_config *config) {
    f->starts = 1;
    /* A start ends before another step and the checkpoint after it may come too late. */
    f->lost = trial->start + 1 + 2 * (f->step + trial->write) - trial->write;
    if (config->time_limit <= 0) return;
    const double usable = config->time_limit - f->lost;
    if (usable <= 0) {
        f->starts = INT64_MAX;
    } else if (f->total > config->time_limit) {
        f->starts = (int64_t)ceil((f->total - f->starting) / usable);
        f->starting += (double)(f->starts - 1) * f->lost;
    }
}

static void forecast_disk(dt_forecast *f, const dt_trial *trial, const dt_config *config) {
    f->checkpoint_bytes = trial->checkpoint_bytes +
                          (double)config->steps * (double)dt_checkpoint_step_bytes(config) +
                          (double)f->validations * (double)dt_checkpoint_validation_bytes(config);
    double files = (double)f->checkpoints;
    /* The newest ones, the best, and the one that is being written. */
    if (config->keep > 0) files = fmin(files, (double)config->keep + 2);
    const double log = 450 * f->total / 5 + 250 * (double)f->validations;
    f->disk = files * f->checkpoint_bytes + log;
}

/* What is shared is counted; what is measured stands for it on the same ranks. */
static void forecast_memory(dt_forecast *f, const dt_trial *trial, const dt_config *config,
                            const dt_allocation *at) {
    dt_layout layout = {.count = trial->floats};
    const dt_footprint_ranks here = {trial->at.ranks, (size_t)local_of(&trial->at)};
    const dt_footprint_ranks ranks = {at->ranks, (size_t)local_of(at)};
    const double counted = dt_footprint_node(&trial->footprint, &here);
    const double beyond = trial->memory - counted - /* other nodes have no copies for checkpoints */
                          (double)(trial->at.nodes - 1) * (counted - trial->footprint.snapshots);
    const double of_rank = beyond / (double)trial->at.ranks;
    const dt_footprint footprint = dt_footprint_of(config, &trial->shape, &layout, &ranks);
    f->memory_node = dt_footprint_node(&footprint, &ranks) + of_rank * (double)ranks.local +
                     3 * sizeof(dt_train_row) * (double)config->steps;
    f->memory_rank = f->memory_node / (double)ranks.local;
}

dt_forecast dt_forecast_make(const dt_trial *trial, const dt_config *config, double flops,
                             const dt_allocation *at) {
    dt_forecast f = {.at = *at};
    const double ratio = work_ratio(trial, config, flops), steps = (double)config->steps;
    step_parts p = step_on(trial, config, at, ratio);
    if (same_ranks(&trial->at, at) && ratio == 1) {
        /* As it was measured. */
        p.computing = trial->passes + trial->update;
        p.waiting = trial->waiting;
    }
    f.step = p.computing + p.communicating + p.waiting;
    f.computing = steps * p.computing;
    f.communicating = steps * p.communicating;
    f.waiting = steps * p.waiting;
    f.validations = count_validations(config);
    const double here = busy_of(&trial->at) * (double)trial->at.nodes;
    const double validation = trial->validation * (flops / trial->flops) *
                              (double)config->eval_examples / (double)trial->config.eval_examples *
                              here / (busy_of(at) * (double)at->nodes);
    f.validating = (double)f.validations * validation;
    f.checkpoints = count_checkpoints(config, steps * f.step + f.validating);
    f.checkpointing = (double)(f.checkpoints - 1) * trial->checkpoint;
    f.starting = trial->start + trial->write;
    f.total = steps * f.step + f.validating + f.checkpointing + f.starting;
    f.tokens = steps * trial->tokens * (double)config->batch / (double)trial->config.batch;
    f.bytes = steps * trial->bytes * (double)config->batch / (double)trial->config.batch;
    f.epochs =
        isfinite(trial->texts_there) ? steps * (double)config->batch / trial->texts_there : 0;
    forecast_starts(&f, trial, config);
    f.total = steps * f.step + f.validating + f.checkpointing + f.starting;
    forecast_disk(&f, trial, config);
    forecast_memory(&f, trial, config, at);
    const double power = trial->watts * busy_of(at) * (double)at->nodes / here;
    f.cost = dt_cost_of(config, power * f.total, f.total * (double)at->nodes);
    const double alone =
        passes_on(trial, &trial->config, &(dt_allocation){1, 1, at->cores, 0, 0}, ratio) +
        trial->update * busy_of(&trial->at) + trial->adding;
    f.efficiency = alone / (f.step * (double)at->ranks);
    return f;
}
