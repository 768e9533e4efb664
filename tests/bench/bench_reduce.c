/* How long the gradient sum takes, compared with MPI_Allreduce and memcpy of the same bytes, by
 * number of bytes.
 *
 * mpirun -np 2 build/bench_reduce [-k RANKS_PER_NODE] [-r REPETITIONS] [-m LARGEST_MB]
 * [-x 0|1|2: auto, direct, tree] [-j] -j prints one JSON object a line. Times are of the slowest
 * rank, medians over the repetitions; the three take turns, and a ratio is that of two successive
 * measurements. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/mpi/comm.h"

typedef struct {
    size_t ranks_per_node, repetitions, largest_mb;
    dt_exchange_kind exchange;
    bool json;
} options;

/* The memory of the comparison on this rank. */
typedef struct {
    dt_comm *comm;
    dt_reducer *reducer;
    dt_network network;
    float *in, *out;
    size_t count, shards;
} contest;

static dt_status with_reducer(contest *c) {
    size_t begin, end;
    dt_shard_range(&begin, &end, c->shards, dt_comm_size(c->comm), dt_comm_rank(c->comm));
    for (size_t shard = begin; shard < end; shard++) {
        dt_reducer_begin_shard(c->reducer);
        dt_reducer_end_shard(c->reducer);
    }
    float *sum;
    DT_TRY(dt_reducer_sum(c->reducer, &sum, &begin, &end));
    return dt_comm_node_barrier(c->comm);
}

static dt_status with_allreduce(contest *c) {
    MPI_Allreduce(c->in, c->out, (int)c->count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    return DT_OK;
}

static dt_status with_memcpy(contest *c) {
    memcpy(c->out, c->in, c->count * sizeof *c->in);
    return DT_OK;
}

/* Fresh numbers, as a backward pass would have left them. */
static void fill(contest *c) {
    for (size_t slot = 0; slot < dt_reducer_slots(c->reducer); slot++) {
        float *gradient = dt_reducer_slot(c->reducer, slot);
        for (size_t i = 0; i < c->count; i++) gradient[i] = 1.0f;
    }
    for (size_t i = 0; i < c->count; i++) c->in[i] = 1.0f;
}

typedef dt_status contestant(contest *);
enum { REDUCER, ALLREDUCE, MEMCPY, CONTESTANTS };
static contestant *const CONTESTANT[CONTESTANTS] = {with_reducer, with_allreduce, with_memcpy};

/* Seconds of the slowest rank. */
static dt_status time_one(double *seconds, contest *c, contestant *run) {
    fill(c);
    DT_TRY(dt_comm_barrier(c->comm));
    const double start = MPI_Wtime();
    DT_TRY(run(c));
    *seconds = MPI_Wtime() - start;
    MPI_Allreduce(MPI_IN_PLACE, seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return DT_OK;
}

/* Medians of the times of all three, and of the reducer's time divided by MPI_Allreduce's. */
static dt_status measure(double seconds[CONTESTANTS], double *ratio, contest *c,
                         size_t repetitions) {
    double *sample[CONTESTANTS + 1] = {NULL};
    dt_status status = DT_OK;
    for (size_t k = 0; k <= CONTESTANTS && status == DT_OK; k++)
        status = dt_memory_alloc(&sample[k], repetitions, sizeof(double), "samples");
    DT_TRY_DONE(dt_comm_agree(c->comm, status));
    for (size_t i = 0; i <= repetitions; i++) {
        const size_t at = i ? i - 1 : 0; /* the first touches pages and opens connections */
        for (size_t k = 0; k < CONTESTANTS; k++)
            DT_TRY_DONE(time_one(&sample[k][at], c, CONTESTANT[k]));
        sample[CONTESTANTS][at] = sample[REDUCER][at] / sample[ALLREDUCE][at];
    }
    for (size_t k = 0; k < CONTESTANTS; k++) seconds[k] = median(sample[k], repetitions);
    *ratio = median(sample[CONTESTANTS], repetitions);
done:
    for (size_t k = 0; k <= CONTESTANTS; k++) dt_memory_free(&sample[k]);
    return status;
}

static void report(const contest *c, const options *o, const double seconds[CONTESTANTS],
                   double ratio) {
    if (dt_comm_rank(c->comm) != 0) return;
    const double mb = (double)(c->count * sizeof(float)) / 1e6;
    if (o->json) {
        printf("{\"bench\":\"reduce\",\"ranks\":%zu,\"nodes\":%zu,\"exchange\":\"%s\",\"shards\":%"
               "zu,\"bytes\":%zu,"
               "\"reducer_seconds\":%.9f,\"allreduce_seconds\":%.9f,\"memcpy_seconds\":%.9f,"
               "\"ratio\":%.4f}\n",
               dt_comm_size(c->comm), dt_comm_nodes(c->comm),
               dt_reducer_exchange(c->reducer) == DT_EXCHANGE_TREE ? "tree" : "direct", c->shards,
               c->count * sizeof(float), seconds[REDUCER], seconds[ALLREDUCE], seconds[MEMCPY],
               ratio);
    } else {
        printf("%8.1f MB  reducer %8.3f ms  MPI_Allreduce %8.3f ms  memcpy %8.3f ms  ratio %.3f\n",
               mb, 1e3 * seconds[REDUCER], 1e3 * seconds[ALLREDUCE], 1e3 * seconds[MEMCPY], ratio);
    }
    fflush(stdout);
}

static dt_status compare(dt_comm *comm, const options *o, size_t count) {
    contest c = {.comm = comm, .count = count, .shards = 1};
    while (c.shards < dt_comm_size(comm)) c.shards *= 2;
    double seconds[CONTESTANTS], ratio;
    dt_status status;
    DT_TRY_DONE(dt_comm_measure(comm, &c.network));
    DT_TRY_DONE(dt_reducer_create(&c.reducer, comm,
                                  &(dt_reducer_plan){.count = count,
                                                     .shards = c.shards,
                                                     .block = 4096,
                                                     .exchange = o->exchange,
                                                     .network = c.network}));
    status = dt_memory_alloc(&c.in, count, sizeof *c.in, "input");
    if (status == DT_OK) status = dt_memory_alloc(&c.out, count, sizeof *c.out, "output");
    DT_TRY_DONE(dt_comm_agree(comm, status));
    DT_TRY_DONE(measure(seconds, &ratio, &c, o->repetitions));
    report(&c, o, seconds, ratio);
done:
    dt_memory_free(&c.out);
    dt_memory_free(&c.in);
    dt_reducer_destroy(&c.reducer);
    return status;
}

static bool read_options(options *o, int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "k:r:m:x:j")) != -1;) {
        switch (option) {
        case 'k': o->ranks_per_node = strtoul(optarg, NULL, 10); break;
        case 'r': o->repetitions = strtoul(optarg, NULL, 10); break;
        case 'm': o->largest_mb = strtoul(optarg, NULL, 10); break;
        case 'x': o->exchange = (dt_exchange_kind)strtoul(optarg, NULL, 10); break;
        case 'j': o->json = true; break;
        default: return false;
        }
    }
    return o->repetitions > 0;
}

int main(int argc, char **argv) {
    dt_comm *comm;
    options o = {.repetitions = 21, .largest_mb = 64};
    dt_status status = dt_comm_open(&comm, &argc, &argv);
    if (status == DT_OK && !read_options(&o, argc, argv)) {
        status = dt_error_raise(
            DT_ERR_ARG, __FILE__, __LINE__,
            "usage: bench_reduce [-k RANKS_PER_NODE] [-r REPETITIONS] [-m MB] [-x KIND] "
            "[-j]");
    }
    if (status == DT_OK) status = dt_comm_split_nodes(comm, o.ranks_per_node);
    for (size_t mb = 1; status == DT_OK && mb <= o.largest_mb; mb *= 4) {
        status = compare(comm, &o, mb << 18);
    }
    if (status != DT_OK) {
        if (!comm || dt_comm_rank(comm) == 0) dt_log_error("%s", dt_error_text());
        if (status == DT_ERR_COMM) dt_comm_abort(comm, dt_status_exit_code(status));
    }
    const dt_status closed = dt_comm_close(&comm);
    return dt_status_exit_code(status != DT_OK ? status : closed);
}
