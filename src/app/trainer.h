/* A run in memory: the shared windows, this rank's model, what has been measured; one step of it. */
#ifndef DTRAIN_TRAINER_H
#define DTRAIN_TRAINER_H

#include "app.h"

typedef struct {
    session *s;
    dt_config config;
    dt_model_shape shape;
    dt_layout layout;
    dt_tokenizer *tokenizer;

    /* One copy per node, in shared windows; `…_memory` are its floats. */
    dt_window *weights_window, *m_window, *v_window, *blocks_window;
    float *weights_memory, *m_memory, *v_memory;
    double *blocks; /* sum of squares of each block of the gradient */
    dt_buffer *weights, *m, *v; /* the same for the host's backend */
    dt_buffer *device_weights;  /* and for the model */

    dt_reducer *reducer;
    dt_buffer **slot; /* (slots) gradient buffers, attached on the device */
    dt_model *model;
    dt_batch batch;
    double *shared;   /* (shards, SHARED) what the ranks tell each other in every step */

    dt_metrics metrics;  /* complete on rank 0 only */
    dt_run_state state;  /* the same on all ranks */
} trainer;

/* What a rank tells the others in every step, beside its gradient. */
typedef struct {
    bool stop;       /* a signal has asked for an end */
    bool checkpoint; /* it is time for a checkpoint */
} step_request;

/* Windows, model and buffers for the configuration; weights and moments are zero. Collective. */
dt_status trainer_create(trainer *t, session *s, const dt_config *config);
void trainer_destroy(trainer *t);

/* Fresh weights. Collective. */
dt_status trainer_initialise(trainer *t);

/* Rank 0's checkpoint to all nodes; NULL on the other ranks. Its metrics move to the trainer. Collective. */
dt_status trainer_load(trainer *t, dt_checkpoint *checkpoint);

/**
 * One update. Collective.
 *
 * @param[out]    row       what was measured, the same on all ranks but for the seconds
 * @param[in,out] request   this rank's requests; afterwards those of any rank
 */
dt_status trainer_step(trainer *t, dt_train_row *row, step_request *request);

/* Validation over all ranks; updates the best value. *improved: it is the best so far. Collective. */
dt_status trainer_validate(trainer *t, dt_validation_row *row, bool *improved);

/* What a checkpoint of this moment holds, by reference. */
dt_checkpoint trainer_view(trainer *t);

/* ---- how a start begins ---- */

typedef enum { START_NEW, START_RESUME, START_FINISHED } start_kind;

/* Decided by rank 0, then the same on all. */
typedef struct {
    start_kind kind;
    dt_config config;
    dt_run_state state;
    char path[DT_PATH_MAX];    /* of the checkpoint that is resumed */
    char changed[256];         /* "lr 0.002 -> 0.001, …" */
} start_plan;

/* Look at the options and the run folder, decide, open the folder. On rank 0 *checkpoint holds what is resumed. Collective. */
dt_status start_decide(start_plan *plan, dt_checkpoint *checkpoint, session *s, const app_options *options);

#endif
