/* Checkpoints are written in the background by a thread of rank 0, from snapshots; a signal makes
 * it take one at once. */
#ifndef DTRAIN_WRITER_H
#define DTRAIN_WRITER_H

#include "dtrain/checkpoint/checkpoint.h"

typedef struct dt_writer dt_writer;

/* Copies of the state that the writer holds at once, in memory that it takes when first needed. */
enum { DT_SNAPSHOTS = 2 };

/* What the history says of a start that has not ended, and how it begins of one that did. */
#define DT_STILL_RUNNING "running"
#define DT_FINISHED "finished"

/* Fills *view with the state of the last completed step, by reference. Called by the writer's
 * thread with the state lock held, or by the loop's thread with or without it. The layout, and
 * which blocks of floats there are, stay as they are while the writer is open. */
typedef void dt_writer_view(dt_checkpoint *view, void *context);

/**
 * Start the thread. It answers signals from now on: the state of the last completed step is on disk
 * without waiting for the step in flight.
 *
 * The thread that calls this is the loop's: it alone changes the state, and only with the state
 * lock held. All functions here are for it, but for those that say otherwise.
 * @param view  how to see the state; `context` is passed to it
 */
dt_status dt_writer_open(dt_writer **w, dt_writer_view *view, void *context);

/* Finishes what is being written. Leaves NULL. */
void dt_writer_close(dt_writer **w);

/* The state lock: while it is held the state changes, and the thread takes no snapshot. NULL:
 * nothing to do. */
void dt_writer_lock(dt_writer *w);
void dt_writer_unlock(dt_writer *w);

/* The same for the update of a step, which may take long, or for ever if a rank dies in it: signals
 * are answered meanwhile with a copy made before, unless that would cost much. */
void dt_writer_begin_update(dt_writer *w);
void dt_writer_end_update(dt_writer *w);

/**
 * Copy the state and have it written; latest.h5 points to it, and best.h5 if it is the best. Waits
 * no longer than the copy takes.
 *
 * @param must           if the two before are still unwritten, wait for room rather than leave it
 * out
 * @param[out] accepted  false: they are; try again later
 */
dt_status dt_writer_submit(dt_writer *w, bool must, bool *accepted);

/* Wait until everything submitted or asked for by signal is written; the error of the last write,
 * if it failed. */
dt_status dt_writer_drain(dt_writer *w);

/**
 * When the training loop is stuck: have the last completed step written, without the loop's help.
 * For any thread.
 *
 * @param seconds  the most to wait
 * @return whether it is on disk; false also if the state is closed to snapshots
 */
bool dt_writer_save(dt_writer *w, double seconds);

/* The error of a write since the last call, as a sentence, or NULL. */
const char *dt_writer_failure(dt_writer *w);

/* For any thread: */
int64_t dt_writer_written_step(dt_writer *w); /* -1: none */
/* The longest so far; before the first, what a slow disk would need. */
double dt_writer_write_seconds(dt_writer *w);
double dt_writer_wait_seconds(dt_writer *w); /* that the training loop has spent on copies so far */

#endif
