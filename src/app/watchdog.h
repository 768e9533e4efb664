/* Each rank of a node sees how far the others are; who stands still for too long ends the job
 * instead of the walltime. */
#ifndef DTRAIN_WATCHDOG_H
#define DTRAIN_WATCHDOG_H

#include "app.h"

typedef struct watchdog watchdog;

/* Before the whole job is ended: a last chance to save what there is. Called on rank 0's node, by
 * rank 0, in the watchdog's thread. */
typedef void watchdog_last_words(void *context);

/**
 * Start a thread that watches the ranks of this node. Collective.
 *
 * @param timeout  seconds without progress; 0: the watchdog only keeps the beats
 */
dt_status watchdog_open(watchdog **w, dt_comm *comm, double timeout, watchdog_last_words *save,
                        void *context);

/* Collective. Leaves NULL. */
void watchdog_close(watchdog **w);

/* What this rank is about to do. */
typedef enum { BEAT_COMPUTE, BEAT_WAIT } beat_kind;

/* This rank has come one piece further; cheap. */
void watchdog_beat(watchdog *w, beat_kind next, int64_t step);

#endif
