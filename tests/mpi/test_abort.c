/* One rank gives up while the others wait for it: all of them end, with its exit code. */
#include "dtrain/mpi/comm.h"

int main(int argc, char **argv) {
    dt_comm *comm;
    if (dt_comm_open(&comm, &argc, &argv) != DT_OK) return 1;
    if (dt_comm_rank(comm) + 1 == dt_comm_size(comm)) dt_comm_abort(comm, 70);
    if (dt_comm_barrier(comm) != DT_OK) return 2;
    return 3;
}
