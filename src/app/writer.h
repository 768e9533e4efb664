/* Checkpoints are written in the background by a thread of rank 0, from snapshots; a signal makes
 * it take one at once. */
#ifndef DTRAIN_WRITER_H
#define DTRAIN_WRITER_H

#include "app.h"

typedef struct writer writer;

/* What the history says of a start that has not ended, and how it begins of one that did. */
#define STILL_RUNNING "running"
#define FINISHED "finished"

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

/* The same for the update of a step, which may take long, or for ever if a rank dies in it: a copy
 * made before is what signals are answered with meanwhile, unless it would cost much. */
void writer_begin_update(writer *w);
void writer_end_update(writer *w);

/**
 * Copy the state and have it written; latest.h5 points to it, and best.h5 if it is the best. Waits
 * no longer than the copy takes.
 *
 * @param must           if the two before are still unwritten, wait for room rather than leave it
 * out
 * @param[out] accepted  false: they are; try again later
 */
dt_status writer_submit(writer *w, bool must, bool *accepted);

/* Wait until everything submitted or asked for by signal is written; the error of the last write,
 * if it failed. */
dt_status writer_drain(writer *w);

/**
 * When the training loop is stuck: have the last completed step written, without the loop's help.
 *
 * @param seconds  the most to wait
 * @return whether it is on disk; false also if the state is closed to snapshots
 */
bool writer_save(writer *w, double seconds);

/* The error of a write since the last call, as a sentence, or NULL. */
const char *writer_failure(writer *w);

int64_t writer_written_step(writer *w); /* -1: none */
/* The longest so far; before the first, what a slow disk would need. */
double writer_write_seconds(writer *w);
double writer_wait_seconds(writer *w); /* that the training loop has spent on copies so far */

/* config.ini in the folder of the run: the settings as resolved. */
dt_status writer_settings(const dt_config *config);

#endif
