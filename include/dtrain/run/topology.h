/* Where the ranks of a start are: nodes, ranks on each, and what the kernel lets a rank use. */
#ifndef DTRAIN_TOPOLOGY_H
#define DTRAIN_TOPOLOGY_H

#include "dtrain/mpi/comm.h"

/* CPUs that this process may use: the allocation's, the container's or the binding's, not the
 * machine's. */
size_t dt_topology_cpus(void);

/**
 * "n1*2,n2*2; 1 CPU per rank": hosts in the order of their ranks. What does not fit is counted.
 * Collective.
 *
 * @param[out] text  on all ranks
 */
dt_status dt_topology_describe(char *text, size_t size, dt_comm *comm);

#endif
