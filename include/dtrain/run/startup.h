/* A time limit for each phase of a start: until the watchdog runs, nothing else ends a rank that
 * hangs in a library or waits for another rank. */
#ifndef DTRAIN_STARTUP_H
#define DTRAIN_STARTUP_H

typedef enum {
    DT_STARTUP_MPI,
    DT_STARTUP_KERNELS,
    DT_STARTUP_FOLDER,
    DT_STARTUP_DEVICE,
    DT_STARTUP_STATE,
    DT_STARTUP_PHASES
} dt_startup_phase;

/**
 * How long a phase may take from here on.
 *
 * @param seconds  at least 20, since a start has to wait for disks and locks; 0: no limit
 */
void dt_startup_limit(double seconds);

/* This process ends its last phase and begins this one. Time during which it is suspended does not
 * count. Takes the signal ALRM. At the limit the process ends with a message and exit code 71, and
 * a launcher ends the others. */
void dt_startup_enter(dt_startup_phase phase);

/* The start is over. */
void dt_startup_end(void);

#endif
