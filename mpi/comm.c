/* Starts and ends MPI, and finds out which ranks share a node. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "launch.h"

dt_status dt_mpi_status(int code, const char *call, const char *file, int line) {
    if (code == MPI_SUCCESS) return DT_OK;
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length;
    MPI_Error_string(code, text, &length);
    return dt_error_raise(DT_ERR_COMM, file, line,
                          "%.*s failed: %s; look above for the first rank or host that went away",
                          (int)strcspn(call, "("), call, text);
}

static size_t size_of(MPI_Comm comm) {
    int size = 1;
    MPI_Comm_size(comm, &size);
    return (size_t)size;
}

static size_t rank_of(MPI_Comm comm) {
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    return (size_t)rank;
}

/* "Open MPI v4.1.4, package: …" and "MPICH Version:\t4.0.2\n…": only the name and the
 * version. */
static void read_library(char *library, size_t size) {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "MPI";
    int length;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, ",\n")] = '\0';
    size_t used = 0;
    for (const char *c = text; *c && used + 1 < size; c++) {
        const bool before_number = c > text && c[-1] == ' ' && c[1] >= '0' && c[1] <= '9';
        if (*c == 'v' && before_number) continue;
        library[used++] = *c == '\t' ? ' ' : *c;
    }
    library[used] = '\0';
}

static dt_status start_mpi(dt_comm *comm, int *argc, char ***argv) {
    int there = 0;
    MPI_Finalized(&there);
    DT_REQUIRE(!there, DT_ERR_INTERNAL, "MPI was ended already; a process can start it only once");
    MPI_Initialized(&there);
    int threads = MPI_THREAD_SINGLE;
    if (there) {
        MPI_Query_thread(&threads);
    } else {
        /* Another thread may write a checkpoint; it calls MPI only while this one does not. */
        dt_launch launch;
        dt_launch_prepare(&launch);
        const int code = MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &threads);
        dt_launch_restore(&launch);
        DT_TRY(dt_mpi_status(code, "MPI_Init_thread", __FILE__, __LINE__));
        comm->started = true;
    }
    read_library(comm->library, sizeof comm->library);
    DT_REQUIRE(threads >= MPI_THREAD_FUNNELED, DT_ERR_UNAVAILABLE,
               "%s was built without support for threads; use another build of it", comm->library);
    /* Communicators made from the world inherit this. */
    return DT_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
}

/* Can the ranks of comm->machine share memory? Tried, since MPI has no way to ask. */
static dt_status try_sharing(bool *works, MPI_Comm machine) {
    *works = false;
    /* If there is no room, Open MPI hangs instead of failing. */
    int room = dt_window_space() >= 1 << 20;
    DT_TRY(DT_MPI(MPI_Allreduce(MPI_IN_PLACE, &room, 1, MPI_INT, MPI_MIN, machine)));
    if (!room) return DT_OK;
    MPI_Win win = MPI_WIN_NULL;
    void *base;
    const int code = MPI_Win_allocate_shared(64, 1, MPI_INFO_NULL, machine, &base, &win);
    int worst = code == MPI_SUCCESS;
    DT_TRY(DT_MPI(MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_INT, MPI_MIN, machine)));
    if (code == MPI_SUCCESS) DT_TRY(DT_MPI(MPI_Win_free(&win)));
    *works = worst != 0;
    return DT_OK;
}

static dt_status find_machine(dt_comm *comm) {
    DT_TRY(DT_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL,
                                      &comm->machine)));
    if (size_of(comm->machine) == 1) return DT_OK;
    bool works;
    DT_TRY(try_sharing(&works, comm->machine));
    if (works) return DT_OK;
    if (rank_of(MPI_COMM_WORLD) == 0) {
        dt_log_warn("%s offers no shared memory here: each rank keeps its own copy of the weights "
                    "and sends whole gradients",
                    comm->library);
    }
    MPI_Comm shared = comm->machine;
    comm->machine = MPI_COMM_NULL;
    const dt_status split = DT_MPI(MPI_Comm_split(shared, (int)rank_of(shared), 0, &comm->machine));
    const dt_status freed = DT_MPI(MPI_Comm_free(&shared));
    return split != DT_OK ? split : freed;
}

void dt_ranks_order(int *order, const int *leader, size_t size) {
    for (size_t rank = 0; rank < size; rank++) order[rank] = 0;
    for (size_t rank = 0; rank < size; rank++) order[leader[rank]]++;
    /* Each leader has the end of its machine's numbers, from which the others take theirs. */
    for (size_t rank = 0, end = 0; rank < size; rank++) {
        if (leader[rank] != (int)rank) continue;
        end += (size_t)order[rank];
        order[rank] = (int)end;
    }
    for (size_t rank = size; rank-- > 0;) {
        if (leader[rank] != (int)rank) order[rank] = --order[leader[rank]];
    }
    for (size_t rank = 0; rank < size; rank++) order[rank] -= leader[rank] == (int)rank;
}

/* Launchers may distribute ranks to the machines one by one; shards follow the rank order, and only
   neighbours in this order form large subtrees. */
static dt_status number_ranks(dt_comm *comm) {
    const size_t size = size_of(MPI_COMM_WORLD), rank = rank_of(MPI_COMM_WORLD);
    int *leader = NULL, *order = NULL;
    dt_status status = dt_memory_alloc(&leader, size, sizeof *leader, "rank numbers");
    if (status == DT_OK) status = dt_memory_alloc(&order, size, sizeof *order, "rank numbers");
    if (status != DT_OK) goto done;
    int lowest = (int)rank; /* machine's rank 0 is the lowest of the world: they are in one order */
    DT_TRY_DONE(DT_MPI(MPI_Bcast(&lowest, 1, MPI_INT, 0, comm->machine)));
    DT_TRY_DONE(DT_MPI(MPI_Allgather(&lowest, 1, MPI_INT, leader, 1, MPI_INT, MPI_COMM_WORLD)));
    dt_ranks_order(order, leader, size);
    DT_TRY_DONE(DT_MPI(MPI_Comm_split(MPI_COMM_WORLD, 0, order[rank], &comm->all)));
    comm->size = size;
    comm->rank = rank_of(comm->all);
done:
    dt_memory_free(&order);
    dt_memory_free(&leader);
    return status;
}

/* Numbers of the nodes and their first ranks, from what each rank knows about its node. */
static dt_status number_nodes(dt_comm *comm) {
    int *local_rank = NULL;
    dt_status status = dt_memory_alloc(&local_rank, comm->size, sizeof *local_rank, "rank numbers");
    if (status != DT_OK) goto done;
    const int mine = (int)comm->local_rank;
    DT_TRY_DONE(DT_MPI(MPI_Allgather(&mine, 1, MPI_INT, local_rank, 1, MPI_INT, comm->all)));
    comm->nodes = 0;
    for (size_t rank = 0; rank < comm->size; rank++) {
        if (local_rank[rank] == 0) comm->first[comm->nodes++] = rank;
        if (rank == comm->rank) comm->node = comm->nodes - 1;
    }
    comm->first[comm->nodes] = comm->size;
done:
    dt_memory_free(&local_rank);
    return status;
}

dt_status dt_comm_split_nodes(dt_comm *comm, size_t ranks_per_node) {
    DT_REQUIRE(comm->windows == 0, DT_ERR_INTERNAL,
               "nodes were cut again while %zu shared windows were open", comm->windows);
    const size_t number = rank_of(comm->machine);
    const size_t part = ranks_per_node > 0 ? number / ranks_per_node : 0;
    if (comm->local != MPI_COMM_NULL) DT_TRY(DT_MPI(MPI_Comm_free(&comm->local)));
    DT_TRY(DT_MPI(MPI_Comm_split(comm->machine, (int)part, (int)number, &comm->local)));
    comm->local_rank = rank_of(comm->local);
    comm->local_size = size_of(comm->local);
    DT_TRY(number_nodes(comm));
    if (comm->leaders != MPI_COMM_NULL) DT_TRY(DT_MPI(MPI_Comm_free(&comm->leaders)));
    return DT_MPI(MPI_Comm_split(comm->all, comm->local_rank == 0 ? 0 : MPI_UNDEFINED,
                                 (int)comm->node, &comm->leaders));
}

/* Once for each machine: nodes are still what the machine has. */
static dt_status gather_hosts(dt_comm *comm) {
    char mine[MPI_MAX_PROCESSOR_NAME] = "";
    int length;
    comm->machines = comm->nodes;
    DT_TRY(dt_memory_alloc(&comm->host, comm->machines, sizeof *comm->host, "host names"));
    DT_TRY(dt_memory_alloc(&comm->machine_first, comm->machines + 1, sizeof *comm->machine_first,
                           "machines"));
    memcpy(comm->machine_first, comm->first, (comm->machines + 1) * sizeof *comm->first);
    DT_TRY(DT_MPI(MPI_Get_processor_name(mine, &length)));
    if (comm->leaders != MPI_COMM_NULL) {
        DT_TRY(DT_MPI(MPI_Allgather(mine, sizeof mine, MPI_CHAR, comm->host, sizeof mine, MPI_CHAR,
                                    comm->leaders)));
    }
    return DT_MPI(MPI_Bcast(comm->host, (int)(comm->machines * sizeof *comm->host), MPI_CHAR, 0,
                            comm->local));
}

dt_status dt_comm_open(dt_comm **comm, int *argc, char ***argv) {
    *comm = NULL;
    dt_comm *made;
    DT_TRY(dt_memory_alloc(&made, 1, sizeof *made, "ranks"));
    made->all = made->machine = made->local = made->leaders = MPI_COMM_NULL;
    dt_status status;
    DT_TRY_DONE(start_mpi(made, argc, argv));
    DT_TRY_DONE(find_machine(made));
    DT_TRY_DONE(number_ranks(made));
    DT_TRY_DONE(dt_memory_alloc(&made->first, made->size + 1, sizeof *made->first, "nodes"));
    DT_TRY_DONE(dt_memory_alloc(&made->counts, 2 * made->size, sizeof *made->counts, "counts"));
    DT_TRY_DONE(dt_comm_split_nodes(made, 0));
    DT_TRY_DONE(gather_hosts(made));
    *comm = made;
    return DT_OK;
done:
    dt_comm_close(&made);
    return status;
}

/* Frees all it can and returns the first error. */
dt_status dt_comm_close(dt_comm **comm) {
    if (!*comm) return DT_OK;
    dt_status status = DT_OK;
    MPI_Comm *each[] = {&(*comm)->leaders, &(*comm)->local, &(*comm)->machine, &(*comm)->all};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        if (*each[i] == MPI_COMM_NULL) continue;
        const dt_status freed = DT_MPI(MPI_Comm_free(each[i]));
        if (status == DT_OK) status = freed;
    }
    if ((*comm)->started) {
        const dt_status ended = DT_MPI(MPI_Finalize());
        if (status == DT_OK) status = ended;
    }
    dt_memory_free(&(*comm)->counts);
    dt_memory_free(&(*comm)->first);
    dt_memory_free(&(*comm)->machine_first);
    dt_memory_free(&(*comm)->host);
    dt_memory_free(comm);
    return status;
}

_Noreturn void dt_comm_abort(dt_comm *comm, int exit_code) {
    int started = 0, ended = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    if (started && !ended) {
        const bool known = comm && comm->all != MPI_COMM_NULL;
        MPI_Abort(known ? comm->all : MPI_COMM_WORLD, exit_code);
    }
    _Exit(exit_code);
}

size_t dt_comm_rank(const dt_comm *comm) { return comm->rank; }
size_t dt_comm_size(const dt_comm *comm) { return comm->size; }
size_t dt_comm_node(const dt_comm *comm) { return comm->node; }
size_t dt_comm_nodes(const dt_comm *comm) { return comm->nodes; }
size_t dt_comm_first_rank(const dt_comm *comm, size_t node) { return comm->first[node]; }
size_t dt_comm_local_rank(const dt_comm *comm) { return comm->local_rank; }
size_t dt_comm_local_size(const dt_comm *comm) { return comm->local_size; }
const char *dt_comm_library(const dt_comm *comm) { return comm->library; }

size_t dt_group_of(const size_t *first, size_t groups, size_t rank) {
    size_t low = 0, high = groups;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (first[middle] <= rank) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

const char *dt_comm_host(const dt_comm *comm, size_t rank) {
    return comm->host[dt_group_of(comm->machine_first, comm->machines, rank)];
}
