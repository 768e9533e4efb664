/* How fast a model is validated, compared with BLAS alone on the products of a forward pass, and
 * how fast it answers.
 *
 * build/bench_answer [-r REPETITIONS] [-n PROBLEMS] [SETTING=VALUE …]
 *
 * Prints one JSON object; rates are medians. The model is untrained and writes nonsense of any
 * length, so answering is measured in tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/train/evaluate.h"
#include "dtrain/train/trainer.h"
#include "products.h"

enum { MOST = 1000, PROMPTS = DT_EVAL_ANSWERS };

typedef struct {
    size_t repetitions, problems;
    dt_session s;
    dt_trainer t;
    products products;
    dt_batch batch; /* the problems of the validation */
    dt_source source;
    dt_eval_result result;
    dt_text prompt[PROMPTS], produced[PROMPTS];
    double validation[MOST], sgemm[MOST], ratio[MOST]; /* problems, FLOP per second; share */
    double together[MOST], alone[MOST]; /* tokens per second, of PROMPTS and of one */
} bench;

static dt_status sample_problems(bench *b) {
    for (size_t i = 0; i < b->problems; i++) {
        DT_TRY(dt_source_sample(&b->batch, &b->source, DT_VALIDATION, i));
    }
    for (size_t i = 0; i < PROMPTS; i++) {
        dt_text *text = &b->prompt[i];
        DT_TRY(b->source.kind->write(text, &b->source, DT_VALIDATION, i));
        text->bytes[text->prompt_length] = '\0';
    }
    return DT_OK;
}

static dt_status open_bench(bench *b, const dt_config *config) {
    DT_TRY(dt_session_open(&b->s));
    DT_TRY(dt_trainer_create(&b->t, &b->s, config, NULL));
    DT_TRY(dt_trainer_initialise(&b->t));
    DT_TRY(dt_batch_create(&b->batch, b->problems, b->problems * b->t.shape.T));
    b->source = dt_trainer_source(&b->t);
    DT_TRY(sample_problems(b));
    /* validation takes DT_EVAL_CHUNK problems at a time, in as many passes as their tokens need */
    const size_t text = b->batch.tokens / b->problems, unit = DT_EVAL_CHUNK * text;
    const size_t tokens = unit / (1 + (unit - 1) / (DT_EVAL_TOKENS + text / 2));
    return products_open(&b->products, b->s.host, &b->t.shape, tokens, false, dt_seconds_now);
}

static void close_bench(bench *b) {
    products_close(&b->products);
    for (size_t i = 0; i < PROMPTS; i++) {
        dt_text_destroy(&b->produced[i]);
        dt_text_destroy(&b->prompt[i]);
    }
    dt_batch_destroy(&b->batch);
    dt_trainer_destroy(&b->t);
    dt_session_close(&b->s);
}

static dt_status time_validation(bench *b, size_t i) {
    dt_trainer *t = &b->t;
    const double flops = model_linear_flops(&t->shape, (double)b->batch.tokens) +
                         model_attention_flops(&t->shape, &b->batch);
    const dt_eval_request request = {.problems = {.split = DT_VALIDATION, .count = b->problems}};
    const double start = dt_seconds_now();
    DT_TRY(dt_evaluate(&b->result, &b->s, t->model, &b->source, &request));
    const double seconds = dt_seconds_now() - start;
    dt_eval_result_destroy(&b->result);
    b->validation[i] = (double)b->problems / seconds;
    DT_TRY(products_run(&b->sgemm[i], &b->products, seconds));
    b->ratio[i] = flops / seconds / b->sgemm[i];
    return DT_OK;
}

/* Tokens per second, given and produced, of `count` prompts answered together. */
static dt_status time_generation(bench *b, double *rate, size_t count) {
    dt_generator *generator;
    const char *prompt[PROMPTS];
    for (size_t i = 0; i < count; i++) prompt[i] = b->prompt[i].bytes;
    DT_TRY(dt_generator_create(&generator, b->t.model, count));
    const double start = dt_seconds_now();
    const dt_status status =
        dt_generator_run(generator, b->produced, prompt, count, b->source.tokenizer);
    const double seconds = dt_seconds_now() - start;
    /* One byte is one token in these texts; the end token of an answer is computed too. */
    double tokens = 0;
    for (size_t i = 0; status == DT_OK && i < count; i++)
        tokens += (double)(strlen(prompt[i]) + b->produced[i].length);
    *rate = tokens / seconds;
    dt_generator_destroy(&generator);
    return status;
}

static dt_status measure(bench *b) {
    for (size_t i = 0; i <= b->repetitions; i++) { /* the first one warms up */
        const size_t sample = i ? i - 1 : 0;
        DT_TRY(time_validation(b, sample));
        DT_TRY(time_generation(b, &b->together[sample], PROMPTS));
        DT_TRY(time_generation(b, &b->alone[sample], 1));
    }
    return DT_OK;
}

static void report(bench *b) {
    const size_t n = b->repetitions;
    const double per_problem = (double)b->batch.tokens / (double)b->problems;
    const double together = median(b->together, n), alone = median(b->alone, n);
    printf("{\"bench\":\"answer\",\"kernels\":\"%s\",\"parameters\":%zu,\"repetitions\":%zu,"
           "\"problems\":%zu,\"tokens_per_problem\":%.2f,\"validation_problems_per_second\":%.1f,"
           "\"forward_sgemm_gflops\":%.2f,\"ratio\":%.4f,\"prompts\":%d,"
           "\"tokens_per_second\":%.1f,\"answers_per_second\":%.1f,"
           "\"ask_tokens_per_second\":%.1f,\"ask_answers_per_second\":%.1f}\n",
           blas_kernels(), b->t.layout.weights, n, b->problems, per_problem,
           median(b->validation, n), median(b->sgemm, n) / 1e9, median(b->ratio, n), (int)PROMPTS,
           together, together / per_problem, alone, alone / per_problem);
}

static dt_status read_options(bench *b, dt_config *config, int argc, char **argv) {
    dt_config_defaults(config);
    for (int option; (option = getopt(argc, argv, "r:n:")) != -1;) {
        DT_REQUIRE(option == 'r' || option == 'n', DT_ERR_ARG,
                   "usage: bench_answer [-r REPETITIONS] [-n PROBLEMS] [SETTING=VALUE …]");
        *(option == 'r' ? &b->repetitions : &b->problems) = strtoul(optarg, NULL, 10);
    }
    DT_REQUIRE(b->repetitions >= 1 && b->repetitions <= MOST, DT_ERR_ARG,
               "-r %zu: give 1 to %d repetitions", b->repetitions, (int)MOST);
    DT_REQUIRE(b->problems >= PROMPTS, DT_ERR_ARG, "-n %zu: give at least %d problems", b->problems,
               (int)PROMPTS);
    for (int i = optind; i < argc; i++) DT_TRY(read_setting(config, argv[i]));
    return dt_config_check(config);
}

int main(int argc, char **argv) {
    static bench b = {.repetitions = 7, .problems = 512};
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
