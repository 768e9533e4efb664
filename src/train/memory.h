/* Checks that a run fits into memory, before it allocates. */
#ifndef DTRAIN_TRAIN_MEMORY_H
#define DTRAIN_TRAIN_MEMORY_H

#include "dtrain/train/trainer.h"

/* Compare what the trainer will need with the limits of the system. Collective. DT_ERR_MEMORY. */
dt_status dt_trainer_check_memory(const dt_trainer *t);

/* Let --micro-batch auto be a number: the largest that fits into memory and caches, on all ranks.
 * Collective. */
dt_status dt_trainer_choose_micro_batch(dt_trainer *t);

#endif
