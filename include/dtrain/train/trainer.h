/* A run in memory: the shared windows, this rank's model and the measurements; and one step of it.
 */
#ifndef DTRAIN_TRAINER_H
#define DTRAIN_TRAINER_H

#include "dtrain/data/deal.h"
#include "dtrain/data/source.h"
#include "dtrain/optim/optim.h"
#include "dtrain/run/energy.h"
#include "dtrain/run/session.h"
#include "dtrain/run/watchdog.h"
#include "dtrain/run/writer.h"

typedef struct {
    dt_session *s;
    dt_config config;
    dt_model_shape shape;
    dt_layout layout;
    dt_source
        source; /* the training data, as opened; dt_trainer_source applies the current settings */
    dt_tokenizer *tokenizer; /* what it is read with; NULL: the data's own */

    /* One copy per node, in shared windows; `…_memory` are its floats. Training changes the
     * weights; their average is the resulting model (with --average 0 there is no average, and the
     * weights are the model). */
    dt_window *weights_window, *average_window, *m_window, *v_window, *blocks_window;
    dt_window
        *frozen_window; /* the base of adapters, as layout.frozen_bytes; NULL: there is none */
    dt_buffer *device_frozen;
    float *weights_memory, *average_memory, *m_memory, *v_memory;
    double *blocks;                       /* sum of squares of each block of the gradient */
    dt_buffer *weights, *average, *m, *v; /* the same for the host's backend */
    dt_buffer *device_weights;            /* and for the device, for training */
    dt_buffer *device_average;            /* and for evaluation; NULL: the weights */

    dt_reducer *reducer;
    dt_buffer **slot; /* (slots) gradient buffers, attached on the device */
    dt_model *model;
    dt_batch batch;
    dt_deal deal;        /* of the step's texts to the passes over the shards */
    dt_team *dealers[2]; /* ranks that deal to the same group of shards: of even and of odd groups,
                            of which this rank has shards; NULL: none, or it deals alone */

    /* What this rank reports in every step, and what all ranks do: the latter on rank 0. */
    double *report, *reports;

    dt_network network;
    dt_matrix *matrix; /* (matrices) that are updated as a whole; their workers are ranks of the job
                          if `divided`, else ranks of each node, by their number there */
    size_t matrices;
    bool divided;

    /* What a checkpoint holds; changed under the writer's lock. */
    dt_metrics metrics; /* complete on rank 0 only */
    dt_run_state state; /* the same on all ranks */

    bool given_weights; /* it began with those of another run, or of another folder */

    dt_text sample; /* what the model wrote at the last validation, in whole characters; empty:
                       nothing. Rank 0 only */

    double waiting;  /* seconds that this rank has waited for the other ranks' shards */
    double updating; /* seconds that it has spent on updates of the weights */

    dt_writer *writer;     /* rank 0 only, else NULL */
    dt_watchdog *watchdog; /* while training */
    dt_energy *energy;     /* NULL: it is not measured */
    double joules_before;  /* of earlier starts; NaN: not known */
} dt_trainer;

/* What a rank tells the others in every step, in addition to its gradient. */
typedef struct {
    bool stop;       /* out: a signal asked for a stop, and the step was not made */
    bool stop_after; /* in and out: this step is the last one there is time for */
    bool checkpoint; /* in and out: it is time for a checkpoint */
    bool asked;      /* in: USR2 has asked this rank for one since the last step; out: any rank */
    bool skipped;    /* out: a value was not finite, and nothing was updated */
} dt_step_request;

/* Windows, model and buffers for the configuration; weights and moments are zero. tokenizer: rank
 * 0's is what texts are read with; NULL: the data's own. Collective. */
dt_status dt_trainer_create(dt_trainer *t, dt_session *s, const dt_config *config,
                            const dt_tokenizer *tokenizer);
void dt_trainer_destroy(dt_trainer *t);

/* Set the precision in which the model computes from now on. Collective. */
dt_status dt_trainer_use_precision(dt_trainer *t, dt_precision precision);

/* The training data with the current settings; by reference. */
dt_source dt_trainer_source(const dt_trainer *t);

/* Fill the frozen weights from rank 0's checkpoint: an adapter whose base was read, or the base
 * itself; NULL on the other ranks. Nothing happens if nothing is frozen. dt_trainer_initialise or
 * dt_trainer_load must follow. Collective. */
dt_status dt_trainer_load_frozen(dt_trainer *t, const dt_checkpoint *checkpoint);

/* New weights, zero moments. No other thread may read the state meanwhile. Collective. */
dt_status dt_trainer_initialise(dt_trainer *t);

/* Load rank 0's checkpoint on all nodes; NULL on the other ranks. Its metrics move to the trainer.
 * No other thread may read the state meanwhile. Collective. */
dt_status dt_trainer_load(dt_trainer *t, dt_checkpoint *checkpoint, bool weights_only);

/* For an error of this rank alone while the others wait for it: the whole job must end. Turns it
 * into DT_ERR_COMM, which skips all collective operations and makes main end the job. */
dt_status dt_trainer_end_job(dt_status status);

/* Number of forward and backward passes of a step, over all shards; some are empty if there are few
 * texts. */
size_t dt_trainer_passes(const dt_config *config);

/* Find out with whom this rank deals texts to shards. Collective. */
dt_status dt_trainer_find_dealers(dt_trainer *t);

/* Deal the texts of the next step to the shards and their passes; dt_trainer_step does this too. */
dt_status dt_trainer_deal(dt_trainer *t);

/**
 * One update, entered in the metrics. Collective.
 *
 * @param[out]    row      the measurements, the same on all ranks except for the seconds
 * @param[in,out] request  this rank's requests; afterwards those of all ranks
 * @return DT_ERR_DEVICE, on all ranks: a device has failed; the state is that of the last completed
 *   step
 */
dt_status dt_trainer_step(dt_trainer *t, dt_train_row *row, dt_step_request *request);

/**
 * Validation over all ranks, entered in the metrics. Collective.
 *
 * @param[out] improved     this validation is the best so far
 * @param[out] interrupted  a signal came: nothing was measured
 */
dt_status dt_trainer_validate(dt_trainer *t, dt_validation_row *row, bool *improved,
                              bool *interrupted);

/* Let the model write, if a validation at this step shows it. Collective. */
dt_status dt_trainer_sample(dt_trainer *t);

/* Whether enough validations in a row were no better, so that training ends. */
bool dt_trainer_patience_over(const dt_config *config, const dt_run_state *state);

/* Enter what all ranks have used so far in the history, and the total over all starts in *joules
 * (NaN: not known). The state is locked. Rank 0. */
void dt_trainer_enter_energy(dt_trainer *t, double *joules, const dt_energy_part *sum);

/* Use the averaged weights until dt_trainer_use_weights. Collective. */
dt_status dt_trainer_use_average(dt_trainer *t);
void dt_trainer_use_weights(dt_trainer *t);

/* The current state as a checkpoint, by reference; a dt_writer_view. */
void dt_trainer_view(dt_checkpoint *view, void *trainer);

/* Fill a batch with `count` training texts, starting at text `position` of the whole run. */
dt_status dt_trainer_fill_batch(dt_batch *batch, const dt_source *source, uint64_t position,
                                size_t count);

/* ---- when a run diverges ---- */

/**
 * Go back to the last healthy checkpoint, or to the beginning, and continue with other data.
 * Collective.
 *
 * @param before  go back to a step earlier than this one
 */
dt_status dt_trainer_roll_back(dt_trainer *t, int64_t before);

/* Whether all nodes hold the same weights, bit for bit; DT_ERR_UNAVAILABLE names the node that does
 * not. Collective. */
dt_status dt_trainer_compare_nodes(dt_trainer *t);

#endif
