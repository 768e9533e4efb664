/* What the files of this folder share: the members of a communicator, and MPI's errors as
 * statuses. */
#ifndef DT_MPI_INTERNAL_H
#define DT_MPI_INTERNAL_H

#include <mpi.h>

#include "dtrain/mpi/comm.h"

struct dt_comm {
    MPI_Comm all;     /* every rank, numbered so that a node's ranks are contiguous */
    MPI_Comm machine; /* the ranks that can share memory with this one */
    MPI_Comm local;   /* the ranks of this rank's node: machine, or a part of it */
    MPI_Comm leaders; /* the first ranks of all nodes; MPI_COMM_NULL on the others */
    size_t rank, size;
    size_t local_rank, local_size;
    size_t node, nodes;
    size_t *first; /* (nodes + 1) first rank of each node, then size */
    int *counts;   /* (2, size) room for the counts and displacements of a collective */
    size_t machines;
    size_t *machine_first;                /* (machines + 1) like `first` */
    char (*host)[MPI_MAX_PROCESSOR_NAME]; /* (machines) */
    char library[64];
    size_t windows; /* open now */
    bool started;   /* by us, so it is ours to finalise */
};

/* MPI's return code as a status; `call` is the text of the call. */
dt_status dt_mpi_status(int code, const char *call, const char *file, int line);

#define DT_MPI(call) dt_mpi_status((call), #call, __FILE__, __LINE__)

/* Seconds of a clock that only goes forward. */
double dt_clock(void);

/**
 * Number ranks so that those of a machine are contiguous, machines in the order of their lowest
 * rank.
 *
 * @param[out] order   (size) new number of each rank; rank 0 stays 0
 * @param[in]  leader  (size) lowest rank of each rank's machine
 */
void dt_ranks_order(int *order, const int *leader, size_t size);

/* The last of the groups that begins at or before a rank. first: (groups) first ranks, rising. */
size_t dt_group_of(const size_t *first, size_t groups, size_t rank);

/* Bytes left where MPI keeps shared windows; SIZE_MAX if that is unknown. */
size_t dt_window_space(void);

/* A window of which this rank is the first to touch bytes begin … end, so that they lie in its
 * memory bank. */
dt_status dt_window_create_touched(dt_window **window, dt_comm *comm, size_t bytes, size_t begin,
                                   size_t end, const char *what);

#endif
