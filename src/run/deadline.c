/* Finds the time limit, and whether another step fits. */
#include "dtrain/run/deadline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dtrain/core/clock.h"

/* Accepts decimal digits only, since the text becomes part of a command. */
static bool is_number(const char *text) {
    return text && *text && !text[strspn(text, "0123456789")];
}

/* "[days-][hours:]minutes:seconds" in seconds; -1 for UNLIMITED, INVALID and the like. */
static double time_left(const char *text) {
    double days = 0, seconds = 0;
    size_t parts = 0;
    for (const char *rest = text;;) {
        char *end;
        const double number = strtod(rest, &end);
        if (end == rest || number < 0) return -1;
        rest = end + (*end == '-' || *end == ':');
        if (*end == '-') {
            days = number;
            continue;
        }
        seconds = 60 * seconds + number;
        parts++;
        if (*end != ':') break;
    }
    return parts == 2 || parts == 3 ? 86400 * days + seconds : -1;
}

/* Seconds left in the Slurm job, asked from Slurm; -1 if it does not answer. The environment
 * variable for the end exists only since Slurm 23. */
static double slurm_seconds_left(void) {
    const char *job = getenv("SLURM_JOB_ID"), *end = getenv("SLURM_JOB_END_TIME");
    const char *array = getenv("SLURM_ARRAY_JOB_ID"), *task = getenv("SLURM_ARRAY_TASK_ID");
    if (!is_number(job)) return -1;
    if (end && strtod(end, NULL) > 0) return strtod(end, NULL) - (double)time(NULL);
    /* The last task of an array has the array's own job number, which alone would mean all tasks.
     */
    const bool one = is_number(array) && is_number(task);
    char command[160], text[64] = "";
    snprintf(command, sizeof command, "timeout 30 squeue -h -j %s%s%s -o %%L 2>/dev/null",
             one ? array : job, one ? "_" : "", one ? task : "");
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    const bool read = fgets(text, sizeof text, pipe) != NULL;
    pclose(pipe);
    if (!read) return -1;
    return time_left(text);
}

dt_deadline dt_deadline_find(double start, double limit) {
    dt_deadline d = {.at = INFINITY, .what = "no limit"};
    if (limit > 0) d = (dt_deadline){start + limit, "time limit"};
    const double left = slurm_seconds_left();
    if (left >= 0 && dt_seconds_now() + left < d.at)
        d = (dt_deadline){dt_seconds_now() + left, "end of the Slurm allocation"};
    return d;
}

bool dt_deadline_near(const dt_deadline *d, double step_seconds, double write_seconds) {
    /* Twice the measured times, plus one second to end the processes. */
    return dt_seconds_now() + 2 * (step_seconds + write_seconds) + 1 > d->at;
}
