/* When training's checkpoints are written, and what becomes of those that cannot be. Functions that
 * do not say otherwise are rank 0's. */
#ifndef DTRAIN_CHECKPOINTS_H
#define DTRAIN_CHECKPOINTS_H

#include "dtrain/train/trainer.h"

/* What is remembered between steps. */
typedef struct {
    double last;     /* dt_seconds_now() at the last one */
    double retry_at; /* when to repeat a failed write; 0: none failed */
    bool failing;    /* writes fail, and this has been said */
    int64_t written; /* the last checkpoint on disk when one failed */
    bool pending;    /* one is due but could not be taken yet */
    int asked[3];    /* those that USR2 had asked this rank for: at its last three looks */
} dt_checkpoints;

/* How urgent a checkpoint of this moment is. */
typedef enum {
    DT_CHECKPOINT_OWED, /* only if an earlier one could not be taken */
    DT_CHECKPOINT_DUE,  /* now, or as soon as the writer has room */
    DT_CHECKPOINT_MUST, /* now: exactly this state */
} dt_checkpoint_wish;

/* Whether one is due after this step, by steps or epochs; the same on all ranks. */
bool dt_checkpoints_due(const dt_trainer *t);

/* Whether USR2 has come to this rank since the last look; on every rank, before each step. */
bool dt_checkpoints_asked(dt_checkpoints *c);

/* Whether what USR2 asked any rank for is still to be written. */
bool dt_checkpoints_unanswered(const dt_checkpoints *c, const dt_step_request *request);

/* Whether one is due by the clock. */
bool dt_checkpoints_overdue(const dt_checkpoints *c, const dt_config *config);

/* Hand the current state to the writer, or warn that it cannot be. */
void dt_checkpoints_request(dt_checkpoints *c, dt_trainer *t, dt_checkpoint_wish wish);

/* A checkpoint is due, but these weights may be unfit for training: take it after a later step. */
void dt_checkpoints_postpone(dt_checkpoints *c);

/* Write the current state and wait for it; a write that fails is repeated. */
dt_status dt_checkpoints_write_last(dt_trainer *t);

/* For the watchdog, whose last words these are: other ranks are stuck or lost, and the job is about
 * to end. Saves the last completed step if it is whole, and says whether it did. trainer: a
 * dt_trainer. Any thread. */
void dt_checkpoints_save_at_end(void *trainer);

#endif
