/* Each rank watches the progress of the other ranks of its node: if one makes none for too long,
 * the job ends before the walltime does. */
#ifndef DTRAIN_WATCHDOG_H
#define DTRAIN_WATCHDOG_H

#include "dtrain/mpi/comm.h"

typedef struct dt_watchdog dt_watchdog;

/* The last chance to save the state before the whole job ends. Called by rank 0, in the watchdog's
 * thread. */
typedef void dt_watchdog_last_words(void *context);

/**
 * Start a thread that watches the ranks of this node, from the start of the job on
 * (DT_PHASE_START). Time during which this process itself is suspended does not count. Collective.
 *
 * @param timeout  seconds without progress; 0: nothing is watched
 */
dt_status dt_watchdog_open(dt_watchdog **w, dt_comm *comm, double timeout,
                           dt_watchdog_last_words *save, void *context);

/* Collective. Leaves NULL. */
void dt_watchdog_close(dt_watchdog **w);

/* What `save` needs is about to be closed: it is not called any more. Returns whether it has not
 * been called before. NULL: true. */
bool dt_watchdog_forget_last_words(dt_watchdog *w);

/* All ranks synchronise between two phases. */
typedef enum {
    DT_PHASE_START, /* before the first step: work and waiting in turn, longer than in a step */
    DT_PHASE_WORK,
    DT_PHASE_WAIT,
    DT_PHASE_END, /* after the last one: the same, and the last checkpoint is written */
} dt_phase_kind;

/* This rank begins a phase: its own work, or waiting for others. All ranks enter the same phases in
 * the same order, so that the ranks that are behind can be found. At the start and at the end a
 * phase may take DT_STARTUP_SECONDS_MIN at least. NULL: nothing to do. */
void dt_watchdog_enter(dt_watchdog *w, dt_phase_kind kind, int64_t step);

/* This rank has made progress in its phase; cheap. */
void dt_watchdog_beat(dt_watchdog *w);

#endif
