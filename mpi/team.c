/* Some ranks of the job, which exchange among themselves. */
#include <limits.h>

#include "dtrain/core/memory.h"
#include "internal.h"

struct dt_team {
    MPI_Comm comm;
    size_t rank, size;
    int *counts; /* (2, size) room for the counts and displacements of a collective */
};

/* Between creating and destroying it. */
static dt_status open_team(dt_team *team, MPI_Comm comm) {
    int rank, size;
    *team = (dt_team){.comm = comm};
    DT_TRY(DT_MPI(MPI_Comm_rank(comm, &rank)));
    DT_TRY(DT_MPI(MPI_Comm_size(comm, &size)));
    team->rank = (size_t)rank;
    team->size = (size_t)size;
    return dt_memory_alloc(&team->counts, 2 * team->size, sizeof *team->counts, "counts of a team");
}

dt_status dt_team_create(dt_team **team, dt_comm *comm, int number) {
    MPI_Comm split;
    *team = NULL;
    DT_TRY(DT_MPI(
        MPI_Comm_split(comm->all, number < 0 ? MPI_UNDEFINED : number, (int)comm->rank, &split)));
    if (split == MPI_COMM_NULL) return dt_comm_agree(comm, DT_OK);
    dt_team *made;
    dt_status status = dt_memory_alloc(&made, 1, sizeof *made, "a team of ranks");
    if (status == DT_OK) {
        *team = made;
        status = open_team(made, split);
    } else {
        MPI_Comm_free(&split);
    }
    status = dt_comm_agree(comm, status);
    if (status != DT_OK) dt_team_destroy(team);
    return status;
}

void dt_team_destroy(dt_team **team) {
    if (!*team) return;
    MPI_Comm_free(&(*team)->comm);
    dt_memory_free(&(*team)->counts);
    dt_memory_free(team);
}

size_t dt_team_rank(const dt_team *team) { return team->rank; }
size_t dt_team_size(const dt_team *team) { return team->size; }

dt_status dt_team_share_numbers(dt_team *team, uint32_t *all, size_t count) {
    if (team->size == 1) return DT_OK;
    DT_REQUIRE(count <= INT_MAX, DT_ERR_INTERNAL, "%zu values do not fit MPI's counts", count);
    int *counts = team->counts, *first = team->counts + team->size;
    for (size_t rank = 0; rank < team->size; rank++) {
        size_t begin, end;
        dt_shard_range(&begin, &end, count, team->size, rank);
        first[rank] = (int)begin;
        counts[rank] = (int)(end - begin);
    }
    return DT_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, counts, first,
                                 MPI_UINT32_T, team->comm));
}
