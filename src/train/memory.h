/* Checks that a run fits into memory, before it allocates. */
#ifndef DTRAIN_TRAIN_MEMORY_H
#define DTRAIN_TRAIN_MEMORY_H

#include "dtrain/train/trainer.h"

/**
 * Estimate what the trainer will need, and compare it with the limits of the system. Collective.
 *
 * @param tokens  the most of a micro-batch
 * @return DT_ERR_MEMORY
 */
dt_status dt_trainer_check_memory(const dt_trainer *t, size_t tokens);

#endif
