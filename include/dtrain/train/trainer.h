/* A run in memory: the shared windows, this rank's model, what has been measured; one step of it.
 */
#ifndef DTRAIN_TRAINER_H
#define DTRAIN_TRAINER_H

#include "dtrain/data/deal.h"
#include "dtrain/data/source.h"
#include "dtrain/optim/optim.h"
#include "dtrain/run/session.h"
#include "dtrain/run/watchdog.h"
#include "dtrain/run/writer.h"

/* What a rank tells the others about each of its shards in every step: one small message instead of
 * several. All doubles, as dt_comm_share has them; flags are 0 or 1. */
typedef struct {
    double loss, scored, tokens; /* sums over the shard */
    double stop;                 /* at once: this step's gradients are not whole */
    double stop_after;           /* after this step */
    double checkpoint;           /* it is time for one */
    double asked;                /* how many checkpoints USR2 has asked this rank for so far */
    double failed;
} dt_shard_report;

typedef struct {
    dt_session *s;
    dt_config config;
    dt_model_shape shape;
    dt_layout layout;
    dt_source source; /* what it learns, as opened; dt_trainer_source has the settings of now */

    /* One copy per node, in shared windows; `…_memory` are its floats. The weights are those that
       training goes on with; the average is the model that comes of them (--average 0: there is
       none, it is the weights). */
    dt_window *weights_window, *average_window, *m_window, *v_window, *blocks_window;
    float *weights_memory, *average_memory, *m_memory, *v_memory;
    double *blocks;                       /* sum of squares of each block of the gradient */
    dt_buffer *weights, *average, *m, *v; /* the same for the host's backend */
    dt_buffer *device_weights;            /* and for the model, when it trains */
    dt_buffer *device_average;            /* and when it is looked at; NULL: the weights */

    dt_reducer *reducer;
    dt_buffer **slot; /* (slots) gradient buffers, attached on the device */
    dt_model *model;
    dt_batch batch;
    dt_deal deal;            /* of the step's texts to the passes over the shards */
    dt_shard_report *report; /* (shards) */

    /* Changed under the writer's lock: together they are what a checkpoint holds. */
    dt_metrics metrics; /* complete on rank 0 only */
    dt_run_state state; /* the same on all ranks */

    double waiting; /* seconds that this rank has waited for others to finish their shards */

    dt_writer *writer;     /* rank 0 only, else NULL */
    dt_watchdog *watchdog; /* while training */
} dt_trainer;

/* What a rank tells the others in every step, beside its gradient. */
typedef struct {
    bool stop;       /* out: a signal has asked for an end, and the step was not made */
    bool stop_after; /* in and out: this step is the last one there is time for */
    bool checkpoint; /* in and out: it is time for a checkpoint */
    int asked;       /* in: how often USR2 has asked this rank for one; out: the most of any rank */
    bool skipped;    /* out: something was not finite, so that nothing was updated */
} dt_step_request;

/* Windows, model and buffers for the configuration; weights and moments are zero. Collective. */
dt_status dt_trainer_create(dt_trainer *t, dt_session *s, const dt_config *config);
void dt_trainer_destroy(dt_trainer *t);

/* Whether the model computes in bfloat16 from here on. Collective. */
dt_status dt_trainer_use_precision(dt_trainer *t, dt_precision precision);

/* What it learns, by its settings of now; by reference. */
dt_source dt_trainer_source(const dt_trainer *t);

/* Fresh weights, moments of zero. No other thread may look at the state meanwhile. Collective. */
dt_status dt_trainer_initialise(dt_trainer *t);

/* Rank 0's checkpoint to all nodes; NULL on the other ranks. Its metrics move to the trainer.
   No other thread may look at the state meanwhile. Collective. */
dt_status dt_trainer_load(dt_trainer *t, dt_checkpoint *checkpoint, bool weights_only);

/* For an error of this rank alone, while the others wait for it: only the end of the whole job
 * helps. As DT_ERR_COMM it skips what all ranks do together, and main ends the job. */
dt_status dt_trainer_end_job(dt_status status);

/* Forward and backward passes of a step, over all shards; where texts are few some are empty. */
size_t dt_trainer_passes(const dt_config *config);

/* Deal the texts of the step to come out to the shards and their passes; dt_trainer_step does so,
 * too.
 */
dt_status dt_trainer_deal(dt_trainer *t);

/**
 * One update, entered in the metrics. Collective.
 *
 * @param[out]    row      what was measured, the same on all ranks but for the seconds
 * @param[in,out] request  this rank's requests; afterwards those of any rank
 * @return DT_ERR_DEVICE, on all ranks: a device has failed; the state is that of the last completed
 * step
 */
dt_status dt_trainer_step(dt_trainer *t, dt_train_row *row, dt_step_request *request);

/**
 * Validation over all ranks, entered in the metrics. Collective.
 *
 * @param[out] improved     it is the best so far
 * @param[out] interrupted  a signal came: nothing was measured
 */
dt_status dt_trainer_validate(dt_trainer *t, dt_validation_row *row, bool *improved,
                              bool *interrupted);

/* So many validations in a row were no better that training ends. */
bool dt_trainer_patience_over(const dt_config *config, const dt_run_state *state);

/* The model has the averaged weights until dt_trainer_use_weights. Collective. */
dt_status dt_trainer_use_average(dt_trainer *t);
void dt_trainer_use_weights(dt_trainer *t);

/* What a checkpoint of this moment holds, by reference; a dt_writer_view. */
void dt_trainer_view(dt_checkpoint *view, void *trainer);

/* Fill a batch with `count` training texts from `position` on, counted over the whole run. */
dt_status dt_trainer_fill_batch(dt_batch *batch, const dt_source *source, uint64_t position,
                                size_t count);

/* ---- when a run diverges ---- */

/**
 * Go back to the last healthy checkpoint, or to the beginning, and on over other data. Collective.
 *
 * @param before  only to steps before this one
 */
dt_status dt_trainer_roll_back(dt_trainer *t, int64_t before);

/* Whether all nodes hold the same weights, bit for bit; DT_ERR_UNAVAILABLE names the node that does
 * not. Collective. */
dt_status dt_trainer_compare_nodes(dt_trainer *t);

#endif
