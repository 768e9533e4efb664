/* The state of a run: shared windows, their buffers, and how they are filled. */
#include <math.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/train/evaluate.h"
#include "dtrain/train/footprint.h"
#include "dtrain/train/trainer.h"
#include "memory.h"
#include "owners.h"
#include "report.h"

static dt_status open_windows(dt_trainer *t) {
    const size_t bytes = t->layout.count * sizeof(float);
    const size_t blocks = (t->layout.count + DT_NORM_BLOCK - 1) / DT_NORM_BLOCK;
    dt_comm *comm = t->s->comm;
    DT_TRY(dt_window_create(&t->weights_window, comm, bytes, "weights"));
    if (t->config.average > 0) {
        DT_TRY(dt_window_create(&t->average_window, comm, bytes, "averaged weights"));
        t->average_memory = dt_window_memory(t->average_window);
    }
    if (t->layout.frozen_bytes > 0)
        DT_TRY(dt_window_create(&t->frozen_window, comm, t->layout.frozen_bytes,
                                "weights of the base"));
    DT_TRY(dt_window_create(&t->m_window, comm, bytes, "first moments"));
    DT_TRY(dt_window_create(&t->v_window, comm, bytes, "second moments"));
    DT_TRY(dt_window_create(&t->blocks_window, comm, blocks * sizeof(double), "norms of blocks"));
    t->weights_memory = dt_window_memory(t->weights_window);
    t->m_memory = dt_window_memory(t->m_window);
    t->v_memory = dt_window_memory(t->v_window);
    t->blocks = dt_window_memory(t->blocks_window);
    return DT_OK;
}

static dt_status create_reducer(dt_trainer *t) {
    dt_owned *owned;
    DT_TRY(dt_comm_agree(t->s->comm, dt_owners_list(&owned, t)));
    const dt_reducer_plan plan = {.count = t->layout.count,
                                  .shards = (size_t)t->config.shards,
                                  .block = DT_NORM_BLOCK,
                                  .transport = (dt_transport)t->config.transport,
                                  .exchange = (dt_exchange_kind)t->config.exchange,
                                  .network = t->network,
                                  .owned = owned,
                                  .owned_count = owned ? t->matrices : 0};
    const dt_status status = dt_reducer_create(&t->reducer, t->s->comm, &plan);
    dt_memory_free(&owned);
    return status;
}

static dt_status attach(dt_trainer *t) {
    dt_backend *host = t->s->host, *device = t->s->device;
    const size_t bytes = t->layout.count * sizeof(float), slots = dt_reducer_slots(t->reducer);
    DT_TRY(host->op->buffer_attach(&t->weights, host, t->weights_memory, bytes, "weights"));
    DT_TRY(host->op->buffer_attach(&t->m, host, t->m_memory, bytes, "first moments"));
    DT_TRY(host->op->buffer_attach(&t->v, host, t->v_memory, bytes, "second moments"));
    DT_TRY(
        device->op->buffer_attach(&t->device_weights, device, t->weights_memory, bytes, "weights"));
    if (t->frozen_window)
        DT_TRY(device->op->buffer_attach(&t->device_frozen, device,
                                         dt_window_memory(t->frozen_window), t->layout.frozen_bytes,
                                         "weights of the base"));
    if (t->average_memory) {
        DT_TRY(host->op->buffer_attach(&t->average, host, t->average_memory, bytes,
                                       "averaged weights"));
        DT_TRY(device->op->buffer_attach(&t->device_average, device, t->average_memory, bytes,
                                         "averaged weights"));
    }
    DT_TRY(dt_memory_alloc(&t->slot, slots, sizeof(dt_buffer *), "the table of gradient buffers"));
    for (size_t i = 0; i < slots; i++) {
        DT_TRY(device->op->buffer_attach(&t->slot[i], device, dt_reducer_slot(t->reducer, i), bytes,
                                         "gradients"));
    }
    return DT_OK;
}

static dt_status create_model(dt_trainer *t) {
    DT_TRY(dt_model_create(&t->model, t->s->device, &t->shape, t->device_weights,
                           dt_max_size(dt_footprint_texts(&t->config), DT_EVAL_CHUNK),
                           dt_footprint_tokens(&t->config, &t->shape)));
    if (t->device_frozen) dt_model_freeze(t->model, &t->layout, t->device_frozen);
    return DT_OK;
}

/* The part that needs no other rank. */
static dt_status open_model(dt_trainer *t) {
    const size_t problems = dt_footprint_texts(&t->config);
    DT_TRY(attach(t));
    DT_TRY(create_model(t));
    DT_TRY(dt_batch_create(&t->batch, problems, problems * t->shape.T));
    /* At most one pass per text, and one for each shard without texts. */
    DT_TRY(dt_deal_create(&t->deal, (size_t)t->config.batch,
                          (size_t)(t->config.batch + t->config.shards)));
    const size_t length = dt_trainer_report_length(t), ranks = dt_comm_size(t->s->comm);
    DT_TRY(dt_memory_alloc(&t->report, length, sizeof *t->report, "the report of a step"));
    if (dt_comm_rank(t->s->comm) > 0) return DT_OK;
    return dt_memory_alloc(&t->reports, ranks, length * sizeof *t->reports,
                           "the reports of all ranks");
}

static dt_status shape_of(dt_trainer *t) {
    DT_TRY(dt_source_open(&t->source, &t->config, t->tokenizer));
    DT_TRY(dt_model_shape_from(&t->shape, &t->config, dt_tokenizer_size(t->source.tokenizer)));
    DT_TRY(dt_session_check_matrices(t->s, &t->shape));
    return dt_layout_create(&t->layout, &t->shape);
}

/* Gives all ranks a copy of rank 0's vocabulary, if it has one. Collective. */
static dt_status share_vocabulary(dt_trainer *t, const dt_tokenizer *tokenizer) {
    dt_comm *comm = t->s->comm;
    dt_text bytes = {0};
    uint64_t length = 0;
    dt_status status = DT_OK;
    if (dt_comm_rank(comm) == 0 && tokenizer) status = dt_tokenizer_store(&bytes, tokenizer);
    DT_TRY_DONE(dt_comm_agree(comm, status));
    length = bytes.length;
    DT_TRY_DONE(dt_comm_broadcast(comm, &length, sizeof length));
    if (length == 0) goto done;
    DT_TRY_DONE(dt_comm_agree(comm, dt_text_reserve(&bytes, (size_t)length)));
    DT_TRY_DONE(dt_comm_broadcast(comm, bytes.bytes, (size_t)length));
    status = dt_comm_agree(comm, dt_tokenizer_load(&t->tokenizer, bytes.bytes, (size_t)length));
done:
    dt_text_destroy(&bytes);
    return status;
}

dt_status dt_trainer_create(dt_trainer *t, dt_session *s, const dt_config *config,
                            const dt_tokenizer *tokenizer) {
    *t = (dt_trainer){
        .s = s, .config = *config, .state = {.best = -1, .best_step = -1}, .joules_before = NAN};
    DT_TRY(share_vocabulary(t, tokenizer));
    DT_TRY(dt_comm_agree(s->comm, shape_of(t)));
    DT_TRY(dt_trainer_choose_micro_batch(t));
    DT_TRY(dt_trainer_check_memory(t));
    DT_TRY(open_windows(t));
    DT_TRY(dt_owners_decide(t));
    DT_TRY(create_reducer(t));
    DT_TRY(dt_trainer_find_dealers(t));
    return dt_comm_agree(s->comm, open_model(t));
}

dt_status dt_trainer_use_precision(dt_trainer *t, dt_precision precision) {
    const bool bfloat16 = precision == DT_PRECISION_BFLOAT16;
    if (t->shape.bfloat16 == bfloat16) return DT_OK;
    t->shape.bfloat16 = bfloat16;
    dt_model_destroy(&t->model);
    return dt_comm_agree(t->s->comm, create_model(t));
}

void dt_trainer_destroy(dt_trainer *t) {
    if (!t->s) return;
    dt_backend *host = t->s->host, *device = t->s->device;
    dt_model_destroy(&t->model);
    dt_batch_destroy(&t->batch);
    dt_deal_destroy(&t->deal);
    for (size_t parity = 0; parity < 2; parity++) dt_team_destroy(&t->dealers[parity]);
    dt_memory_free(&t->reports);
    dt_memory_free(&t->report);
    for (size_t i = 0; t->slot && i < dt_reducer_slots(t->reducer); i++) {
        if (t->slot[i]) device->op->buffer_destroy(&t->slot[i], device);
    }
    dt_memory_free(&t->slot);
    if (t->device_weights) device->op->buffer_destroy(&t->device_weights, device);
    if (t->device_frozen) device->op->buffer_destroy(&t->device_frozen, device);
    if (t->device_average) device->op->buffer_destroy(&t->device_average, device);
    dt_buffer **const own[] = {&t->weights, &t->average, &t->m, &t->v};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (*own[i]) host->op->buffer_destroy(own[i], host);
    }
    dt_energy_close(&t->energy);
    dt_reducer_destroy(&t->reducer);
    dt_memory_free(&t->matrix);
    dt_window_destroy(&t->blocks_window);
    dt_window_destroy(&t->v_window);
    dt_window_destroy(&t->m_window);
    dt_window_destroy(&t->frozen_window);
    dt_window_destroy(&t->average_window);
    dt_window_destroy(&t->weights_window);
    dt_source_close(&t->source);
    dt_tokenizer_destroy(&t->tokenizer);
    dt_layout_destroy(&t->layout);
    dt_metrics_clear(&t->metrics);
    dt_text_destroy(&t->sample);
    *t = (dt_trainer){0};
}

dt_source dt_trainer_source(const dt_trainer *t) { return dt_source_with(&t->source, &t->config); }

/* Wait until all ranks of a node see the weights, then copy them to the devices. */
static dt_status publish(dt_trainer *t) {
    dt_backend *device = t->s->device;
    DT_TRY(dt_comm_barrier(t->s->comm));
    dt_status status = device->op->push(device, dt_floats(t->device_weights, 0), t->layout.count);
    if (status == DT_OK && t->device_frozen)
        status = device->op->push(device, dt_floats(t->device_frozen, 0),
                                  t->layout.frozen_bytes / sizeof(float));
    return dt_comm_agree(t->s->comm, status);
}

/* A checkpoint of rank 0, or NULL. */
static dt_status take_frozen(dt_trainer *t, const dt_checkpoint *from) {
    void *frozen = dt_window_memory(t->frozen_window);
    if (!from) return DT_OK;
    if (!from->frozen)
        return dt_layout_fill_frozen(frozen, &t->layout, &from->layout, from->weights);
    DT_REQUIRE(from->layout.frozen_bytes == t->layout.frozen_bytes, DT_ERR_INTERNAL,
               "a base of %zu bytes for a model that needs %zu", from->layout.frozen_bytes,
               t->layout.frozen_bytes);
    memcpy(frozen, from->frozen, t->layout.frozen_bytes);
    return DT_OK;
}

dt_status dt_trainer_load_frozen(dt_trainer *t, const dt_checkpoint *checkpoint) {
    if (!t->frozen_window) return DT_OK;
    DT_TRY(dt_comm_agree(t->s->comm, take_frozen(t, checkpoint)));
    return dt_comm_broadcast_nodes(t->s->comm, dt_window_memory(t->frozen_window),
                                   t->layout.frozen_bytes);
}

dt_status dt_trainer_initialise(dt_trainer *t) {
    const size_t worker = dt_comm_local_rank(t->s->comm), workers = dt_comm_local_size(t->s->comm);
    size_t begin, end;
    /* Rank 0 locks the state against snapshots before it reaches this barrier; the others wait for
     * that. */
    DT_TRY(dt_comm_node_barrier(t->s->comm));
    dt_shard_range(&begin, &end, t->layout.count, workers, worker);
    float *const all[] = {t->weights_memory, t->m_memory, t->v_memory};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memset(all[i] + begin, 0, (end - begin) * sizeof *all[i]);
    /* Parameters cross the borders of these parts. */
    DT_TRY(dt_comm_node_barrier(t->s->comm));
    dt_model_initialise(t->weights_memory, &t->layout, (uint64_t)t->config.seed, worker, workers);
    if (t->average_memory) {
        DT_TRY(dt_comm_node_barrier(t->s->comm));
        memcpy(t->average_memory + begin, t->weights_memory + begin, (end - begin) * sizeof(float));
    }
    return publish(t);
}

/* Copy rank 0's block to every node. */
static dt_status spread(dt_trainer *t, float *window, const float *from) {
    const size_t bytes = t->layout.count * sizeof *window;
    if (from) memcpy(window, from, bytes);
    return dt_comm_broadcast_nodes(t->s->comm, window, bytes);
}

static dt_status check_fits(const dt_trainer *t, const dt_checkpoint *checkpoint) {
    DT_REQUIRE(!checkpoint || checkpoint->layout.count == t->layout.count, DT_ERR_INTERNAL,
               "a checkpoint of %zu weights for a model of %zu", checkpoint->layout.count,
               t->layout.count);
    return DT_OK;
}

dt_status dt_trainer_load(dt_trainer *t, dt_checkpoint *checkpoint, bool weights_only) {
    DT_TRY(dt_comm_agree(t->s->comm, check_fits(t, checkpoint)));
    const float *model = checkpoint ? checkpoint->weights : NULL;
    const float *iterate = checkpoint ? checkpoint->iterate : NULL;
    DT_TRY(spread(t, t->weights_memory, iterate ? iterate : model));
    if (t->average_memory) DT_TRY(spread(t, t->average_memory, model));
    if (weights_only) return publish(t);
    DT_TRY(spread(t, t->m_memory, checkpoint ? checkpoint->m : NULL));
    DT_TRY(spread(t, t->v_memory, checkpoint ? checkpoint->v : NULL));
    if (checkpoint) {
        dt_metrics_clear(&t->metrics);
        t->metrics = *checkpoint->metrics;
        *checkpoint->metrics = (dt_metrics){0};
        t->state = checkpoint->state;
    }
    DT_TRY(dt_comm_broadcast(t->s->comm, &t->state, sizeof t->state));
    return publish(t);
}

dt_status dt_trainer_use_average(dt_trainer *t) {
    dt_backend *device = t->s->device;
    if (!t->device_average) return DT_OK;
    DT_TRY(dt_comm_agree(
        t->s->comm, device->op->push(device, dt_floats(t->device_average, 0), t->layout.count)));
    dt_model_use_weights(t->model, t->device_average);
    return DT_OK;
}

void dt_trainer_use_weights(dt_trainer *t) { dt_model_use_weights(t->model, t->device_weights); }

void dt_trainer_view(dt_checkpoint *view, void *context) {
    dt_trainer *t = context;
    *view = (dt_checkpoint){
        .config = t->config,
        .shape = t->shape,
        .layout = t->layout,
        .tokenizer = t->tokenizer ? t->tokenizer : t->source.own_tokenizer,
        .weights = t->average_memory ? t->average_memory : t->weights_memory,
        .m = t->m_memory,
        .v = t->v_memory,
        .iterate = t->average_memory ? t->weights_memory : NULL,
        .metrics = &t->metrics,
        .state = t->state,
    };
}
