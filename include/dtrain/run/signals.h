/* Signals become flags; a thread that has to act at once waits for them. */
#ifndef DTRAIN_SIGNALS_H
#define DTRAIN_SIGNALS_H

/**
 * Catch INT, TERM, USR1 and HUP (stop with a checkpoint) and USR2 (checkpoint and go on); a second
 * INT ends the process at once. After MPI_Init, whose libraries may install handlers of their own.
 * HUP stays ignored under nohup. It lasts until the process ends, or until another library takes
 * signals for itself, after which it is called again.
 */
void dt_signals_catch(void);

/* The signal that asks for a stop, 0 if there was none: "signal TERM" in words. */
int dt_signals_stop(void);
const char *dt_signals_name(int number);

/* As if this signal had come, of this process alone: PIPE where the reader of its output has gone.
 */
void dt_signals_raise(int number);

/* Seconds since the first one came. */
double dt_signals_stop_age(void);

/* How many checkpoints USR2 has asked for so far. */
int dt_signals_checkpoints(void);

/* How often this process was told to continue. Open MPI's launcher does so one second before TERM,
 * which it sends one second before KILL. */
int dt_signals_continues(void);

/* Wait for the next signal or wake-up; one that has come since the last wait counts. At most so
 * long. For one thread. */
void dt_signals_wait(double seconds);

/* Let that thread go on, as a signal does. */
void dt_signals_wake(void);

#endif
