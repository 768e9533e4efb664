/* Which rank updates which matrix. */
#ifndef DTRAIN_TRAIN_OWNERS_H
#define DTRAIN_TRAIN_OWNERS_H

#include "dtrain/train/trainer.h"

/* Measure the network, and decide whether each matrix is updated once in the job or once on each
 * node, and by whom. Collective. */
dt_status dt_owners_decide(dt_trainer *t);

/* The decision alone, of what dt_matrices_list has listed, for t->network. Not collective.
 * seconds: of one unit of dt_matrix_cost, on the slowest rank. */
dt_status dt_owners_share(dt_trainer *t, double seconds);

/* The matrices that only their owners need the gradient of, for a reducer; none if each node
 * updates all. (matrices), the caller's: dt_memory_free. */
dt_status dt_owners_list(dt_owned **owned, const dt_trainer *t);

/* A number that depends on each bit of this rank's part of the matrices on its node: the numbers of
 * a node's ranks together, by exclusive or, are those of every other node. */
uint64_t dt_owners_print(const dt_trainer *t);

/* The step's update of all matrices. Collective. */
dt_status dt_owners_update(dt_trainer *t, dt_tensor gradient, double scale);

#endif
