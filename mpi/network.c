/* Measures how fast the network between the nodes is. */
#include <string.h>

#include "dtrain/core/memory.h"
#include "internal.h"

/* Bytes of a long message, long enough for the network's rate; how many messages follow one
 * another, and how often: the fastest time counts. */
enum { LONG = 1 << 18, LONG_ROW = 2, SHORT_ROW = 16, ROWS = 3 };

/* Seconds of a message: each first rank of a node sends to the next node's and receives from that
 * before, time after time. */
static dt_status shift(double *seconds, const dt_comm *comm, const char *out, char *in,
                       size_t bytes, size_t row) {
    enum { TAG = 1 };
    const int to = (int)comm->first[(comm->node + 1) % comm->nodes];
    const int from = (int)comm->first[(comm->node + comm->nodes - 1) % comm->nodes];
    const double start = dt_clock();
    for (size_t i = 0; i < row; i++) {
        DT_TRY(DT_MPI(MPI_Sendrecv(out, (int)bytes, MPI_BYTE, to, TAG, in, (int)bytes, MPI_BYTE,
                                   from, TAG, comm->all, MPI_STATUS_IGNORE)));
    }
    const double passed = (dt_clock() - start) / (double)row;
    if (*seconds == 0 || passed < *seconds) *seconds = passed;
    return DT_OK;
}

/* rest: of a long message, without its latency. */
static dt_status measure(double *latency, double *rest, const dt_comm *comm, char *memory) {
    char *out = memory, *in = memory + LONG;
    double longest = 0, opens = 0;
    DT_TRY(shift(&opens, comm, out, in, 1, 1)); /* opens connections */
    for (size_t i = 0; i < ROWS; i++) {
        DT_TRY(shift(latency, comm, out, in, 8, SHORT_ROW));
        DT_TRY(shift(&longest, comm, out, in, LONG, LONG_ROW));
    }
    *rest = longest > *latency ? longest - *latency : *latency;
    return DT_OK;
}

dt_status dt_comm_measure(dt_comm *comm, dt_network *network) {
    *network = (dt_network){0};
    if (comm->nodes == 1) return DT_OK;
    char *memory = NULL;
    double slowest[2] = {0};
    const bool measures = comm->local_rank == 0;
    dt_status status =
        measures ? dt_memory_alloc(&memory, 2 * LONG, 1, "messages to measure the network") : DT_OK;
    DT_TRY_DONE(dt_comm_agree(comm, status));
    if (measures) memset(memory, 1, 2 * LONG);
    if (measures) DT_TRY_DONE(measure(&slowest[0], &slowest[1], comm, memory));
    DT_TRY_DONE(DT_MPI(MPI_Allreduce(MPI_IN_PLACE, slowest, 2, MPI_DOUBLE, MPI_MAX, comm->all)));
    network->latency = slowest[0];
    network->bandwidth = LONG / slowest[1];
done:
    dt_memory_free(&memory);
    return status;
}
