/* Signals become flags; who has to act at once waits on a semaphore. */
#ifndef DTRAIN_SIGNALS_H
#define DTRAIN_SIGNALS_H

#include <semaphore.h>
#include <stdbool.h>

/**
 * Catch INT, TERM and USR1 (stop with a checkpoint) and USR2 (checkpoint and go on); a second INT
 * ends the process at once. After MPI_Init, whose libraries may install handlers of their own.
 *
 * @param wake  posted at each signal; NULL: nobody waits
 */
void signals_catch(sem_t *wake);

/* The signal that asks for a stop, 0 if there was none: "signal TERM" in words. */
int signals_stop(void);
const char *signals_name(int number);

/* How many checkpoints USR2 has asked for so far. */
int signals_checkpoints(void);

#endif
