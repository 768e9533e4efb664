/* Asks the nodes of a job whether they still answer: past MPI, which may wait for a lost one for
 * ever. */
#ifndef DTRAIN_ROLL_H
#define DTRAIN_ROLL_H

#include "dtrain/mpi/comm.h"

typedef struct dt_roll dt_roll;

/* What a node answers. */
typedef enum {
    DT_ROLL_UNKNOWN, /* it cannot be asked: it has no address */
    DT_ROLL_SILENT,
    DT_ROLL_WAITS, /* for others, as far as it knows */
    DT_ROLL_NAMED, /* it has named the rank that causes the stall */
} dt_roll_answer;

/**
 * From now on a thread of two ranks of each node answers, by datagrams (UDP over IPv4) to a port
 * that the kernel has chosen. NULL where there is one node. Collective.
 */
dt_status dt_roll_open(dt_roll **roll, dt_comm *comm);

/* Not collective. Leaves NULL. */
void dt_roll_close(dt_roll **roll);

/* This rank's answer from now on; at first DT_ROLL_WAITS. Any thread; NULL: nothing to do. */
void dt_roll_say(dt_roll *roll, dt_roll_answer answer);

/**
 * Ask nodes begin … end - 1; returns after `seconds`, or as soon as all have answered. For one
 * thread of a rank that answers, too.
 *
 * @param[out] answer  (nodes) those of begin … end - 1; the best that a node's ranks give
 */
void dt_roll_ask(dt_roll *roll, dt_roll_answer *answer, size_t begin, size_t end, double seconds);

/* The ranks of a node: first … first + count - 1. Of a rank that answers. */
void dt_roll_ranks(const dt_roll *roll, size_t node, size_t *first, size_t *count);

#endif
