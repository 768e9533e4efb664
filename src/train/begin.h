/* The first things a start does, once it has been decided and all memory is there. */
#ifndef DTRAIN_BEGIN_H
#define DTRAIN_BEGIN_H

#include "dtrain/train/start.h"
#include "dtrain/train/trainer.h"

/* Fill the trainer as planned, enter this start in the history, and say what begins or goes on; on
 * rank 0 *checkpoint is used up. Collective. */
dt_status dt_begin(dt_trainer *t, const dt_start_plan *plan, dt_checkpoint *checkpoint);

/* The links that a start which failed or was killed could not make. */
void dt_begin_links(const dt_start_plan *plan);

#endif
