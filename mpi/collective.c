/* Barriers and the small exchanges of every step. */
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "dtrain/core/memory.h"
#include "internal.h"

double dt_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

dt_status dt_comm_barrier(dt_comm *comm) {
    if (comm->size == 1) return DT_OK;
    /* What was stored in a shared window before is seen after: this is MPI_Win_sync. */
    atomic_thread_fence(memory_order_seq_cst);
    DT_TRY(DT_MPI(MPI_Barrier(comm->all)));
    atomic_thread_fence(memory_order_seq_cst);
    return DT_OK;
}

dt_status dt_comm_node_barrier(dt_comm *comm) {
    if (comm->local_size == 1) return DT_OK;
    atomic_thread_fence(memory_order_seq_cst);
    DT_TRY(DT_MPI(MPI_Barrier(comm->local)));
    atomic_thread_fence(memory_order_seq_cst);
    return DT_OK;
}

static dt_status broadcast(MPI_Comm among, void *bytes, size_t count) {
    const size_t piece = (size_t)1 << 30; /* MPI counts are ints */
    for (size_t at = 0; at < count; at += piece) {
        const int now = (int)dt_min_size(piece, count - at);
        DT_TRY(DT_MPI(MPI_Bcast((char *)bytes + at, now, MPI_BYTE, 0, among)));
    }
    return DT_OK;
}

dt_status dt_comm_broadcast(dt_comm *comm, void *bytes, size_t count) {
    return comm->size == 1 ? DT_OK : broadcast(comm->all, bytes, count);
}

dt_status dt_comm_broadcast_nodes(dt_comm *comm, void *bytes, size_t count) {
    return comm->nodes == 1 || comm->local_rank > 0 ? DT_OK
                                                    : broadcast(comm->leaders, bytes, count);
}

dt_status dt_comm_max(dt_comm *comm, int64_t *value) {
    if (comm->size == 1) return DT_OK;
    return DT_MPI(MPI_Allreduce(MPI_IN_PLACE, value, 1, MPI_INT64_T, MPI_MAX, comm->all));
}

dt_status dt_comm_sum(dt_comm *comm, int64_t *values, size_t count) {
    if (comm->size == 1) return DT_OK;
    DT_REQUIRE(count <= INT_MAX, DT_ERR_INTERNAL, "%zu values do not fit MPI's counts", count);
    return DT_MPI(MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_INT64_T, MPI_SUM, comm->all));
}

/* Offset and number of each rank's bytes among those of all ranks. */
static dt_status place_bytes(size_t *total, int *length, int *first, dt_comm *comm, size_t mine) {
    const int own = (int)dt_min_size(mine, INT_MAX);
    DT_TRY(DT_MPI(MPI_Allgather(&own, 1, MPI_INT, length, 1, MPI_INT, comm->all)));
    *total = 0;
    for (size_t rank = 0; rank < comm->size; rank++) {
        first[rank] = (int)dt_min_size(*total, INT_MAX);
        *total += (size_t)length[rank];
    }
    DT_REQUIRE(*total < INT_MAX, DT_ERR_ARG, "%zu bytes are more than one rank can collect at once",
               *total);
    return DT_OK;
}

dt_status dt_comm_collect(dt_comm *comm, char **all, size_t *capacity, size_t *count) {
    if (comm->size == 1) return DT_OK;
    int *length = comm->counts, *first = comm->counts + comm->size;
    size_t total;
    DT_TRY(place_bytes(&total, length, first, comm, *count));
    const bool root = comm->rank == 0;
    const dt_status grown =
        root ? dt_memory_grow(all, capacity, total, 1, "what all ranks have to say") : DT_OK;
    DT_TRY(dt_comm_agree(comm, grown));
    const void *mine = root ? MPI_IN_PLACE : *all;
    *count = root ? total : 0;
    return DT_MPI(MPI_Gatherv(mine, length[comm->rank], MPI_BYTE, root ? *all : NULL, length, first,
                              MPI_BYTE, 0, comm->all));
}

dt_status dt_comm_gather(dt_comm *comm, double *all, double mine) {
    if (comm->size == 1) {
        all[0] = mine;
        return DT_OK;
    }
    return DT_MPI(MPI_Allgather(&mine, 1, MPI_DOUBLE, all, 1, MPI_DOUBLE, comm->all));
}

dt_status dt_comm_gather_rows(dt_comm *comm, double *all, const double *row, size_t count) {
    DT_REQUIRE(count <= INT_MAX, DT_ERR_INTERNAL, "%zu values do not fit MPI's counts", count);
    if (comm->size == 1) {
        memcpy(all, row, count * sizeof *row);
        return DT_OK;
    }
    /* What was stored in a shared window before is seen by rank 0 after. */
    atomic_thread_fence(memory_order_seq_cst);
    DT_TRY(
        DT_MPI(MPI_Gather(row, (int)count, MPI_DOUBLE, all, (int)count, MPI_DOUBLE, 0, comm->all)));
    atomic_thread_fence(memory_order_seq_cst);
    return DT_OK;
}

void dt_shard_range(size_t *begin, size_t *end, size_t shards, size_t size, size_t rank) {
    *begin = rank * shards / size;
    *end = (rank + 1) * shards / size;
}

/* One shard's values as one element, so that counts stay small for any per_shard. */
static dt_status share_shards(dt_comm *comm, double *all, const int *count, const int *first,
                              size_t per_shard) {
    MPI_Datatype shard;
    DT_TRY(DT_MPI(MPI_Type_contiguous((int)per_shard, MPI_DOUBLE, &shard)));
    dt_status status;
    DT_TRY_DONE(DT_MPI(MPI_Type_commit(&shard)));
    status = DT_MPI(
        MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, count, first, shard, comm->all));
done:;
    const dt_status freed = DT_MPI(MPI_Type_free(&shard));
    return status != DT_OK ? status : freed;
}

dt_status dt_comm_share(dt_comm *comm, double *all, size_t shards, size_t per_shard) {
    if (comm->size == 1 || per_shard == 0) return DT_OK;
    DT_REQUIRE(shards <= INT_MAX && per_shard <= INT_MAX, DT_ERR_INTERNAL,
               "%zu values of %zu shards do not fit MPI's counts", per_shard, shards);
    int *count = comm->counts, *first = comm->counts + comm->size;
    for (size_t rank = 0; rank < comm->size; rank++) {
        size_t begin, end;
        dt_shard_range(&begin, &end, shards, comm->size, rank);
        first[rank] = (int)begin;
        count[rank] = (int)(end - begin);
    }
    return share_shards(comm, all, count, first, per_shard);
}
