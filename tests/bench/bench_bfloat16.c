/* How fast products of bfloat16 operands are computed at the model's shapes, compared with the
 * processor's peak in registers and with float32.
 *
 * build/bench_bfloat16 [-r REPETITIONS] [-c] [SETTING=VALUE …] build/bench_bfloat16 width=256
 * layers=6 heads=8
 *
 * -c: processor time instead of real time, for a machine that others use too.
 *
 * Prints one JSON object; rates are medians over the repetitions, each of which measures everything
 * once. What the processor or the build lacks is null. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/train/trainer.h"
#include "onednn.h"
#include "peak.h"
#include "products.h"

enum { MOST = 1000 };

/* In the order in which they are added. */
enum { BLAS, KERNEL, LAYER, PACKED, PLAIN, ONEDNN, WAYS };
static const char *const NAMES[WAYS] = {"blas", "float32", "layer", "bfloat16", "plain", "onednn"};

typedef struct {
    size_t repetitions;
    clock_reader *now;
    dt_session s;
    dt_trainer t;
    dt_batch batch; /* a micro-batch */
    products products;
    char onednn[64]; /* its implementation; empty: not installed */
    double rate[WAYS][MOST], float32_peak[MOST], bfloat16_peak[MOST];
    double ratio[MOST]; /* of the kernel's rate and the peak */
} bench;

static dt_status open_bench(bench *b, const dt_config *config) {
    const size_t problems = (size_t)config->micro_batch;
    DT_TRY(dt_session_open(&b->s));
    DT_TRY(dt_trainer_create(&b->t, &b->s, config, NULL));
    const dt_source source = dt_trainer_source(&b->t);
    DT_TRY(dt_batch_create(&b->batch, problems, problems * b->t.shape.T));
    DT_TRY(dt_trainer_fill_batch(&b->batch, &source, 0, problems));
    DT_TRY(products_open(&b->products, b->s.host, &b->t.shape, b->batch.tokens, true, b->now));
    DT_TRY(products_add_kernel(&b->products));
    DT_TRY(products_add_layer(&b->products));
    DT_TRY(products_add_packed(&b->products));
    DT_TRY(products_add_plain(&b->products));
    return products_add_onednn(&b->products, b->onednn, sizeof b->onednn);
}

static void close_bench(bench *b) {
    products_close(&b->products);
    dt_batch_destroy(&b->batch);
    dt_trainer_destroy(&b->t);
    dt_session_close(&b->s);
}

static dt_status measure(bench *b) {
    const double seconds = 0.05;
    double rate[WAYS_MAX];
    DT_TRY(products_run(rate, &b->products, seconds)); /* warms up */
    for (size_t i = 0; i < b->repetitions; i++) {
        b->float32_peak[i] = peak_float32(b->now, seconds);
        b->bfloat16_peak[i] = peak_bfloat16(b->now, seconds);
        DT_TRY(products_run(rate, &b->products, seconds));
        for (size_t w = 0; w < b->products.ways; w++) b->rate[w][i] = rate[w];
        b->ratio[i] = rate[PACKED] / b->bfloat16_peak[i];
    }
    return DT_OK;
}

/* A number of the object, or null if there is none. */
static void report_number(const char *name, const char *unit, double value, bool there) {
    if (there) {
        printf("\"%s%s\":%.3f,", name, unit, value);
    } else {
        printf("\"%s%s\":null,", name, unit);
    }
}

static void report_products(const products *p) {
    printf("\"products\":[");
    for (size_t i = 0; i < p->count; i++) {
        const product *x = &p->each[i];
        printf("%s{\"name\":\"%s\",\"of\":\"%s\",\"m\":%zu,\"n\":%zu,\"k\":%zu", i ? "," : "",
               x->name, x->of, x->M, x->N, x->K);
        for (size_t w = 0; w < p->ways; w++)
            printf(",\"%s_gflops\":%.2f", NAMES[w], product_rate(p, i, w) / 1e9);
        printf("}");
    }
    printf("]");
}

static void report(bench *b) {
    const size_t n = b->repetitions;
    const double peak = median(b->bfloat16_peak, n) / 1e9,
                 float32_peak = median(b->float32_peak, n) / 1e9;
    printf("{\"bench\":\"bfloat16\",\"clock\":\"%s\",\"kernels\":\"%s\",\"layers\":%zu,\"width\":%"
           "zu,\"tokens\":%zu,\"repetitions\":%zu,\"instruction\":%s,\"onednn\":\"%s\",",
           b->now == dt_seconds_now ? "real" : "processor", blas_kernels(), b->t.shape.L,
           b->t.shape.C, b->batch.tokens, n, peak > 0 ? "\"VDPBF16PS\"" : "null", b->onednn);
    report_number("float32_peak", "_gflops", float32_peak, float32_peak > 0);
    report_number("bfloat16_peak", "_gflops", peak, peak > 0);
    for (size_t w = 0; w < WAYS; w++)
        report_number(NAMES[w], "_gflops", median(b->rate[w], n) / 1e9, w < b->products.ways);
    report_number("ratio", "", peak > 0 ? median(b->ratio, n) : 0, peak > 0);
    report_products(&b->products);
    printf("}\n");
    if (peak <= 0)
        dt_log_warn("this processor, or the compiler, has no instruction for products of bfloat16 "
                    "(AVX512_BF16): there is no peak, and the kernel computes without it");
}

static dt_status read_options(bench *b, dt_config *config, int argc, char **argv) {
    dt_config_defaults(config);
    for (int option; (option = getopt(argc, argv, "r:c")) != -1;) {
        if (option == 'c') {
            b->now = processor_seconds;
            continue;
        }
        DT_REQUIRE(option == 'r', DT_ERR_ARG,
                   "usage: bench_bfloat16 [-r REPETITIONS] [-c] [SETTING=VALUE …]");
        b->repetitions = strtoul(optarg, NULL, 10);
    }
    DT_REQUIRE(b->repetitions >= 1 && b->repetitions <= MOST, DT_ERR_ARG,
               "-r %zu: give 1 to %d repetitions", b->repetitions, (int)MOST);
    for (int i = optind; i < argc; i++) DT_TRY(read_setting(config, argv[i]));
    return dt_config_check(config);
}

int main(int argc, char **argv) {
    static bench b = {.repetitions = 11, .now = dt_seconds_now};
    dt_config config;
    dt_status status = dt_comm_open(&b.s.comm, &argc, &argv);
    if (status == DT_OK) status = read_options(&b, &config, argc, argv);
    if (status == DT_OK) status = open_bench(&b, &config);
    if (status == DT_OK) status = measure(&b);
    if (status == DT_OK) report(&b);
    if (status != DT_OK) dt_log_error("%s", dt_error_text());
    dt_comm *comm = b.s.comm;
    close_bench(&b);
    const dt_status closed = dt_comm_close(&comm);
    return dt_status_exit_code(status != DT_OK ? status : closed);
}
