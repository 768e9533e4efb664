/* Whether the ranks of a node come further, and which of them holds up the others: from numbers
 * alone. */
#ifndef DTRAIN_STALL_H
#define DTRAIN_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtrain/run/watchdog.h"

/* Seconds for which those that wait for another node leave it time to name the rank. */
enum { DT_PATIENCE_NODES = 3 };

/* What a rank says of itself. */
typedef struct {
    int64_t count; /* pieces of work that it has done: its beats */
    int64_t looks; /* of its watchdog: its process runs at all */
    int64_t phase; /* phases that it has entered */
    dt_phase_kind kind;
    bool over; /* it has left the loop */
} dt_stall_beat;

/* What is known of a rank: its last beat, and for how many seconds it has not changed. */
typedef struct {
    dt_stall_beat beat;
    double still; /* the same count */
    double gone;  /* the same looks */
} dt_stall_rank;

/* Take note of what a rank says `passed` seconds after the last look. */
void dt_stall_look(dt_stall_rank *rank, const dt_stall_beat *now, double passed);

/* Seconds for which no rank of this node has come further, or for which one has not in work of its
 * own. */
double dt_stall_seconds(const dt_stall_rank *rank, size_t ranks, double timeout);

/* The rank of this node that the others wait for, or -1 if it is on another node: one that does
 * nothing any more, or else the one that has come least far, be it working or lost on the way out
 * of a meeting of all. */
int dt_stall_culprit(const dt_stall_rank *rank, size_t ranks, double timeout);

/* For how many seconds of standstill the rank of this number on the node waits before it ends the
 * job. The first one reports; each next one only if those before it are stopped as well. */
double dt_stall_patience(const dt_stall_rank *rank, size_t ranks, size_t number, double timeout);

#endif
