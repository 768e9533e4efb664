/* Estimates the memory of a run, since MPI and the kernel report no error when it runs out. */
#include "memory.h"

#include <math.h>

#include "dtrain/core/limit.h"
#include "dtrain/core/memory.h"
#include "dtrain/run/writer.h"

/* Libraries and small blocks of a rank, in bytes. */
static const double BASE_MAPPED = 200e6, BASE_USED = 60e6;

typedef struct {
    double state;       /* of the node: weights, moments and gradients */
    double activations; /* of a rank */
    double copy;        /* of rank 0: snapshots of the state */
} estimate;

/* Floats per token that src/model keeps for the backward pass. */
static double floats_per_token(const dt_model_shape *s) {
    const double C = (double)s->C, F = (double)s->F, H = (double)s->H;
    return (double)s->L * (8 * C + 2 * F + H + 4) + 5 * C + fmax(F, 3 * C) + (double)s->V + 8;
}

static estimate estimate_memory(const dt_trainer *t, size_t tokens) {
    const dt_comm *comm = t->s->comm;
    const double block = (double)t->layout.count * sizeof(float);
    const double blocks = t->config.average > 0 ? 4 : 3;
    const double shards = (double)t->config.shards / (double)dt_comm_size(comm);
    const double slots = 1 + floor(log2(shards)); /* partial sums stored at once */
    return (estimate){
        .state = block * (blocks + slots * (double)dt_comm_local_size(comm)),
        .activations = floats_per_token(&t->shape) * (double)tokens * sizeof(float),
        .copy = dt_comm_rank(comm) == 0 ? DT_SNAPSHOTS * block * blocks : 0,
    };
}

static dt_status check(const dt_trainer *t, size_t tokens) {
    const estimate e = estimate_memory(t, tokens);
    const double ranks = (double)dt_comm_local_size(t->s->comm);
    const double mapped = BASE_MAPPED + e.state + e.activations + e.copy;
    const double space = dt_limit_address_space();
    DT_REQUIRE(mapped <= space, DT_ERR_MEMORY,
               "out of memory: a rank of this run maps about %.0f MB (weights, moments and "
               "gradients %.0f MB, activations %.0f MB), and its limit of address space leaves "
               "%.0f MB; raise it (ulimit -v), or lower --width, --layers or --micro-batch",
               mapped / 1e6, e.state / 1e6, e.activations / 1e6, space / 1e6);
    if (dt_comm_local_rank(t->s->comm) > 0) return DT_OK;
    const double used = e.state + ranks * (BASE_USED + e.activations) + e.copy;
    const double left = dt_limit_cgroup("/proc/self/cgroup", "/sys/fs/cgroup");
    DT_REQUIRE(used <= left, DT_ERR_MEMORY,
               "out of memory: this run needs about %.0f MB on each node (weights, moments and "
               "gradients %.0f MB, activations of %.0f rank%s %.0f MB), and the memory limit of "
               "its job or container leaves %.0f MB; ask for more memory, or lower --width, "
               "--layers, --micro-batch or the number of ranks",
               used / 1e6, e.state / 1e6, ranks, ranks > 1 ? "s" : "", ranks * e.activations / 1e6,
               left / 1e6);
    return DT_OK;
}

dt_status dt_trainer_check_memory(const dt_trainer *t, size_t tokens) {
    return dt_comm_agree(t->s->comm, check(t, tokens));
}
