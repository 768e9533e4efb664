/* The first actions of a start, once it is decided and all memory is allocated. */
#ifndef DTRAIN_BEGIN_H
#define DTRAIN_BEGIN_H

#include "dtrain/train/start.h"
#include "dtrain/train/trainer.h"

/* Fill the trainer as planned, add this start to the history, and say what begins or continues; on
 * rank 0 *checkpoint is consumed. Collective. */
dt_status dt_begin(dt_trainer *t, const dt_start_plan *plan, dt_checkpoint *checkpoint);

/* Create the links that a failed or killed start could not create. */
void dt_begin_links(const dt_start_plan *plan);

#endif
