/* Marks of the ranks of a node in shared memory: like a barrier, but without waiting. */
#include "frontier.h"

#include <stdatomic.h>

#include "dtrain/core/memory.h"
#include "internal.h"

/* One mark per cache line. */
typedef struct {
    _Alignas(DT_ALIGNMENT) _Atomic uint64_t mark;
} cache_line;

struct dt_frontier {
    dt_comm *comm;
    dt_window *window;
    cache_line *line; /* (ranks of the node) */
};

dt_status dt_frontier_create(dt_frontier **frontier, dt_comm *comm) {
    *frontier = NULL;
    dt_frontier *made;
    dt_status status = dt_memory_alloc(&made, 1, sizeof *made, "frontier");
    if (status == DT_OK) made->comm = comm;
    DT_TRY_DONE(dt_comm_agree(comm, status));
    DT_TRY_DONE(
        dt_window_create(&made->window, comm, comm->local_size * sizeof(cache_line), "frontier"));
    made->line = dt_window_memory(made->window);
    *frontier = made;
    return DT_OK;
done:
    dt_memory_free(&made);
    return status;
}

void dt_frontier_destroy(dt_frontier **frontier) {
    if (!*frontier) return;
    dt_window_destroy(&(*frontier)->window);
    dt_memory_free(frontier);
}

void dt_frontier_advance(dt_frontier *frontier, uint64_t mark) {
    cache_line *mine = &frontier->line[frontier->comm->local_rank];
    atomic_store_explicit(&mine->mark, mark, memory_order_release);
}

bool dt_frontier_passed(const dt_frontier *frontier, uint64_t mark) {
    for (size_t rank = 0; rank < frontier->comm->local_size; rank++) {
        if (atomic_load_explicit(&frontier->line[rank].mark, memory_order_acquire) < mark)
            return false;
    }
    return true;
}
