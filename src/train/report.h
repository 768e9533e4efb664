/* What ranks tell one another in every step, in addition to gradients. */
#ifndef DTRAIN_TRAIN_REPORT_H
#define DTRAIN_TRAIN_REPORT_H

#include "dtrain/train/trainer.h"

/* Of one rank, or of all. Sums are over shards; flags are 0 or 1. All doubles, for
 * dt_comm_gather_rows. */
typedef struct {
    double scored, tokens; /* whole numbers: added in any order */
    double stop;           /* at once: this step's gradients are incomplete */
    double stop_after;     /* after this step */
    double checkpoint;     /* a checkpoint is due */
    double asked;          /* USR2 has asked for one since the last report */
    double failed;
    double
        arrived;   /* seconds from the beginning of the step to that of the sum; of all: the most */
    double print;  /* of one rank: dt_owners_print; of all: nodes have different weights */
    double loss;   /* of all ranks; those of a rank's shards follow its report */
    double square; /* of all ranks: sum of squares of the gradient */
    dt_energy_part energy;
} dt_report;

/* Doubles of a rank's report, with the losses of its shards. */
size_t dt_trainer_report_length(const dt_trainer *t);

/**
 * Report to rank 0, and get what all reports amount to. Collective.
 *
 * @param mine  also of this rank: the losses of its shards are in t->report already, after the room
 *   for it, and the squares of the gradient's blocks in t->blocks of the first node
 */
dt_status dt_trainer_report(dt_trainer *t, dt_report *all, const dt_report *mine);

/* Where the losses of this rank's shards belong. */
double *dt_trainer_report_losses(dt_trainer *t);

#endif
