/* One step: this rank's shards forward and backward, the canonical sum, the update of this rank's slice. */
#include <math.h>
#include <string.h>

#include "trainer.h"
#include "trainer_shared.h"

dt_status fill_train_batch(dt_batch *batch, const dt_config *config, const dt_tokenizer *tokenizer, int64_t step, size_t first,
                           size_t count) {
    dt_batch_clear(batch);
    for (size_t i = 0; i < count; i++) {
        const uint64_t position = (uint64_t)step * (uint64_t)config->batch + first + i;
        dt_problem problem;
        DT_TRY(dt_problem_train(&problem, config, position));
        DT_TRY(dt_batch_append(batch, &problem, position, (dt_format)config->format, tokenizer));
    }
    return DT_OK;
}

/* Problems of the global batch before shard s. */
static size_t shard_start(const dt_config *config, size_t s) {
    return (size_t)config->batch * s / (size_t)config->shards;
}

/* Forward and backward over one shard, a micro-batch at a time, into its gradient buffer. */
static dt_status shard_backward(trainer *t, dt_score *score, double *tokens, dt_buffer *gradient, size_t shard) {
    dt_backend *device = t->s->device;
    const size_t end = shard_start(&t->config, shard + 1);
    DT_TRY(device->op->fill_zero(device, (dt_tensor){gradient, 0}, t->layout.count));
    for (size_t first = shard_start(&t->config, shard); first < end; first += (size_t)t->config.micro_batch) {
        const size_t count = dt_min_size((size_t)t->config.micro_batch, end - first);
        const dt_step_key key = {.seed = (uint64_t)t->config.seed, .step = (uint32_t)t->state.step, .first_problem = first};
        DT_TRY(fill_train_batch(&t->batch, &t->config, t->tokenizer, t->state.step, first, count));
        DT_TRY(dt_model_backward(t->model, score, gradient, &t->batch, &key));
        *tokens += (double)t->batch.tokens;
    }
    return device->op->pull(device, (dt_tensor){gradient, 0}, t->layout.count);
}

static dt_status own_shards(trainer *t, const step_request *request) {
    size_t begin, end;
    dt_shard_range(&begin, &end, (size_t)t->config.shards, dt_comm_size(t->s->comm), dt_comm_rank(t->s->comm));
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
        row[SHARED_CORRECT] = score.correct;
        row[SHARED_PROBLEMS] = score.problems;
        row[SHARED_EXACT] = score.exact;
        row[SHARED_TOKENS] = tokens;
        row[SHARED_STOP] = request->stop;
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

/* Sum the gradients, take their norm over blocks, update this rank's slice. */
static dt_status update(trainer *t, double *norm, double scored) {
    dt_backend *host = t->s->host;
    const size_t count = t->layout.count, blocks = (count + DT_NORM_BLOCK - 1) / DT_NORM_BLOCK;
    float *sum;
    size_t begin, end;
    DT_TRY(dt_reducer_sum(t->reducer, &sum, &begin, &end));
    dt_buffer *gradient = NULL;
    DT_TRY(host->op->buffer_attach(&gradient, host, sum, count, "the summed gradient"));
    dt_status status = dt_norm_blocks(t->blocks, host, (dt_tensor){gradient, 0}, count, begin, end);
    DT_TRY_DONE(dt_comm_node_barrier(t->s->comm));
    double square = 0;
    for (size_t i = 0; i < blocks; i++) square += t->blocks[i];
    *norm = sqrt(square) / scored;
    DT_REQUIRE_DONE(isfinite(*norm), DT_ERR_UNAVAILABLE,
                    "the gradient of step %lld is not finite: the run has diverged; lower --lr, or raise --warmup or --clip",
                    (long long)t->state.step);
    DT_TRY_DONE(dt_optimizer_update(host, t->weights, t->m, t->v, (dt_tensor){gradient, 0}, &t->layout, begin, end, &t->config,
                                    t->state.step, dt_clip_factor(*norm, t->config.clip) / scored));
    DT_TRY_DONE(dt_comm_node_barrier(t->s->comm));
    DT_TRY_DONE(t->s->device->op->push(t->s->device, (dt_tensor){t->device_weights, 0}, count));
done:
    host->op->buffer_destroy(&gradient, host);
    return status;
}

dt_status trainer_step(trainer *t, dt_train_row *row, step_request *request) {
    const double start = seconds_now();
    double total[SHARED], norm = 0;
    DT_TRY(share(t, total, own_shards(t, request)));
    DT_TRY(update(t, &norm, total[SHARED_SCORED]));
    *row = (dt_train_row){
        .step = t->state.step,
        .loss = total[SHARED_LOSS] / total[SHARED_SCORED],
        .lr = dt_schedule_lr(&t->config, t->state.step),
        .grad_norm = norm,
        .tokens = (int64_t)total[SHARED_TOKENS],
        .seconds = seconds_now() - start,
    };
    request->stop = total[SHARED_STOP] > 0;
    request->checkpoint = total[SHARED_CHECKPOINT] > 0;
    t->state.step++;
    t->state.tokens += row->tokens;
    t->state.problems += (int64_t)total[SHARED_PROBLEMS];
    t->state.seconds += row->seconds;
    return DT_OK;
}

dt_status trainer_validate(trainer *t, dt_validation_row *row, bool *improved) {
    const double start = seconds_now();
    eval_result *result;
    DT_TRY(dt_comm_agree(t->s->comm, dt_memory_alloc(&result, 1, sizeof *result, "evaluation")));
    const dt_status status = evaluate(result, t->s, t->model, &t->config, t->tokenizer, DT_VALIDATION,
                                      (size_t)t->config.eval_examples, false);
    const dt_score *total = &result->total;
    *row = (dt_validation_row){
        .step = t->state.step,
        .loss = total->loss / total->scored,
        .perplexity = exp(total->loss / total->scored),
        .token_accuracy = total->correct / total->scored,
        .exact_match = result->answered / total->problems,
        .seconds = seconds_now() - start,
    };
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const eval_cell sum = eval_operation(result, (dt_operation)op);
        row->exact_match_of[op] = sum.problems > 0 ? sum.exact / sum.problems : NAN;
    }
    dt_memory_free(&result);
    DT_TRY(status);
    *improved = row->exact_match > t->state.best;
    if (*improved) {
        t->state.best = row->exact_match;
        t->state.best_step = t->state.step;
    }
    return DT_OK;
}
