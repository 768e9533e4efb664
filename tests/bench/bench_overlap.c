/* How much of the exchange between nodes the backward pass hides: steps with and without overlap,
 * in turn, over the same problems.
 *
 * mpirun -np 2 build/bench_overlap [-r REPETITIONS] [SETTING=VALUE …] mpirun -np 2
 * build/bench_overlap width=256 layers=6 heads=8 batch=256
 *
 * Each rank is a node, unless ranks-per-node is given. A step is here the passes of all shards and
 * the sum of the gradients, without the update; "after" is the time from the end of the last rank's
 * passes to the end of the step. Prints one JSON object: medians over the repetitions, without
 * overlap and with it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/train/trainer.h"

enum { WITHOUT, WITH, MODES };

typedef struct {
    size_t repetitions;
    dt_session s;
    dt_trainer t;
    double *step[MODES], *after[MODES]; /* (repetitions) seconds */
} bench;

static dt_status on_backward(void *context, size_t from) {
    dt_trainer *t = context;
    dt_reducer_finish(t->reducer, from);
    return dt_reducer_progress(t->reducer);
}

/* Forward and backward passes of this rank, a shard each. */
static dt_status own_shards(dt_trainer *t, bool overlap) {
    const dt_backend_table *op = t->s->device->op;
    const dt_source source = dt_trainer_source(t);
    const size_t shards = (size_t)t->config.shards, problems = (size_t)t->config.batch / shards;
    size_t begin, end;
    dt_shard_range(&begin, &end, shards, dt_comm_size(t->s->comm), dt_comm_rank(t->s->comm));
    for (size_t shard = begin; shard < end; shard++) {
        dt_buffer *gradient = t->slot[dt_reducer_begin_shard(t->reducer)];
        const dt_step_key key = {.seed = 1, .first_problem = shard * problems};
        dt_score score = {0};
        DT_TRY(op->fill_zero(t->s->device, dt_floats(gradient, 0), t->layout.count));
        DT_TRY(dt_trainer_fill_batch(&t->batch, &source, shard * problems, problems));
        dt_model_watch(t->model, overlap && shard + 1 == end ? on_backward : NULL, t);
        DT_TRY(dt_model_backward(t->model, &score, gradient, &t->batch, &key));
        dt_reducer_end_shard(t->reducer);
    }
    return DT_OK;
}

/* The largest over ranks, of seconds. */
static dt_status slowest(double *seconds, dt_comm *comm) {
    int64_t nanoseconds = (int64_t)(1e9 * *seconds);
    DT_TRY(dt_comm_max(comm, &nanoseconds));
    *seconds = 1e-9 * (double)nanoseconds;
    return DT_OK;
}

static dt_status time_step(double *step, double *after, dt_trainer *t, bool overlap) {
    dt_comm *comm = t->s->comm;
    float *sum;
    size_t begin, end;
    DT_TRY(dt_comm_barrier(comm));
    const double start = dt_seconds_now();
    DT_TRY(own_shards(t, overlap));
    double passes = dt_seconds_now() - start;
    DT_TRY(dt_reducer_sum(t->reducer, &sum, &begin, &end));
    *step = dt_seconds_now() - start;
    DT_TRY(slowest(&passes, comm));
    DT_TRY(slowest(step, comm));
    *after = *step - passes;
    return DT_OK;
}

static dt_status measure(bench *b) {
    for (size_t mode = 0; mode < MODES; mode++) {
        DT_TRY(dt_memory_alloc(&b->step[mode], b->repetitions, sizeof(double), "samples"));
        DT_TRY(dt_memory_alloc(&b->after[mode], b->repetitions, sizeof(double), "samples"));
    }
    for (size_t i = 0; i <= b->repetitions; i++) {
        const size_t at = i ? i - 1 : 0; /* the first touches pages and opens connections */
        for (size_t turn = 0; turn < MODES; turn++) {
            const size_t mode = (i + turn) % MODES;
            DT_TRY(time_step(&b->step[mode][at], &b->after[mode][at], &b->t, mode == WITH));
        }
    }
    return DT_OK;
}

static void report(const bench *b) {
    const size_t n = b->repetitions;
    if (dt_comm_rank(b->s.comm) != 0) return;
    printf("{\"bench\":\"overlap\",\"ranks\":%zu,\"nodes\":%zu,\"bytes\":%zu,"
           "\"step_seconds\":[%.6f,%.6f],\"after_seconds\":[%.6f,%.6f]}\n",
           dt_comm_size(b->s.comm), dt_comm_nodes(b->s.comm), b->t.layout.count * sizeof(float),
           median(b->step[WITHOUT], n), median(b->step[WITH], n), median(b->after[WITHOUT], n),
           median(b->after[WITH], n));
}

static dt_status read_options(bench *b, dt_config *config, int argc, char **argv) {
    dt_config_defaults(config);
    config->ranks_per_node = 1;
    for (int option; (option = getopt(argc, argv, "r:")) != -1;) {
        DT_REQUIRE(option == 'r', DT_ERR_ARG,
                   "usage: bench_overlap [-r REPETITIONS] [SETTING=VALUE …]");
        b->repetitions = strtoul(optarg, NULL, 10);
    }
    DT_REQUIRE(b->repetitions >= 1, DT_ERR_ARG, "-r 0: give at least 1 repetition");
    for (int i = optind; i < argc; i++) DT_TRY(read_setting(config, argv[i]));
    config->micro_batch = config->batch / config->shards; /* one pass per shard */
    return dt_config_check(config);
}

static dt_status run(bench *b, const dt_config *config) {
    DT_TRY(dt_session_open(&b->s));
    DT_TRY(dt_trainer_create(&b->t, &b->s, config, NULL));
    DT_TRY(dt_trainer_initialise(&b->t));
    DT_TRY(measure(b));
    report(b);
    return DT_OK;
}

int main(int argc, char **argv) {
    bench b = {.repetitions = 15};
    dt_config config;
    dt_status status = dt_comm_open(&b.s.comm, &argc, &argv);
    if (status == DT_OK) status = read_options(&b, &config, argc, argv);
    if (status == DT_OK) status = dt_comm_split_nodes(b.s.comm, (size_t)config.ranks_per_node);
    if (status == DT_OK) status = run(&b, &config);
    if (status != DT_OK) {
        if (!b.s.comm || dt_comm_rank(b.s.comm) == 0) dt_log_error("%s", dt_error_text());
        if (status == DT_ERR_COMM) dt_comm_abort(b.s.comm, dt_status_exit_code(status));
    }
    for (size_t mode = 0; mode < MODES; mode++) {
        dt_memory_free(&b.step[mode]);
        dt_memory_free(&b.after[mode]);
    }
    dt_comm *comm = b.s.comm;
    dt_trainer_destroy(&b.t);
    dt_session_close(&b.s);
    const dt_status closed = dt_comm_close(&comm);
    return dt_status_exit_code(status != DT_OK ? status : closed);
}
