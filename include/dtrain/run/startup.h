/* A time limit for each phase of a start: until the watchdog runs, nothing else ends a rank that
 * waits for ever for another one, or in a library. */
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
 * @param seconds  20 at least, since a start has to wait for disks and locks; 0: without end
 */
void dt_startup_limit(double seconds);

/* This process begins a phase, and has ended the one before. Time in which it is suspended does not
 * count. Takes the signal ALRM. At the limit the process ends with a sentence and exit code 71, and
 * a launcher ends the others. */
void dt_startup_enter(dt_startup_phase phase);

/* The start is over. */
void dt_startup_end(void);

#endif
