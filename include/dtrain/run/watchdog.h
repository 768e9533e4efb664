/* Each rank of a node sees how far the others are: a rank that stands still for too long ends the
 * job before the walltime does. */
#ifndef DTRAIN_WATCHDOG_H
#define DTRAIN_WATCHDOG_H

#include "dtrain/mpi/comm.h"

typedef struct dt_watchdog dt_watchdog;

/* Before the whole job is ended: a last chance to save what there is. Called by rank 0, in the
 * watchdog's thread. */
typedef void dt_watchdog_last_words(void *context);

/**
 * Start a thread that watches the ranks of this node. Time in which this process itself was
 * suspended does not count. Collective.
 *
 * @param timeout  seconds without progress; 0: nothing is watched
 */
dt_status dt_watchdog_open(dt_watchdog **w, dt_comm *comm, double timeout,
                           dt_watchdog_last_words *save, void *context);

/* Collective. Leaves NULL. */
void dt_watchdog_close(dt_watchdog **w);

/* Between two phases all ranks meet. */
typedef enum { DT_PHASE_WORK, DT_PHASE_WAIT } dt_phase_kind;

/* This rank begins a phase: work of its own, or waiting for the others. All ranks enter the same
 * phases in the same order, which is how those that are behind are found. NULL: nothing to do. */
void dt_watchdog_enter(dt_watchdog *w, dt_phase_kind kind, int64_t step);

/* This rank has come one piece further in its phase; cheap. */
void dt_watchdog_beat(dt_watchdog *w);

#endif
