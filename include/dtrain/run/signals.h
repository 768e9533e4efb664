/* Signals become flags; a thread that has to act at once waits for them. */
#ifndef DTRAIN_SIGNALS_H
#define DTRAIN_SIGNALS_H

/**
 * Catch INT, TERM, USR1, HUP and XCPU (stop with a checkpoint) and USR2 (checkpoint and go on); a
 * second INT ends the process at once. Call it after MPI_Init, whose libraries may install their
 * own handlers, and again after any other library that may do so. HUP stays ignored under nohup.
 */
void dt_signals_catch(void);

/* The signal that asked for a stop, 0 if there was none; and its name, such as "signal TERM". */
int dt_signals_stop(void);
const char *dt_signals_name(int number);

/* Act as if this process alone had received this signal: PIPE if the reader of its output is gone.
 */
void dt_signals_raise(int number);

/* Seconds since the first signal that asked for a stop. */
double dt_signals_stop_age(void);

/* How many checkpoints USR2 has asked for so far. */
int dt_signals_checkpoints(void);

/* How often this process was told to continue. Open MPI's launcher does so one second before TERM,
 * which it sends one second before KILL. */
int dt_signals_continues(void);

/* Wait at most `seconds` for a signal or wake-up; one that came since the last wait counts. For one
 * thread. */
void dt_signals_wait(double seconds);

/* Wake that thread, as a signal does. */
void dt_signals_wake(void);

#endif
