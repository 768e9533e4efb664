/* When this start must end: at the user's time limit or at the end of a batch allocation. */
#ifndef DTRAIN_DEADLINE_H
#define DTRAIN_DEADLINE_H

#include <stdbool.h>

typedef struct {
    double at;        /* dt_seconds_now() at which everything must be on disk; infinite: no limit */
    const char *what; /* "time limit", "end of the Slurm allocation" */
} dt_deadline;

/* The earlier of `limit` seconds after `start` (0: no limit) and the end of this process's Slurm
 * job. */
dt_deadline dt_deadline_find(double start, double limit);

/**
 * Whether it is too late to begin another step.
 *
 * @param step_seconds  the longest recent step, with validation if one is due
 * @param write_seconds  the longest write of a checkpoint so far
 */
bool dt_deadline_near(const dt_deadline *d, double step_seconds, double write_seconds);

#endif
