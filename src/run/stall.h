/* Whether the ranks of a node make progress, and which of them delays the others. Pure functions of
 * counters. */
#ifndef DTRAIN_STALL_H
#define DTRAIN_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtrain/run/watchdog.h"

/* Seconds that ranks waiting for another node give it to name the rank. */
enum { DT_PATIENCE_NODES = 3 };

/* What a rank reports. */
typedef struct {
    int64_t count; /* units of work done: its beats */
    int64_t looks; /* by its watchdog: they show that its process runs */
    int64_t phase; /* phases that it has entered */
    dt_phase_kind kind;
    bool over; /* it has left the loop */
} dt_stall_beat;

/* What is known about a rank: its last beat, and for how many seconds it has not changed. */
typedef struct {
    dt_stall_beat beat;
    double still; /* seconds with the same count */
    double gone;  /* seconds with the same looks */
} dt_stall_rank;

/* Record what a rank reports `passed` seconds after the last look. */
void dt_stall_look(dt_stall_rank *rank, const dt_stall_beat *now, double passed);

/* The larger of two times: seconds without progress of any rank of this node, and the longest time
 * without progress of a rank in its own work. */
double dt_stall_seconds(const dt_stall_rank *rank, size_t ranks, double timeout);

/* The rank of this node that the others wait for, or -1 if it is on another node. It is a rank that
 * makes no progress at all, otherwise the rank in the earliest phase. */
int dt_stall_culprit(const dt_stall_rank *rank, size_t ranks, double timeout);

/* How many seconds of stall the rank with this number on the node waits before it ends the job. The
 * first one reports; each next one only if those before it have stopped too. */
double dt_stall_patience(const dt_stall_rank *rank, size_t ranks, size_t number, double timeout);

#endif
