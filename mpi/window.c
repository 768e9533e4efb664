/* One block of memory per node that all of its ranks see. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "dtrain/core/limit.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "internal.h"

/* Blocks start at a page, so that parts of whole pages can lie in different memory banks. */
enum { PAGE = 4096 };

/* More than MPI adds to a window for itself: 8 KiB and some for each rank. */
enum { OVERHEAD = 1 << 20 };

struct dt_window {
    dt_comm *comm;
    void *memory;
    void *own;   /* the same where the node has one rank: no MPI is needed then */
    MPI_Win win; /* MPI_WIN_NULL otherwise */
    bool locked;
};

/* Where MPI libraries keep shared windows on Linux; Open MPI lets its users name another folder. */
static const char *window_folder(void) {
    const char *named = getenv("OMPI_MCA_osc_sm_backing_directory");
    return named ? named : "/dev/shm";
}

size_t dt_window_space(void) {
    struct statvfs fs;
    if (statvfs(window_folder(), &fs) != 0) return SIZE_MAX;
    return (size_t)fs.f_bavail * fs.f_frsize;
}

/* Open MPI hangs when the folder of its windows is full or a rank cannot map them, and touching
   what does not fit kills the rank: so ask first. The nodes of one machine (when they are
   pretended) ask for it together. */
static dt_status check_space(dt_comm *comm, size_t bytes, const char *what) {
    const bool asks = comm->local_rank == 0 && comm->local_size > 1;
    unsigned long long wanted = asks ? bytes + OVERHEAD : 0;
    DT_TRY(DT_MPI(
        MPI_Allreduce(MPI_IN_PLACE, &wanted, 1, MPI_UNSIGNED_LONG_LONG, MPI_SUM, comm->machine)));
    const size_t space = dt_window_space();
    dt_status local = DT_OK;
    char why[DT_LIMIT_TEXT];
    if (wanted > space) {
        local = dt_error_raise(
            DT_ERR_MEMORY, __FILE__, __LINE__,
            "%s: %.1f MB are to be shared in %s, which has %.1f MB left; make it larger (mount -o "
            "remount,size=…, docker run --shm-size=…), or start with --ranks-per-node 1, which "
            "shares nothing",
            what, (double)wanted / 1e6, window_folder(), (double)space / 1e6);
    } else if (comm->local_size > 1 && !dt_limit_allows(bytes + OVERHEAD)) {
        local =
            dt_error_raise(DT_ERR_MEMORY, __FILE__, __LINE__, "%s: %.1f MB cannot be mapped: %s",
                           what, (double)bytes / 1e6, dt_limit_text(why));
    }
    return dt_comm_agree(comm, local);
}

/* Local rank 0 brings all the memory. MPI does not align it: a page more, and rounded up by the
   same number of bytes on every rank, since each of them sees it at another address. */
static dt_status allocate_shared(dt_window *window, size_t bytes) {
    dt_comm *comm = window->comm;
    const MPI_Aint wanted = comm->local_rank == 0 ? (MPI_Aint)(bytes + PAGE) : 0;
    void *base;
    DT_TRY(DT_MPI(
        MPI_Win_allocate_shared(wanted, 1, MPI_INFO_NULL, comm->local, &base, &window->win)));
    DT_TRY(DT_MPI(MPI_Win_set_errhandler(window->win, MPI_ERRORS_RETURN)));
    MPI_Aint size;
    int unit;
    DT_TRY(DT_MPI(MPI_Win_shared_query(window->win, 0, &size, &unit, &base)));
    unsigned long long shift = -(uintptr_t)base % PAGE;
    DT_TRY(DT_MPI(MPI_Bcast(&shift, 1, MPI_UNSIGNED_LONG_LONG, 0, comm->local)));
    window->memory = (char *)base + shift;
    /* Loads and stores on shared memory are only defined inside an epoch. */
    DT_TRY(DT_MPI(MPI_Win_lock_all(MPI_MODE_NOCHECK, window->win)));
    window->locked = true;
    return DT_OK;
}

dt_status dt_window_create_touched(dt_window **window, dt_comm *comm, size_t bytes, size_t begin,
                                   size_t end, const char *what) {
    *window = NULL;
    DT_REQUIRE(bytes <= SIZE_MAX / 4, DT_ERR_MEMORY,
               "%s: %zu bytes are more than memory can address", what, bytes);
    dt_window *made;
    dt_status status = dt_memory_alloc(&made, 1, sizeof *made, what);
    if (status == DT_OK) *made = (dt_window){.comm = comm, .win = MPI_WIN_NULL};
    if (status == DT_OK && comm->local_size == 1) {
        status = dt_memory_alloc(&made->own, bytes, 1, what);
        made->memory = made->own;
    }
    status = dt_comm_agree(comm, status);
    if (status != DT_OK) {
        if (made) dt_memory_free(&made->own);
        dt_memory_free(&made);
        return status;
    }
    comm->windows++;
    DT_TRY_DONE(check_space(comm, bytes, what));
    if (comm->local_size > 1) status = allocate_shared(made, bytes);
    DT_TRY_DONE(dt_comm_agree(comm, status));
    if (comm->local_size > 1) memset((char *)made->memory + begin, 0, end - begin);
    DT_TRY_DONE(dt_comm_node_barrier(comm));
    *window = made;
    return DT_OK;
done:
    dt_window_destroy(&made);
    return status;
}

dt_status dt_window_create(dt_window **window, dt_comm *comm, size_t bytes, const char *what) {
    /* Each rank clears a part, which spreads the pages over the node's memory banks. */
    size_t begin, end;
    const size_t lines = dt_round_up(bytes, DT_ALIGNMENT) / DT_ALIGNMENT;
    dt_shard_range(&begin, &end, lines, comm->local_size, comm->local_rank);
    return dt_window_create_touched(window, comm, bytes, dt_min_size(begin * DT_ALIGNMENT, bytes),
                                    dt_min_size(end * DT_ALIGNMENT, bytes), what);
}

static dt_status free_shared(dt_window *window) {
    if (window->win == MPI_WIN_NULL) return DT_OK;
    if (window->locked) DT_TRY(DT_MPI(MPI_Win_unlock_all(window->win)));
    return DT_MPI(MPI_Win_free(&window->win));
}

void dt_window_destroy(dt_window **window) {
    if (!*window) return;
    if (free_shared(*window) != DT_OK) dt_log_warn("%s", dt_error_text());
    (*window)->comm->windows--;
    dt_memory_free(&(*window)->own);
    dt_memory_free(window);
}

void *dt_window_memory(const dt_window *window) { return window->memory; }
