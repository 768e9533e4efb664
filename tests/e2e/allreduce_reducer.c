/* A gradient sum without a canonical order: the test of invariance must detect it. */
#include <mpi.h>

#include "dtrain/core/memory.h"
#include "dtrain/mpi/comm.h"

/* Two slots: the sum of this rank's shards, and the current shard. */
enum { SUM, SHARD, SLOTS };

struct dt_reducer {
    dt_comm *comm;
    size_t count, block;
    size_t done; /* shards in this step */
    float *slot[SLOTS];
    float *total;
};

dt_status dt_reducer_create(dt_reducer **reducer, dt_comm *comm, const dt_reducer_plan *plan) {
    const char *what = "gradient sum";
    const size_t count = plan->count;
    DT_TRY(dt_memory_alloc(reducer, 1, sizeof **reducer, what));
    **reducer = (dt_reducer){.comm = comm, .count = count, .block = plan->block};
    for (size_t i = 0; i < SLOTS; i++) {
        DT_TRY(dt_memory_alloc(&(*reducer)->slot[i], count, sizeof(float), what));
    }
    return dt_memory_alloc(&(*reducer)->total, count, sizeof(float), what);
}

void dt_reducer_destroy(dt_reducer **reducer) {
    if (!*reducer) return;
    for (size_t i = 0; i < SLOTS; i++) dt_memory_free(&(*reducer)->slot[i]);
    dt_memory_free(&(*reducer)->total);
    dt_memory_free(reducer);
}

size_t dt_reducer_slots(const dt_reducer *reducer) {
    (void)reducer;
    return SLOTS;
}

float *dt_reducer_slot(const dt_reducer *reducer, size_t slot) { return reducer->slot[slot]; }

size_t dt_reducer_begin_shard(dt_reducer *reducer) { return reducer->done ? SHARD : SUM; }

void dt_reducer_end_shard(dt_reducer *reducer) {
    if (reducer->done++ == 0) return;
    for (size_t i = 0; i < reducer->count; i++) reducer->slot[SUM][i] += reducer->slot[SHARD][i];
}

bool dt_reducer_overlaps(const dt_reducer *reducer) {
    (void)reducer;
    return false;
}

void dt_reducer_finish(dt_reducer *reducer, size_t from) {
    (void)reducer;
    (void)from;
}

dt_status dt_reducer_progress(dt_reducer *reducer) {
    (void)reducer;
    return DT_OK;
}

dt_status dt_reducer_sum(dt_reducer *reducer, float **sum, size_t *begin, size_t *end) {
    const size_t blocks = (reducer->count + reducer->block - 1) / reducer->block;
    const int code = MPI_Allreduce(reducer->slot[SUM], reducer->total, (int)reducer->count,
                                   MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    DT_REQUIRE(code == MPI_SUCCESS, DT_ERR_COMM, "MPI_Allreduce failed");
    dt_shard_range(begin, end, blocks, dt_comm_local_size(reducer->comm),
                   dt_comm_local_rank(reducer->comm));
    *begin = dt_min_size(*begin * reducer->block, reducer->count);
    *end = dt_min_size(*end * reducer->block, reducer->count);
    *sum = reducer->total;
    reducer->done = 0;
    return DT_OK;
}

/* On one node there is nothing to spread. */

dt_exchange_kind dt_reducer_exchange(const dt_reducer *reducer) {
    (void)reducer;
    return DT_EXCHANGE_DIRECT;
}

dt_status dt_reducer_begin_spread(dt_reducer *reducer, float *weights) {
    (void)reducer;
    (void)weights;
    return DT_OK;
}

dt_status dt_reducer_spread(dt_reducer *reducer, size_t from) {
    (void)reducer;
    (void)from;
    return DT_OK;
}

dt_status dt_reducer_end_spread(dt_reducer *reducer) {
    (void)reducer;
    return DT_OK;
}

void dt_reducer_waited(dt_reducer *reducer, double seconds) {
    (void)reducer;
    (void)seconds;
}

double dt_reducer_sent(const dt_reducer *reducer) {
    (void)reducer;
    return 0;
}

void dt_reducer_times(const dt_reducer *reducer, double *adding, double *exchanging,
                      double *waiting) {
    (void)reducer;
    *adding = *exchanging = *waiting = 0;
}
