/* Checkpoints are written in the background by a thread of rank 0, from snapshots; a signal makes
 * it take one at once. */
#ifndef DTRAIN_WRITER_H
#define DTRAIN_WRITER_H

#include "app.h"

typedef struct writer writer;

/* Fills *view with the state of the last completed step, by reference. Called with the state lock
 * held. */
typedef void writer_view(dt_checkpoint *view, void *context);

/**
 * Start the thread. It answers signals from now on: the state of the last completed step is on disk
 * without waiting for the step in flight.
 *
 * @param view  how to see the state; `context` is passed to it
 */
dt_status writer_open(writer **w, writer_view *view, void *context);

/* Finishes what is being written. Leaves NULL. */
void writer_close(writer **w);

/* While a step's update and its bookkeeping change the state, nobody may take a snapshot. NULL:
 * nothing to do. */
void writer_lock(writer *w);
void writer_unlock(writer *w);

typedef enum {
    WRITE_LATEST = 0,
    WRITE_BEST = 1, /* best.h5 points to it */
    WRITE_MUST = 2, /* wait for room rather than leave it out */
} writer_flags;

/**
 * Copy the state and have it written. Waits no longer than the copy takes, unless WRITE_MUST finds
 * two snapshots still unwritten.
 *
 * @param[out] accepted  false: the one before is still being written, try again later
 */
dt_status writer_submit(writer *w, int flags, bool *accepted);

/* Wait until everything submitted or asked for by signal is written; the error of the last write,
 * if it failed. */
dt_status writer_drain(writer *w);

/* The error of a write since the last call, as a sentence, or NULL. */
const char *writer_failure(writer *w);

int64_t writer_written_step(writer *w); /* -1: none */
double writer_write_seconds(writer *w); /* the longest so far */
double writer_wait_seconds(writer *w);  /* that the training loop has spent on copies so far */

#endif
