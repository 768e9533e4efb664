/* Compares the memory that a run needs with what there is, since MPI and the kernel report no error
 * when it runs out; chooses the micro-batch. */
#include "memory.h"

#include <math.h>
#include <unistd.h>

#include "dtrain/core/limit.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/train/evaluate.h"
#include "dtrain/train/footprint.h"

/* Address space that libraries map beyond what they use, in bytes. */
static const double MAPPED = 170e6;

/* What a run needs on this rank and its node, and what there is. */
typedef struct {
    dt_footprint footprint;
    dt_footprint_ranks ranks;
    double mapped, space; /* address space of this rank */
    double used, left;    /* memory of the node */
} demand;

static double memory_of_machine(void) {
    return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

static demand demand_of(const dt_trainer *t, const dt_config *config) {
    const dt_comm *comm = t->s->comm;
    demand d = {.ranks = {dt_comm_size(comm), dt_comm_local_size(comm)}};
    d.footprint = dt_footprint_of(config, &t->shape, &t->layout, &d.ranks);
    dt_footprint *f = &d.footprint;
    if (dt_comm_node(comm) > 0) f->snapshots = 0;
    const double copy = dt_comm_rank(comm) == 0 ? f->snapshots : 0;
    d.mapped = MAPPED + f->libraries + f->state + (double)d.ranks.local * f->gradients +
               f->activations + f->packed + f->scratch + copy;
    d.space = dt_limit_address_space();
    d.used = dt_footprint_node(f, &d.ranks);
    d.left = fmin(dt_limit_cgroup("/proc/self/cgroup", "/sys/fs/cgroup"), memory_of_machine());
    return d;
}

static dt_status check(const dt_trainer *t) {
    const demand d = demand_of(t, &t->config);
    char parts[400];
    dt_footprint_text(parts, sizeof parts, &d.footprint, &d.ranks);
    DT_REQUIRE(d.mapped <= d.space, DT_ERR_MEMORY,
               "out of memory: a rank of this run maps about %.0f MB (of its node: %s), and its "
               "limit of address space leaves %.0f MB; raise it (ulimit -v), or lower --width, "
               "--layers or --micro-batch",
               d.mapped / 1e6, parts, d.space / 1e6);
    if (dt_comm_local_rank(t->s->comm) > 0) return DT_OK;
    DT_REQUIRE(d.used <= d.left, DT_ERR_MEMORY,
               "out of memory: this run needs about %.0f MB on each node (%s), and the memory "
               "limit of its job or container, or the machine, leaves %.0f MB; ask for more "
               "memory, or lower --width, --layers, --micro-batch or the number of ranks",
               d.used / 1e6, parts, d.left / 1e6);
    return DT_OK;
}

dt_status dt_trainer_check_memory(const dt_trainer *t) {
    return dt_comm_agree(t->s->comm, check(t));
}

/* ---- the micro-batch ---- */

/* Tokens of a pass whose activations of one layer stay in this rank's part of the last cache. Fewer
 * than an evaluation's are never worth it. */
static double tokens_of_cache(const dt_trainer *t) {
    const dt_model_shape *s = &t->shape;
    const double cache =
        (double)sysconf(_SC_LEVEL3_CACHE_SIZE) / (double)dt_comm_local_size(t->s->comm);
    const double operand = s->bfloat16 ? 2 : 4;
    const double layer = 2 * 4 * (double)s->C + operand * (double)(6 * s->C + 2 * s->F);
    return fmax(DT_EVAL_TOKENS, cache / layer);
}

static bool fits(const dt_trainer *t, const dt_config *config) {
    const demand d = demand_of(t, config);
    return d.mapped <= d.space && d.used <= d.left;
}

/* On this rank. */
static int64_t largest(const dt_trainer *t) {
    dt_config config = t->config;
    config.micro_batch = (config.batch + config.shards - 1) / config.shards;
    const double cached = tokens_of_cache(t);
    while (config.micro_batch > 1 &&
           ((double)config.micro_batch * (double)t->shape.T > cached || !fits(t, &config)))
        config.micro_batch = (config.micro_batch + 1) / 2;
    return config.micro_batch;
}

dt_status dt_trainer_choose_micro_batch(dt_trainer *t) {
    if (t->config.micro_batch > 0) return DT_OK;
    int64_t least = -largest(t);
    DT_TRY(dt_comm_max(t->s->comm, &least));
    t->config.micro_batch = -least;
    dt_log_info("micro-batch auto: %lld of the %lld texts of a shard in a pass, as memory and "
                "caches allow",
                (long long)t->config.micro_batch,
                (long long)((t->config.batch + t->config.shards - 1) / t->config.shards));
    return DT_OK;
}
