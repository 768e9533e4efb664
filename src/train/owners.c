/* Shares the updates of matrices out. Muon's take time: where the network is fast enough, each
   matrix is updated by one rank of the job, and its new weights go to all nodes instead of its
   gradient. All else is updated on each node, element by element, which takes no longer than on the
   first node alone: that one needs all moments at any moment, to write the last completed step
   without a word from the others. So it also gets the gradients of the matrices of others, and
   updates their momentum. */
#include "owners.h"

#include "dtrain/core/clock.h"
#include "dtrain/core/digest.h"
#include "dtrain/core/memory.h"

/* What the momentum of one element takes, as dt_matrix_cost counts: it is limited by memory. */
static const double MOMENTUM_COST = 100;

/* Workers: the ranks of the job or of a node. */
typedef struct {
    size_t *rank; /* (count) */
    double *load; /* (count) */
    size_t count;
} workers;

static dt_status allocate_workers(workers *w, size_t count) {
    *w = (workers){.count = count};
    DT_TRY(dt_memory_alloc(&w->rank, count, sizeof *w->rank, "the workers"));
    return dt_memory_alloc(&w->load, count, sizeof *w->load, "what workers have to do");
}

static void free_workers(workers *w) {
    dt_memory_free(&w->load);
    dt_memory_free(&w->rank);
}

static size_t elements(const dt_trainer *t) {
    size_t all = 0;
    for (size_t i = 0; i < t->matrices; i++) all += t->matrix[i].end - t->matrix[i].begin;
    return all;
}

static size_t ranks_on(const dt_comm *comm, size_t node) {
    return dt_comm_first_rank(comm, node + 1) - dt_comm_first_rank(comm, node);
}

/* All ranks, the first ones of all nodes first: few matrices go to many nodes. */
static dt_status list_job(workers *w, const dt_trainer *t) {
    const dt_comm *comm = t->s->comm;
    const size_t nodes = dt_comm_nodes(comm);
    DT_TRY(allocate_workers(w, dt_comm_size(comm)));
    const double others = (double)elements(t) * (double)(nodes - 1) / (double)nodes;
    size_t found = 0;
    for (size_t local = 0; found < w->count; local++) {
        for (size_t node = 0; node < nodes; node++) {
            if (local >= ranks_on(comm, node)) continue;
            if (node == 0) w->load[found] = others * MOMENTUM_COST / (double)ranks_on(comm, 0);
            w->rank[found++] = dt_comm_first_rank(comm, node) + local;
        }
    }
    return DT_OK;
}

/* By their numbers on the node. */
static dt_status list_node(workers *w, size_t count) {
    DT_TRY(allocate_workers(w, count));
    for (size_t i = 0; i < count; i++) w->rank[i] = i;
    return DT_OK;
}

/* *most: of the worker that has the most to do. */
static dt_status share(dt_trainer *t, double *most, workers *w) {
    dt_matrices_share(t->matrix, t->matrices, w->load, w->count);
    *most = 0;
    for (size_t i = 0; i < w->count; i++) *most = w->load[i] > *most ? w->load[i] : *most;
    for (size_t i = 0; i < t->matrices; i++) t->matrix[i].worker = w->rank[t->matrix[i].worker];
    return DT_OK;
}

static dt_status share_among(dt_trainer *t, double *most, bool job, size_t ranks) {
    workers w;
    dt_status status = job ? list_job(&w, t) : list_node(&w, ranks);
    if (status == DT_OK) status = share(t, most, &w);
    free_workers(&w);
    return status;
}

/* Seconds of the update of one matrix. Of zeros: they take as long. */
static dt_status time_matrix(double *seconds, const dt_trainer *t, const dt_matrix *matrix) {
    dt_backend *host = t->s->host;
    const size_t size = matrix->end - matrix->begin;
    const dt_matrix alone = {.end = size, .rows = matrix->rows, .columns = matrix->columns};
    float *memory = NULL;
    dt_buffer *block[3] = {NULL};
    dt_status status = DT_OK;
    DT_TRY_DONE(dt_memory_alloc(&memory, 3 * size, sizeof *memory, "a matrix to be timed"));
    for (size_t i = 0; i < 3; i++) {
        DT_TRY_DONE(host->op->buffer_attach(&block[i], host, memory + i * size,
                                            size * sizeof *memory, "a matrix to be timed"));
    }
    for (size_t turn = 0; turn < 2; turn++) { /* the first one touches memory */
        const double start = dt_seconds_now();
        DT_TRY_DONE(dt_matrix_update(host, &alone, block[0], block[1], dt_floats(block[2], 0),
                                     &t->config, 0, 1));
        *seconds = dt_seconds_now() - start;
    }
done:
    for (size_t i = 0; i < 3; i++) {
        if (block[i]) host->op->buffer_destroy(&block[i], host);
    }
    dt_memory_free(&memory);
    return status;
}

/* Seconds for one unit of dt_matrix_cost, on the slowest rank. Collective. */
static dt_status time_cost(double *seconds, const dt_trainer *t) {
    const dt_matrix *largest = &t->matrix[0];
    for (size_t i = 1; i < t->matrices; i++) {
        const dt_matrix *m = &t->matrix[i];
        if (m->end - m->begin > largest->end - largest->begin) largest = m;
    }
    double mine = 0;
    DT_TRY(dt_comm_agree(t->s->comm, time_matrix(&mine, t, largest)));
    int64_t nanoseconds = (int64_t)(1e9 * mine);
    DT_TRY(dt_comm_max(t->s->comm, &nanoseconds));
    *seconds = 1e-9 * (double)nanoseconds / dt_matrix_cost(largest->rows, largest->columns);
    return DT_OK;
}

/* Whether less time is saved in computing than spent in sending weights: the gradients travel
 * during the backward pass, weights only after it. */
static bool is_dear(const dt_trainer *t, double saved) {
    const double nodes = (double)dt_comm_nodes(t->s->comm);
    const double bytes = (double)elements(t) * sizeof(float) * (nodes - 1) / nodes;
    const double messages = 2 * (double)t->matrices;
    return saved <= bytes / t->network.bandwidth + messages * t->network.latency;
}

static size_t fewest_ranks(const dt_comm *comm) {
    size_t fewest = ranks_on(comm, 0);
    for (size_t node = 1; node < dt_comm_nodes(comm); node++)
        fewest = dt_min_size(fewest, ranks_on(comm, node));
    return fewest;
}

/* Whether matrices are updated once in the job. seconds: as for dt_owners_share. */
static dt_status choose(dt_trainer *t, double seconds) {
    const dt_comm *comm = t->s->comm;
    t->divided = false;
    if (dt_comm_nodes(comm) == 1 || t->matrices == 0) return DT_OK;
    t->divided = t->config.updates == DT_UPDATES_JOB;
    if (t->config.updates != DT_UPDATES_AUTO) return DT_OK;
    double node = 0, job = 0;
    DT_TRY(share_among(t, &node, false, fewest_ranks(comm)));
    DT_TRY(share_among(t, &job, true, 0));
    t->divided = !is_dear(t, seconds * (node - job));
    return DT_OK;
}

dt_status dt_owners_share(dt_trainer *t, double seconds) {
    double most;
    DT_TRY(choose(t, seconds));
    return share_among(t, &most, t->divided, dt_comm_local_size(t->s->comm));
}

dt_status dt_owners_decide(dt_trainer *t) {
    dt_comm *comm = t->s->comm;
    double seconds = 0;
    DT_TRY(dt_comm_measure(comm, &t->network));
    DT_TRY(dt_comm_agree(comm, dt_matrices_list(&t->matrix, &t->matrices, &t->layout, &t->config)));
    const bool asks = t->config.updates == DT_UPDATES_AUTO && dt_comm_nodes(comm) > 1;
    if (asks && t->matrices > 0) DT_TRY(time_cost(&seconds, t));
    return dt_comm_agree(comm, dt_owners_share(t, seconds));
}

dt_status dt_owners_list(dt_owned **owned, const dt_trainer *t) {
    *owned = NULL;
    if (!t->divided) return DT_OK;
    DT_TRY(dt_memory_alloc(owned, t->matrices, sizeof **owned, "the owners of matrices"));
    for (size_t i = 0; i < t->matrices; i++) {
        const dt_matrix *m = &t->matrix[i];
        (*owned)[i] = (dt_owned){m->begin, m->end, m->worker};
    }
    return DT_OK;
}

/* Whether this rank does what the ranks of its node do in turns. */
static bool has_turn(const dt_trainer *t, size_t i) {
    return i % dt_comm_local_size(t->s->comm) == dt_comm_local_rank(t->s->comm);
}

uint64_t dt_owners_print(const dt_trainer *t) {
    uint64_t print = 0;
    for (size_t i = 0; t->divided && i < t->matrices; i++) {
        const dt_matrix *m = &t->matrix[i];
        if (!has_turn(t, i)) continue;
        print ^= dt_fingerprint(t->weights_memory + m->begin,
                                (m->end - m->begin) * sizeof *t->weights_memory);
    }
    return print;
}

static bool is_mine(const dt_trainer *t, const dt_matrix *matrix) {
    const dt_comm *comm = t->s->comm;
    return matrix->worker == (t->divided ? dt_comm_rank(comm) : dt_comm_local_rank(comm));
}

/* Of the matrices that ranks of other nodes update. */
static dt_status update_momentum(dt_trainer *t, dt_tensor gradient, double scale) {
    const size_t here = dt_comm_first_rank(t->s->comm, 1);
    for (size_t i = 0, others = 0; i < t->matrices; i++) {
        if (t->matrix[i].worker < here || !has_turn(t, others++)) continue;
        DT_TRY(dt_matrix_update_momentum(t->s->host, &t->matrix[i], t->m, gradient, &t->config,
                                         scale));
    }
    return DT_OK;
}

dt_status dt_owners_update(dt_trainer *t, dt_tensor gradient, double scale) {
    if (t->divided) DT_TRY(dt_reducer_begin_spread(t->reducer, t->weights_memory));
    for (size_t i = t->matrices; i > 0; i--) {
        const dt_matrix *matrix = &t->matrix[i - 1];
        if (!is_mine(t, matrix)) continue;
        DT_TRY(dt_matrix_update(t->s->host, matrix, t->weights, t->m, gradient, &t->config,
                                t->state.step, scale));
        if (t->divided) DT_TRY(dt_reducer_spread(t->reducer, matrix->begin));
    }
    if (!t->divided) return DT_OK;
    if (dt_comm_node(t->s->comm) == 0) DT_TRY(update_momentum(t, gradient, scale));
    return dt_reducer_end_spread(t->reducer);
}
