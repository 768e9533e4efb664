/* A time limit for each phase before the watchdog runs and after it: nothing else ends a rank that
 * hangs in a library there, or waits for another rank. */
#ifndef DTRAIN_STARTUP_H
#define DTRAIN_STARTUP_H

typedef enum {
    DT_STARTUP_MPI,
    DT_STARTUP_KERNELS,
    DT_STARTUP_FOLDER,
    DT_STARTUP_CLOSE,
    DT_STARTUP_PHASES
} dt_startup_phase;

/* The least limit in seconds: a start has to wait for disks and locks. */
enum { DT_STARTUP_SECONDS_MIN = 20 };

/* How many seconds a phase may take from here on, at least DT_STARTUP_SECONDS_MIN; 0: no limit. */
void dt_startup_limit(double seconds);

/* This process ends its last phase and begins this one. Time during which it is suspended does not
 * count. Takes the signal ALRM. At the limit the process ends with a message and exit code 71, and
 * a launcher ends the others. */
void dt_startup_enter(dt_startup_phase phase);

/* The watchdog runs, or the process is about to end. */
void dt_startup_end(void);

#endif
