/* When this start has to be over: the user's time limit, or the end of a batch allocation. */
#ifndef DTRAIN_DEADLINE_H
#define DTRAIN_DEADLINE_H

#include <stdbool.h>

typedef struct {
    double at;        /* dt_seconds_now() at which everything must be on disk; infinite: no limit */
    const char *what; /* "time limit", "end of the Slurm allocation" */
} dt_deadline;

/* The nearer of limit seconds after start (0: none) and the end of the Slurm job this process
 * belongs to. */
dt_deadline dt_deadline_find(double start, double limit);

/**
 * Whether the next step must not be begun.
 *
 * @param step_seconds   the longest step lately, validation included if one is due
 * @param write_seconds  the longest write of a checkpoint so far
 */
bool dt_deadline_near(const dt_deadline *d, double step_seconds, double write_seconds);

#endif
