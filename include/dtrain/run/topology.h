/* Where the ranks of a start are: nodes, ranks on each, and what the kernel lets a rank use. */
#ifndef DTRAIN_TOPOLOGY_H
#define DTRAIN_TOPOLOGY_H

#include "dtrain/mpi/comm.h"

/* CPUs that this process may use, as limited by the allocation, the container and the binding. */
size_t dt_topology_cpus(void);

/**
 * "n1*2,n2*2; 1 CPU per rank": hosts in the order of their ranks. Hosts that do not fit are only
 * counted. Collective.
 *
 * @param[out] text  on all ranks
 */
dt_status dt_topology_describe(char *text, size_t size, dt_comm *comm);

#endif
