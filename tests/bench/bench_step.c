/* How fast a model trains, compared with BLAS on its matrix products alone, and where the time of a
 * step goes.
 *
 * mpirun -np 2 build/bench_step [-r REPETITIONS] [-c] [SETTING=VALUE …] build/bench_step width=256
 * layers=6 heads=8 batch=256
 *
 * -c: processor time instead of real time, for one rank on a machine that others use too.
 *
 * Steps of training and the products alone take turns. Prints one JSON object; rates are medians
 * over the repetitions, times of parts the medians of their mean over the ranks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/train/trainer.h"
#include "products.h"
#include "stopwatch.h"

enum { WARM_UP = 2, MOST = 1000 };

/* What is measured in each repetition. */
typedef struct {
    double step[MOST];  /* seconds */
    double flops[MOST]; /* of the model in that step */
    double sgemm[MOST]; /* FLOP per second of all ranks */
    double tokens[MOST];
    double ratio[MOST];
    double part[PARTS][DIRECTIONS][MOST]; /* seconds, mean over the ranks */
    double other[MOST];                   /* the rest of the step */
} samples;

typedef struct {
    size_t repetitions;
    clock_reader *now;
    dt_session s;
    dt_trainer t;
    stopwatch watch;
    products products;
    dt_batch batch;          /* all problems of a step */
    double dealing;          /* seconds to deal them to the passes */
    size_t most_tokens;      /* of a micro-batch in any step so far */
    size_t activation_bytes; /* memory that the model allocated for a micro-batch */
    double *by_rank;         /* (ranks, PARTS * DIRECTIONS) */
    double *rates;           /* (ranks) */
    samples *samples;
} bench;

/* Prepares the problems of the next step. */
static dt_status look_ahead(bench *b) {
    dt_trainer *t = &b->t;
    const size_t batch = (size_t)t->config.batch, passes = dt_trainer_passes(&t->config);
    const dt_source source = dt_trainer_source(t);
    DT_TRY(dt_trainer_fill_batch(&b->batch, &source, (uint64_t)t->state.problems, batch));
    const double start = b->now();
    DT_TRY(dt_trainer_deal(t));
    b->dealing = b->now() - start;
    for (size_t pass = 0; pass < passes; pass++)
        b->most_tokens = dt_max_size(b->most_tokens, (size_t)t->deal.part[pass].tokens);
    return DT_OK;
}

static dt_status open_bench(bench *b, dt_config *config) {
    DT_TRY(dt_session_open(&b->s));
    DT_TRY(dt_session_open_device(&b->s, DT_BACKEND_CPU));
    DT_TRY(dt_session_settle_precision(&b->s, config));
    stopwatch_install(&b->watch, b->s.host, b->now);
    DT_TRY(dt_trainer_create(&b->t, &b->s, config, NULL));
    b->watch.shape = b->t.shape;
    b->activation_bytes = b->watch.created;
    DT_TRY(dt_trainer_initialise(&b->t));
    const size_t problems = (size_t)config->batch, ranks = dt_comm_size(b->s.comm);
    dt_status status = dt_batch_create(&b->batch, problems, problems * b->t.shape.T);
    if (status == DT_OK) status = look_ahead(b);
    const size_t tokens = b->batch.tokens / dt_trainer_passes(config);
    if (status == DT_OK)
        status = products_open(&b->products, b->s.host, &b->t.shape, tokens, true, b->now);
    if (status == DT_OK)
        status = b->t.shape.bfloat16 ? products_add_layer(&b->products)
                                     : products_add_kernel(&b->products);
    if (status == DT_OK) status = dt_memory_alloc(&b->samples, 1, sizeof *b->samples, "samples");
    if (status == DT_OK)
        status = dt_memory_alloc(&b->by_rank, ranks, sizeof b->watch.seconds, "times of ranks");
    if (status == DT_OK) status = dt_memory_alloc(&b->rates, ranks, sizeof *b->rates, "rates");
    return dt_comm_agree(b->s.comm, status);
}

static void close_bench(bench *b) {
    dt_memory_free(&b->rates);
    dt_memory_free(&b->by_rank);
    dt_memory_free(&b->samples);
    products_close(&b->products);
    dt_batch_destroy(&b->batch);
    dt_trainer_destroy(&b->t);
    if (b->s.host) stopwatch_remove(&b->watch, b->s.host);
    dt_session_close(&b->s);
}

/* Times that the program itself measures; they are not operations of the backend. */
typedef struct {
    double reduction, waiting;
} own_times;

static own_times own_times_of(const dt_trainer *t) {
    double adding, exchanging, waiting;
    dt_reducer_times(t->reducer, &adding, &exchanging, &waiting);
    return (own_times){adding + exchanging, waiting + t->waiting};
}

/* The parts of this rank's step become the samples of repetition i. */
static dt_status take_parts(bench *b, size_t i) {
    const size_t ranks = dt_comm_size(b->s.comm), each = (size_t)PARTS * DIRECTIONS;
    memcpy(b->by_rank + dt_comm_rank(b->s.comm) * each, b->watch.seconds, sizeof b->watch.seconds);
    DT_TRY(dt_comm_share(b->s.comm, b->by_rank, ranks, each));
    b->samples->other[i] = b->samples->step[i];
    for (size_t p = 0; p < PARTS; p++) {
        for (size_t d = 0; d < DIRECTIONS; d++) {
            double sum = 0;
            for (size_t r = 0; r < ranks; r++) sum += b->by_rank[r * each + p * DIRECTIONS + d];
            b->samples->part[p][d][i] = sum / (double)ranks;
            b->samples->other[i] -= sum / (double)ranks;
        }
    }
    return DT_OK;
}

/* One step, as sample i. */
static dt_status time_step(bench *b, size_t i) {
    dt_trainer *t = &b->t;
    dt_train_row row;
    dt_step_request request = {0};
    DT_TRY(look_ahead(b));
    b->samples->tokens[i] = (double)b->batch.tokens;
    /* The backward pass has two products for each one of the forward pass. */
    b->samples->flops[i] = 3 * (model_linear_flops(&t->shape, (double)b->batch.tokens) +
                                model_attention_flops(&t->shape, &b->batch));
    DT_TRY(dt_comm_barrier(b->s.comm));
    const own_times before = own_times_of(t);
    stopwatch_clear(&b->watch);
    const double start = b->now();
    DT_TRY(dt_trainer_step(t, &row, &request));
    b->samples->step[i] = b->now() - start;
    const own_times after = own_times_of(t);
    b->watch.seconds[PART_DATA][FORWARD] += b->dealing;
    b->watch.seconds[PART_REDUCTION][BACKWARD] += after.reduction - before.reduction;
    b->watch.seconds[PART_WAITING][BACKWARD] += after.waiting - before.waiting;
    return take_parts(b, i);
}

/* The products alone, on all ranks at once: by BLAS for half the time of a step, and equally often
 * by the backend's kernel for float32 or its layers in bfloat16. */
static dt_status time_products(bench *b, size_t i) {
    DT_TRY(dt_comm_barrier(b->s.comm));
    double rate[WAYS_MAX];
    DT_TRY(products_run(rate, &b->products, b->samples->step[i] / 2));
    DT_TRY(dt_comm_gather(b->s.comm, b->rates, rate[0]));
    b->samples->sgemm[i] = 0;
    for (size_t r = 0; r < dt_comm_size(b->s.comm); r++) b->samples->sgemm[i] += b->rates[r];
    b->samples->ratio[i] = b->samples->flops[i] / b->samples->step[i] / b->samples->sgemm[i];
    return DT_OK;
}

static dt_status measure(bench *b) {
    for (size_t i = 0; i < WARM_UP; i++) DT_TRY(time_step(b, 0));
    for (size_t i = 0; i < b->repetitions; i++) {
        DT_TRY(time_step(b, i));
        DT_TRY(time_products(b, i));
    }
    return DT_OK;
}

static void report_parts(bench *b) {
    printf("\"split\":{");
    for (size_t p = 0; p < PARTS; p++) {
        const double forward = median(b->samples->part[p][FORWARD], b->repetitions);
        const double backward = median(b->samples->part[p][BACKWARD], b->repetitions);
        printf("\"%s\":[%.9f,%.9f],", part_name((part)p), forward, backward);
    }
    printf("\"other\":[%.9f,0]},", median(b->samples->other, b->repetitions));
}

static void report_products(const products *p) {
    printf("\"products\":[");
    for (size_t i = 0; i < p->count; i++) {
        const product *x = &p->each[i];
        printf("%s{\"name\":\"%s\",\"of\":\"%s\",\"m\":%zu,\"n\":%zu,\"k\":%zu,\"times\":%zu,"
               "\"gflops\":%.2f,\"own_gflops\":%.2f}",
               i ? "," : "", x->name, x->of, x->M, x->N, x->K, x->times,
               product_rate(p, i, 0) / 1e9, product_rate(p, i, 1) / 1e9);
    }
    printf("]");
}

static void report(bench *b) {
    const dt_config *c = &b->t.config;
    const size_t n = b->repetitions;
    samples *x = b->samples;
    double rate[MOST], tokens_rate[MOST];
    for (size_t i = 0; i < n; i++) {
        rate[i] = x->flops[i] / x->step[i];
        tokens_rate[i] = x->tokens[i] / x->step[i];
    }
    const double step = median(x->step, n);
    printf("{\"bench\":\"step\",\"ranks\":%zu,\"precision\":\"%s\",\"clock\":\"%s\","
           "\"kernels\":\"%s\",\"parameters\":%zu,\"activation_bytes\":%zu,\"layers\":%zu,"
           "\"width\":%zu,\"heads\":%zu,\"batch\":%lld,\"shards\":%lld,\"micro_batch\":%lld,"
           "\"repetitions\":%zu,\"tokens_per_pass\":%zu,\"most_tokens_per_pass\":%zu,\"step_"
           "seconds\":%.6f,"
           "\"tokens_per_second\":%.1f,\"problems_per_second\":%.1f,\"model_gflops\":%.2f,"
           "\"sgemm_gflops\":%.2f,\"ratio\":%.4f,",
           dt_comm_size(b->s.comm), b->t.shape.bfloat16 ? "bfloat16" : "float32",
           b->now == dt_seconds_now ? "real" : "processor", blas_kernels(), b->t.layout.weights,
           b->activation_bytes, b->t.shape.L, b->t.shape.C, b->t.shape.H, (long long)c->batch,
           (long long)c->shards, (long long)c->micro_batch, n, b->products.each[0].M,
           b->most_tokens, step, median(tokens_rate, n), (double)c->batch / step,
           median(rate, n) / 1e9, median(x->sgemm, n) / 1e9, median(x->ratio, n));
    report_parts(b);
    report_products(&b->products);
    printf("}\n");
}

static dt_status read_options(bench *b, dt_config *config, int argc, char **argv) {
    dt_config_defaults(config);
    for (int option; (option = getopt(argc, argv, "r:c")) != -1;) {
        if (option == 'c') {
            b->now = processor_seconds;
            continue;
        }
        DT_REQUIRE(option == 'r', DT_ERR_ARG,
                   "usage: bench_step [-r REPETITIONS] [-c] [SETTING=VALUE …]");
        b->repetitions = strtoul(optarg, NULL, 10);
    }
    DT_REQUIRE(b->repetitions >= 1 && b->repetitions <= MOST, DT_ERR_ARG,
               "-r %zu: give 1 to %d repetitions", b->repetitions, (int)MOST);
    for (int i = optind; i < argc; i++) DT_TRY(read_setting(config, argv[i]));
    return dt_config_check(config);
}

int main(int argc, char **argv) {
    bench b = {.repetitions = 7, .now = dt_seconds_now};
    dt_config config;
    dt_status status = dt_comm_open(&b.s.comm, &argc, &argv);
    if (status == DT_OK) status = read_options(&b, &config, argc, argv);
    if (status == DT_OK) status = dt_comm_split_nodes(b.s.comm, (size_t)config.ranks_per_node);
    if (status == DT_OK) status = open_bench(&b, &config);
    if (status == DT_OK) status = measure(&b);
    if (status == DT_OK && dt_comm_rank(b.s.comm) == 0) report(&b);
    if (status != DT_OK) {
        if (!b.s.comm || dt_comm_rank(b.s.comm) == 0) dt_log_error("%s", dt_error_text());
        if (status == DT_ERR_COMM) dt_comm_abort(b.s.comm, dt_status_exit_code(status));
    }
    dt_comm *comm = b.s.comm;
    close_bench(&b);
    const dt_status closed = dt_comm_close(&comm);
    return dt_status_exit_code(status != DT_OK ? status : closed);
}
