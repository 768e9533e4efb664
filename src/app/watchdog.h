/* Each rank of a node sees how far the others are; who stands still for too long ends the job
 * instead of the walltime. */
#ifndef DTRAIN_WATCHDOG_H
#define DTRAIN_WATCHDOG_H

#include "app.h"

typedef struct watchdog watchdog;

/* Before the whole job is ended: a last chance to save what there is. Called by rank 0, in the
 * watchdog's thread. */
typedef void watchdog_last_words(void *context);

/**
 * Start a thread that watches the ranks of this node. Time in which this process itself was
 * suspended does not count. Collective.
 *
 * @param timeout  seconds without progress; 0: nobody watches
 */
dt_status watchdog_open(watchdog **w, dt_comm *comm, double timeout, watchdog_last_words *save,
                        void *context);

/* Collective. Leaves NULL. */
void watchdog_close(watchdog **w);

/* Between two phases all ranks meet. */
typedef enum { PHASE_WORK, PHASE_WAIT } phase_kind;

/* This rank begins a phase: work of its own, or waiting for the others. All ranks enter the same
 * phases in the same order, which is how those that are behind are found. NULL: nothing to do. */
void watchdog_enter(watchdog *w, phase_kind kind, int64_t step);

/* This rank has come one piece further in its phase; cheap. */
void watchdog_beat(watchdog *w);

#endif
