/* A thread of rank 0 writes checkpoints in the background, from snapshots; on a signal it takes one
 * at once. */
#ifndef DTRAIN_WRITER_H
#define DTRAIN_WRITER_H

#include "dtrain/checkpoint/checkpoint.h"

typedef struct dt_writer dt_writer;

/* Most copies of the state that the writer holds; it allocates each when first needed. */
enum { DT_SNAPSHOTS = 2 };

/* The history's entry for a start that is still running, and the beginning of that for one that
 * finished. */
#define DT_STILL_RUNNING "running"
#define DT_FINISHED "finished"

/* Fills *view with the state of the last completed step, by reference. Called by the writer's
 * thread with the state lock held, or by the loop's thread with or without it. The layout and the
 * list of float blocks do not change while the writer is open. */
typedef void dt_writer_view(dt_checkpoint *view, void *context);

/**
 * Start the thread. From now on it responds to signals: it writes the state of the last completed
 * step without waiting for the step in flight.
 *
 * The caller is the loop's thread: it alone changes the state, and only with the state lock held.
 * Only that thread may call the functions here, unless a comment says otherwise.
 *
 * @param view  how to see the state; `context` is passed to it
 */
dt_status dt_writer_open(dt_writer **w, dt_writer_view *view, void *context);

/* Finish what is being written. Leaves NULL. */
void dt_writer_close(dt_writer **w);

/* The state lock: while it is held, the state may change and the thread takes no snapshot. NULL:
 * nothing to do. */
void dt_writer_lock(dt_writer *w);
void dt_writer_unlock(dt_writer *w);

/* The same for the update of a step, which may take long and never ends if a rank dies in it:
 * meanwhile signals are answered with a copy made before, unless that copy costs too much. */
void dt_writer_begin_update(dt_writer *w);
void dt_writer_end_update(dt_writer *w);

/**
 * Copy the state and have it written; latest.h5 points to it, and best.h5 if it is the best. Waits
 * no longer than the copy takes.
 *
 * @param must  if both slots are still unwritten, wait for one instead of giving up
 * @param[out] accepted  false: both slots were unwritten; try again later
 */
dt_status dt_writer_submit(dt_writer *w, bool must, bool *accepted);

/* Wait until everything submitted or asked for by signal is written; returns the error of the last
 * write. */
dt_status dt_writer_drain(dt_writer *w);

/**
 * Have the last completed step written without the training loop, which may be stuck. For any
 * thread.
 *
 * @param seconds  the most to wait
 * @return whether it is on disk; false also if the state is closed to snapshots
 */
bool dt_writer_save(dt_writer *w, double seconds);

/* The message of a write error since the last call, or NULL. */
const char *dt_writer_failure(dt_writer *w);

/* For any thread: */
int64_t dt_writer_written_step(dt_writer *w); /* -1: none */
/* The longest write so far; before the first, an estimate for a slow disk. */
double dt_writer_write_seconds(dt_writer *w);
double dt_writer_wait_seconds(dt_writer *w); /* spent by the training loop on copies so far */

#endif
