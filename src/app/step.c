/* One step: this rank's shards forward and backward, the canonical sum, the update of this rank's
 * slice. */
#include <math.h>
#include <string.h>

#include "signals.h"
#include "trainer.h"
#include "trainer_shared.h"

dt_status fill_train_batch(dt_batch *batch, const dt_config *config, const dt_tokenizer *tokenizer,
                           uint64_t position, size_t count) {
    dt_batch_clear(batch);
    for (size_t i = 0; i < count; i++) {
        dt_problem problem;
        DT_TRY(dt_problem_train(&problem, config, position + i));
        DT_TRY(
            dt_batch_append(batch, &problem, position + i, (dt_format)config->format, tokenizer));
    }
    return DT_OK;
}

/* Problems of the global batch before shard s. */
static size_t shard_start(const dt_config *config, size_t s) {
    return (size_t)config->batch * s / (size_t)config->shards;
}

/* Where a step's problems begin. The batch size may have changed on the way: what counts is how
   many were used. Each rollback moves on to problems that no other branch of the run sees. */
static uint64_t step_position(const trainer *t) {
    return (uint64_t)t->state.problems + ((uint64_t)t->state.rollbacks << 40);
}

/* Forward and backward over one shard, a micro-batch at a time, into its gradient buffer. A signal
 * ends it early. */
static dt_status shard_backward(trainer *t, dt_score *score, double *tokens, dt_buffer *gradient,
                                size_t shard) {
    dt_backend *device = t->s->device;
    const size_t end = shard_start(&t->config, shard + 1);
    DT_TRY(device->op->fill_zero(device, (dt_tensor){gradient, 0}, t->layout.count));
    for (size_t first = shard_start(&t->config, shard); first < end && !signals_stop();
         first += (size_t)t->config.micro_batch) {
        const size_t count = dt_min_size((size_t)t->config.micro_batch, end - first);
        const dt_step_key key = {.seed = (uint64_t)t->config.seed,
                                 .step = (uint32_t)t->state.step,
                                 .first_problem = first};
        DT_TRY(
            fill_train_batch(&t->batch, &t->config, t->tokenizer, step_position(t) + first, count));
        DT_TRY(dt_model_backward(t->model, score, gradient, &t->batch, &key));
        *tokens += (double)t->batch.tokens;
        watchdog_beat(t->watchdog, BEAT_COMPUTE, t->state.step);
    }
    return device->op->pull(device, (dt_tensor){gradient, 0}, t->layout.count);
}

static dt_status own_shards(trainer *t, const step_request *request) {
    size_t begin, end;
    dt_shard_range(&begin, &end, (size_t)t->config.shards, dt_comm_size(t->s->comm),
                   dt_comm_rank(t->s->comm));
    dt_status status = DT_OK;
    for (size_t shard = begin; shard < end; shard++) {
        dt_score score = {0};
        double tokens = 0;
        const size_t slot = dt_reducer_begin_shard(t->reducer);
        if (status == DT_OK) status = shard_backward(t, &score, &tokens, t->slot[slot], shard);
        dt_reducer_end_shard(t->reducer);
        double *row = t->shared + shard * SHARED;
        row[SHARED_LOSS] = score.loss;
        row[SHARED_SCORED] = score.scored;
        row[SHARED_TOKENS] = tokens;
        row[SHARED_STOP] = signals_stop() != 0;
        row[SHARED_STOP_AFTER] = request->stop_after;
        row[SHARED_CHECKPOINT] = request->checkpoint;
        row[SHARED_FAILED] = status != DT_OK;
    }
    return status;
}

/* Tell the others, and add up in the order of the shards. */
static dt_status share(trainer *t, double total[SHARED], dt_status mine) {
    const size_t shards = (size_t)t->config.shards;
    DT_TRY(dt_comm_share(t->s->comm, t->shared, shards, SHARED));
    memset(total, 0, SHARED * sizeof *total);
    for (size_t shard = 0; shard < shards; shard++) {
        for (size_t k = 0; k < SHARED; k++) total[k] += t->shared[shard * SHARED + k];
    }
    return total[SHARED_FAILED] > 0 ? dt_comm_agree(t->s->comm, mine) : DT_OK;
}

/* Sum the gradients and take their norm over blocks: the same number on all ranks. *gradient:
 * attached to the sum. */
static dt_status sum_gradients(trainer *t, dt_buffer **gradient, size_t *begin, size_t *end,
                               double *norm) {
    dt_backend *host = t->s->host;
    const size_t count = t->layout.count, blocks = (count + DT_NORM_BLOCK - 1) / DT_NORM_BLOCK;
    float *sum;
    DT_TRY(dt_reducer_sum(t->reducer, &sum, begin, end));
    DT_TRY(host->op->buffer_attach(gradient, host, sum, count, "the summed gradient"));
    DT_TRY(dt_norm_blocks(t->blocks, host, (dt_tensor){*gradient, 0}, count, *begin, *end));
    /* From here on other ranks may change weights: rank 0 has closed the state to snapshots before.
     */
    DT_TRY(dt_comm_node_barrier(t->s->comm));
    double square = 0;
    for (size_t i = 0; i < blocks; i++) square += t->blocks[i];
    *norm = sqrt(square);
    return DT_OK;
}

/* The update of this rank's slice, unless something is not finite: then nothing changes, on any
 * rank. */
static dt_status update(trainer *t, dt_train_row *row, double scored, bool *skipped) {
    dt_backend *host = t->s->host;
    dt_buffer *gradient = NULL;
    size_t begin, end;
    dt_status status;
    DT_TRY_DONE(sum_gradients(t, &gradient, &begin, &end, &row->grad_norm));
    row->grad_norm /= scored;
    *skipped = !isfinite(row->grad_norm) || !isfinite(row->loss);
    if (!*skipped) {
        const double scale = dt_clip_factor(row->grad_norm, t->config.clip) / scored;
        DT_TRY_DONE(dt_optimizer_update(host, t->weights, t->m, t->v, (dt_tensor){gradient, 0},
                                        &t->layout, begin, end, &t->config, t->state.step, scale));
        DT_TRY_DONE(dt_optimizer_update_matrices(
            host, t->weights, t->m, (dt_tensor){gradient, 0}, &t->layout,
            dt_comm_local_rank(t->s->comm), dt_comm_local_size(t->s->comm), &t->config,
            t->state.step, scale));
    }
    DT_TRY_DONE(dt_comm_node_barrier(t->s->comm));
    DT_TRY_DONE(
        t->s->device->op->push(t->s->device, (dt_tensor){t->device_weights, 0}, t->layout.count));
done:
    if (gradient) host->op->buffer_destroy(&gradient, host);
    return status;
}

static dt_status finish_step(trainer *t, dt_train_row *row, const double total[SHARED],
                             double start, bool *skipped) {
    row->step = t->state.step;
    row->loss = total[SHARED_LOSS] / total[SHARED_SCORED];
    row->lr = dt_schedule_lr(&t->config, t->state.step);
    row->tokens = (int64_t)total[SHARED_TOKENS];
    DT_TRY(update(t, row, total[SHARED_SCORED], skipped));
    row->seconds = seconds_now() - start;
    t->state.step++;
    t->state.tokens += row->tokens;
    t->state.problems += t->config.batch;
    t->state.seconds += row->seconds;
    t->state.skipped += *skipped;
    return dt_comm_rank(t->s->comm) == 0 ? dt_metrics_add_train(&t->metrics, row) : DT_OK;
}

dt_status trainer_step(trainer *t, dt_train_row *row, step_request *request) {
    const double start = seconds_now();
    double total[SHARED];
    watchdog_beat(t->watchdog, BEAT_COMPUTE, t->state.step);
    const dt_status computed = own_shards(t, request);
    watchdog_beat(t->watchdog, BEAT_WAIT, t->state.step);
    DT_TRY(share(t, total, computed));
    request->stop = total[SHARED_STOP] > 0;
    request->stop_after = total[SHARED_STOP_AFTER] > 0;
    request->checkpoint = total[SHARED_CHECKPOINT] > 0;
    request->skipped = false;
    *row = (dt_train_row){.step = t->state.step};
    if (request->stop) return DT_OK;
    writer_lock(t->writer);
    const dt_status status = finish_step(t, row, total, start, &request->skipped);
    writer_unlock(t->writer);
    return status;
}
