/* One step: forward and backward passes of this rank's shards, the canonical sum, the update of
 * this rank's slice. Between nodes the sum begins during the last shard's backward pass. So it is
 * always completed, and only then do the ranks learn whether the step counts. */
#include <math.h>
#include <string.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/distract.h"
#include "dtrain/optim/optim.h"
#include "dtrain/run/signals.h"
#include "dtrain/train/trainer.h"
#include "owners.h"
#include "report.h"

dt_status dt_trainer_fill_batch(dt_batch *batch, const dt_source *source, uint64_t position,
                                size_t count) {
    dt_batch_clear(batch);
    for (size_t i = 0; i < count; i++) DT_TRY(dt_source_train(batch, source, position + i));
    return DT_OK;
}

/* The first text of a step. It is the number of texts used so far, since the batch size may have
 * changed. Each rollback moves on to texts that no other branch of the run uses. */
static uint64_t step_position(const dt_trainer *t) {
    return (uint64_t)t->state.problems + ((uint64_t)t->state.rollbacks << 40);
}

/* Passes of a shard, one for each micro-batch. */
static size_t passes_of_shard(const dt_config *config) {
    const int64_t most = (config->batch + config->shards - 1) / config->shards;
    return (size_t)((most + config->micro_batch - 1) / config->micro_batch);
}

size_t dt_trainer_passes(const dt_config *config) {
    return (size_t)config->shards * passes_of_shard(config);
}

/* Index in the step of the first text of a shard's pass. */
static size_t pass_start(const dt_config *config, size_t shard, size_t pass) {
    return dt_deal_start((size_t)config->batch, dt_trainer_passes(config),
                         shard * passes_of_shard(config) + pass);
}

/* Shards that texts are dealt to together, a group: the more, the more evenly, but each rank deals
 * for all of them. Part of what a step is. */
enum { DEAL_SHARDS = 1024 };

/* The groups of which this rank has shards: *first … *end - 1. */
static void own_groups(size_t *first, size_t *end, const dt_trainer *t) {
    size_t begin, last;
    dt_shard_range(&begin, &last, (size_t)t->config.shards, dt_comm_size(t->s->comm),
                   dt_comm_rank(t->s->comm));
    *first = begin / DEAL_SHARDS;
    *end = (last - 1) / DEAL_SHARDS + 1;
}

/* A rank that has shards of more than two groups has most of one to itself. */
dt_status dt_trainer_find_dealers(dt_trainer *t) {
    const size_t ranks = dt_comm_size(t->s->comm), shards = (size_t)t->config.shards;
    if (ranks * DEAL_SHARDS < shards) return DT_OK;
    size_t first, end;
    own_groups(&first, &end, t);
    for (size_t parity = 0; parity < 2 && parity * DEAL_SHARDS < shards; parity++) {
        const size_t group = first % 2 == parity ? first : first + 1;
        DT_TRY(dt_team_create(&t->dealers[parity], t->s->comm, group < end ? (int)group : -1));
    }
    return DT_OK;
}

/* Lengths of the texts begin … end of the step. */
static dt_status measure_texts(dt_trainer *t, const dt_source *source, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
        DT_TRY(source->kind->train_length(&t->deal.tokens[i], &t->batch.text, source,
                                          step_position(t) + i));
        const size_t more = dt_distractors(&t->config, step_position(t) + i);
        const size_t all = dt_min_size(t->deal.tokens[i] + more, t->shape.T);
        if (more > 0) t->deal.tokens[i] = (uint32_t)all;
    }
    return DT_OK;
}

/* Each rank of the team measures its share of the texts begin … end. After an error the step will
 * be dropped, and any lengths do. */
static dt_status measure_together(dt_trainer *t, dt_team *team, const dt_source *source,
                                  size_t begin, size_t end) {
    size_t from, to;
    dt_shard_range(&from, &to, end - begin, dt_team_size(team), dt_team_rank(team));
    const dt_status status = measure_texts(t, source, begin + from, begin + to);
    dt_watchdog_enter(t->watchdog, DT_PHASE_WAIT, t->state.step);
    DT_TRY(dt_team_share_numbers(team, t->deal.tokens + begin, end - begin));
    dt_watchdog_enter(t->watchdog, DT_PHASE_WORK, t->state.step);
    return status;
}

static dt_status deal_group(dt_trainer *t, const dt_source *source, size_t group) {
    /* The lengths of fewer are sooner computed than exchanged. */
    enum { TOGETHER = 4096 };
    const size_t batch = (size_t)t->config.batch, parts = dt_trainer_passes(&t->config);
    const size_t passes = passes_of_shard(&t->config), shards = (size_t)t->config.shards;
    const size_t first = group * DEAL_SHARDS * passes;
    const size_t last = dt_min_size((group + 1) * DEAL_SHARDS, shards) * passes;
    const size_t begin = dt_deal_start(batch, parts, first),
                 end = dt_deal_start(batch, parts, last);
    dt_team *team = t->dealers[group % 2];
    const dt_status status = team && end - begin >= TOGETHER
                                 ? measure_together(t, team, source, begin, end)
                                 : measure_texts(t, source, begin, end);
    if (status == DT_OK) dt_deal_texts(&t->deal, batch, parts, first, last);
    return status;
}

dt_status dt_trainer_deal(dt_trainer *t) {
    const dt_source source = dt_trainer_source(t);
    const size_t batch = (size_t)t->config.batch, parts = dt_trainer_passes(&t->config);
    /* A replay changes the batch size where the run did. */
    DT_REQUIRE(batch <= t->deal.texts && parts <= t->deal.parts, DT_ERR_INTERNAL,
               "a step has %zu texts in %zu parts, with room for %zu in %zu", batch, parts,
               t->deal.texts, t->deal.parts);
    size_t first, end;
    own_groups(&first, &end, t);
    dt_status status = DT_OK;
    /* Even groups before odd ones: then no two ranks wait for each other. After an error, too, the
     * other dealers of a group wait. */
    for (size_t parity = 0; parity < 2; parity++) {
        for (size_t group = first + (first + parity) % 2; group < end; group += 2) {
            const dt_status dealt = deal_group(t, &source, group);
            if (status == DT_OK || dealt == DT_ERR_COMM) status = dealt;
            if (dealt == DT_ERR_COMM) return dealt;
        }
    }
    return status;
}

/* Texts first … first + count - 1 of the step, as dealt. */
static dt_status fill_dealt(dt_trainer *t, size_t first, size_t count) {
    const dt_source source = dt_trainer_source(t);
    dt_batch_clear(&t->batch);
    for (size_t i = first; i < first + count; i++) {
        DT_TRY(dt_source_train(&t->batch, &source, step_position(t) + t->deal.order[i]));
    }
    return DT_OK;
}

/* The gradient of the current shard, on its way to the reducer. */
typedef struct {
    dt_trainer *t;
    dt_buffer *gradient;
    size_t rest;  /* elements 0 … rest-1 are still in work */
    bool overlap; /* the sum over the nodes begins while the backward pass goes on */
} handover;

/* Elements from `from` on are complete: copy them to the host. */
static dt_status fetch(handover *h, size_t from) {
    dt_backend *device = h->t->s->device;
    DT_TRY(device->op->pull(device, dt_floats(h->gradient, from), h->rest - from));
    h->rest = from;
    return DT_OK;
}

static dt_status hand_over(handover *h, size_t from) {
    dt_backend *device = h->t->s->device;
    DT_TRY(fetch(h, from));
    DT_TRY(device->op->finish(device));
    dt_reducer_finish(h->t->reducer, from);
    return DT_OK;
}

/* During the backward pass of a shard, completed gradients are copied from the device; those of
 * this rank's last shard are already summed over the nodes. */
static dt_status on_backward(void *context, size_t from) {
    /* Fewer elements are not worth a message or a wait for the device. */
    enum { WORTHWHILE = 16 * 1024 };
    handover *h = context;
    if (h->rest - from >= WORTHWHILE) DT_TRY(h->overlap ? hand_over(h, from) : fetch(h, from));
    return h->overlap ? dt_reducer_progress(h->t->reducer) : DT_OK;
}

/* Forward and backward over one shard, a micro-batch at a time, into its gradient buffer. A signal
 * ends it early. */
static dt_status shard_backward(dt_trainer *t, dt_score *score, double *tokens, dt_buffer *gradient,
                                size_t shard, bool last) {
    dt_backend *device = t->s->device;
    handover h = {t, gradient, t->layout.count, last && dt_reducer_overlaps(t->reducer)};
    const size_t passes = passes_of_shard(&t->config), end = pass_start(&t->config, shard + 1, 0);
    DT_TRY(device->op->fill_zero(device, dt_floats(gradient, 0), t->layout.count));
    for (size_t pass = 0; pass < passes && !dt_signals_stop(); pass++) {
        const size_t first = pass_start(&t->config, shard, pass);
        const size_t count = pass_start(&t->config, shard, pass + 1) - first;
        if (count == 0) continue;
        const dt_step_key key = {.seed = (uint64_t)t->config.seed,
                                 .step = (uint32_t)t->state.step,
                                 .first_problem = first};
        DT_TRY(fill_dealt(t, first, count));
        dt_model_watch(t->model, first + count == end ? on_backward : NULL, &h);
        const dt_status status = dt_model_backward(t->model, score, gradient, &t->batch, &key);
        dt_model_watch(t->model, NULL, NULL);
        DT_TRY(status);
        *tokens += (double)t->batch.tokens;
        dt_watchdog_beat(t->watchdog);
    }
    return hand_over(&h, 0);
}

/* Room for the step's row: rank 0 alone must not run out of memory inside the update, of which the
 * other ranks would not know. */
static dt_status reserve_row(dt_trainer *t) {
    const dt_metrics *m = &t->metrics;
    if (dt_comm_rank(t->s->comm) > 0 || m->train_count < m->train_capacity) return DT_OK;
    dt_writer_lock(t->writer);
    const dt_status status = dt_metrics_reserve_train(&t->metrics);
    dt_writer_unlock(t->writer);
    return status;
}

/* Passes over this rank's shards; *mine: what there is to report. */
static dt_status own_shards(dt_trainer *t, dt_report *mine) {
    size_t begin, end;
    dt_shard_range(&begin, &end, (size_t)t->config.shards, dt_comm_size(t->s->comm),
                   dt_comm_rank(t->s->comm));
    double *loss = dt_trainer_report_losses(t);
    dt_status status = reserve_row(t);
    /* In any case: large batches are dealt together. */
    const dt_status dealt = dt_trainer_deal(t);
    if (status == DT_OK || dealt == DT_ERR_COMM) status = dealt;
    for (size_t shard = begin; shard < end; shard++) {
        dt_score score = {0};
        const size_t slot = dt_reducer_begin_shard(t->reducer);
        if (status == DT_OK) {
            status =
                shard_backward(t, &score, &mine->tokens, t->slot[slot], shard, shard + 1 == end);
        }
        dt_reducer_end_shard(t->reducer);
        loss[shard - begin] = score.loss;
        mine->scored += score.scored;
    }
    mine->stop = dt_signals_stop() != 0;
    mine->failed = status != DT_OK;
    mine->energy = dt_energy_note(t->energy);
    return status;
}

/* Report; an error of the passes becomes that of all ranks. */
static dt_status share(dt_trainer *t, dt_report *all, dt_report *mine, dt_status computed) {
    const uint64_t print = dt_owners_print(t);
    memcpy(&mine->print, &print, sizeof print);
    DT_TRY(dt_trainer_report(t, all, mine));
    /* All ranks have begun the step at about the same time. */
    dt_reducer_waited(t->reducer, all->arrived - mine->arrived);
    if (all->failed > 0) return dt_comm_agree(t->s->comm, computed);
    return all->print > 0 ? dt_trainer_compare_nodes(t) : DT_OK;
}

/* The sum of the gradients, for the slice of this rank. */
typedef struct {
    dt_buffer *buffer; /* attached to the sum; NULL: not yet */
    size_t begin, end;
} summed;

/* Sum the gradients, and on the first node the squares of this rank's slice block by block. Does
 * not change the state. */
static dt_status sum_gradients(dt_trainer *t, summed *sum) {
    dt_backend *host = t->s->host;
    float *memory;
    DT_TRY(dt_reducer_sum(t->reducer, &memory, &sum->begin, &sum->end));
    DT_TRY(host->op->buffer_attach(&sum->buffer, host, memory, t->layout.count * sizeof(float),
                                   "the summed gradient"));
    if (dt_comm_node(t->s->comm) > 0) return DT_OK;
    return dt_norm_blocks(t->blocks, host, dt_floats(sum->buffer, 0), t->layout.count, sum->begin,
                          sum->end);
}

/* Updates this rank's slice of the averaged weights. The average covers a share of the steps so
 * far, so that early weights, which are far from the final ones, have little effect. Source: Shamir
 * and Zhang 2013, arXiv:1212.1824, polynomial-decay averaging. */
static dt_status average(dt_trainer *t, const summed *sum) {
    if (!t->average) return DT_OK;
    const double reach = t->config.average * (double)(t->state.step + 1);
    /* Wait until all matrices of the node are updated. */
    DT_TRY(dt_comm_node_barrier(t->s->comm));
    return t->s->host->update->average(t->s->host, dt_floats(t->average, sum->begin),
                                       dt_floats(t->weights, sum->begin), sum->end - sum->begin,
                                       (float)(reach > 1 ? 1 / reach : 1));
}

/* The update of this rank's slice and matrices, unless something is not finite: then nothing
 * changes, on any rank. */
static dt_status update(dt_trainer *t, const dt_train_row *row, const summed *sum, double scored) {
    const dt_tensor gradient = dt_floats(sum->buffer, 0);
    const double scale = dt_clip_factor(row->grad_norm, t->config.clip) / scored;
    DT_TRY(dt_optimizer_update(t->s->host, t->weights, t->m, t->v, gradient, &t->layout, sum->begin,
                               sum->end, &t->config, t->state.step, scale));
    DT_TRY(dt_owners_update(t, gradient, scale));
    return average(t, sum);
}

void dt_trainer_enter_energy(dt_trainer *t, double *joules, const dt_energy_part *sum) {
    *joules = t->joules_before;
    if (t->metrics.history_count == 0) return;
    dt_history_row *row = &t->metrics.history[t->metrics.history_count - 1];
    dt_energy_enter(row, t->energy, sum);
    if (isfinite(row->joules)) *joules = row->joules + (isnan(*joules) ? 0 : *joules);
}

/* The update and all counters. Rank 0 has locked the state against snapshots. */
static dt_status finish_step(dt_trainer *t, dt_train_row *row, const summed *sum,
                             const dt_report *all, double start, bool *skipped) {
    row->step = t->state.step;
    row->loss = all->loss / all->scored;
    row->grad_norm = sqrt(all->square) / all->scored;
    row->lr = dt_schedule_lr(&t->config, t->state.step);
    row->tokens = (int64_t)all->tokens;
    *skipped = !isfinite(row->grad_norm) || !isfinite(row->loss);
    /* After this barrier other ranks may change weights. */
    DT_TRY(dt_comm_node_barrier(t->s->comm));
    const double begin = dt_seconds_now();
    if (!*skipped) DT_TRY(update(t, row, sum, all->scored));
    DT_TRY(dt_comm_node_barrier(t->s->comm));
    t->updating += dt_seconds_now() - begin;
    row->seconds = dt_seconds_now() - start;
    t->state.step++;
    t->state.tokens += row->tokens;
    t->state.problems += t->config.batch;
    t->state.seconds += row->seconds;
    t->state.skipped += *skipped;
    if (dt_comm_rank(t->s->comm) > 0) return DT_OK;
    dt_trainer_enter_energy(t, &row->joules, &all->energy);
    return dt_metrics_add_train(&t->metrics, row);
}

/* Copy the new weights to this rank's device. The step is complete even if that fails. */
static dt_status refresh_device(dt_trainer *t) {
    dt_backend *device = t->s->device;
    const dt_status status =
        device->op->push(device, dt_floats(t->device_weights, 0), t->layout.count);
    return device == t->s->host ? status : dt_comm_agree(t->s->comm, status);
}

dt_status dt_trainer_end_job(dt_status status) {
    return status == DT_OK ? DT_OK
                           : dt_error_adopt(DT_ERR_COMM, dt_error_location(), dt_error_text());
}

dt_status dt_trainer_step(dt_trainer *t, dt_train_row *row, dt_step_request *request) {
    const double start = dt_seconds_now();
    dt_report all, mine = {.stop_after = request->stop_after,
                           .checkpoint = request->checkpoint,
                           .asked = request->asked};
    summed sum = {0};
    dt_watchdog_enter(t->watchdog, DT_PHASE_WORK, t->state.step);
    const dt_status computed = own_shards(t, &mine);
    /* After a failed message the other ranks cannot be told. */
    if (computed == DT_ERR_COMM) return computed;
    /* One phase until all ranks have exchanged their reports: a rank that is done with its slice
     * goes on, while others of its node wait for another node. */
    dt_watchdog_enter(t->watchdog, DT_PHASE_WAIT, t->state.step);
    dt_status status;
    mine.arrived = dt_seconds_now() - start;
    DT_TRY_DONE(dt_trainer_end_job(sum_gradients(t, &sum)));
    const double arrived = dt_seconds_now();
    DT_TRY_DONE(share(t, &all, &mine, computed));
    t->waiting += dt_seconds_now() - arrived;
    request->stop = all.stop > 0;
    request->stop_after = all.stop_after > 0;
    request->checkpoint = all.checkpoint > 0;
    request->asked = all.asked > 0;
    request->skipped = false;
    *row = (dt_train_row){.step = t->state.step};
    if (request->stop) goto done;
    dt_watchdog_enter(t->watchdog, DT_PHASE_WAIT, t->state.step);
    dt_writer_begin_update(t->writer);
    dt_watchdog_enter(t->watchdog, DT_PHASE_WAIT, t->state.step);
    status = dt_trainer_end_job(finish_step(t, row, &sum, &all, start, &request->skipped));
    /* After an error the state is not whole: it stays locked. */
    if (status == DT_OK) {
        dt_writer_end_update(t->writer);
        status = refresh_device(t);
    }
done:
    if (sum.buffer) t->s->host->op->buffer_destroy(&sum.buffer, t->s->host);
    return status;
}
