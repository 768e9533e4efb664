/* Common parts of all tests with several ranks: one communicator, and checks that fail on all ranks
 * together. */
#ifndef DT_MPI_TEST_H
#define DT_MPI_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/mpi/comm.h"

/* An assertion that fails on one rank only would leave the others waiting for it. */
static inline void check_everywhere(bool mine, const char *what, const char *file, int line) {
    int all = mine;
    MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (!mine)
        print_error("%s:%d: does not hold on this rank: %s (%s)\n", file, line, what,
                    dt_error_text());
    if (!all) _fail(file, line);
}
#define CHECK(condition) check_everywhere((condition), #condition, __FILE__, __LINE__)

static dt_comm *world;

static inline int start_ranks(void **state) {
    (void)state;
    int argc = 0;
    char **argv = NULL;
    return dt_comm_open(&world, &argc, &argv) != DT_OK;
}

static inline int end_ranks(void **state) {
    (void)state;
    return dt_comm_close(&world) != DT_OK || world != NULL;
}

/* A number that depends on every bit of a, b and c (the finaliser of SplitMix64). */
static inline uint64_t mix(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t z = a * 0x9e3779b97f4a7c15u + b * 0xd1342543de82ef95u + c * 0x2545f4914f6cdd1du + 1;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
