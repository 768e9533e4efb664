/* The eval command: exact answers and loss over problems the model has not seen, by operation and
 * operand length. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

static double share_of(double part, double whole) { return whole > 0 ? part / whole : NAN; }

/* A table per operation: rows are lengths of a, columns of b, each cell the share of right answers
 * in percent. */
static void print_grid(const eval_result *result, dt_operation operation) {
    size_t most_b = 0;
    for (size_t a = 1; a < LENGTHS; a++) {
        for (size_t b = 1; b < LENGTHS; b++) {
            if (result->cell[operation][a][b].problems > 0) most_b = dt_max_size(most_b, b);
        }
    }
    printf("  digits of a %c b", dt_operation_symbol(operation));
    for (size_t b = 1; b <= most_b; b++) printf("  b: %zu     ", b);
    printf("\n");
    for (size_t a = 1; a < LENGTHS; a++) {
        double row = 0;
        for (size_t b = 1; b <= most_b; b++) row += result->cell[operation][a][b].problems;
        if (row == 0) continue;
        printf("           a: %2zu ", a);
        for (size_t b = 1; b <= most_b; b++) {
            const eval_cell *cell = &result->cell[operation][a][b];
            if (cell->problems > 0) {
                printf("  %6.2f %%  ", 100 * cell->exact / cell->problems);
            } else {
                printf("       -    ");
            }
        }
        printf("\n");
    }
}

static void print_text(const eval_result *result, const char *path, const dt_checkpoint *c,
                       dt_split split) {
    const dt_score *t = &result->total;
    printf("%s at step %lld, %.0f problems of the %s split\n", path, (long long)c->state.step,
           t->problems, dt_split_name(split));
    printf("loss            %.5f nats per token (perplexity %.4f)\n", t->loss / t->scored,
           exp(t->loss / t->scored));
    printf("token accuracy  %.4f %%\n", 100 * t->correct / t->scored);
    printf("exact match     %.3f %%   (the working as well: %.3f %%)\n",
           100 * result->answered / t->problems, 100 * t->exact / t->problems);
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const eval_cell sum = eval_operation(result, (dt_operation)op);
        if (sum.problems == 0) continue;
        printf("\n%-14s  %.3f %%   (%.0f of %.0f; working %.3f %%)\n",
               dt_operation_name((dt_operation)op), 100 * sum.exact / sum.problems, sum.exact,
               sum.problems, 100 * sum.working / sum.problems);
        print_grid(result, (dt_operation)op);
    }
}

static void print_json(const eval_result *result, const char *path, const dt_checkpoint *c,
                       dt_split split) {
    const dt_score *t = &result->total;
    printf("{\"checkpoint\":");
    print_json_text(path);
    printf(",\"step\":%lld,\"split\":\"%s\",\"problems\":%.0f,\"loss\":%.17g,"
           "\"perplexity\":%.17g,"
           "\"token_accuracy\":%.17g,\"exact_match\":%.17g,\"exact_text\":%.17g",
           (long long)c->state.step, dt_split_name(split), t->problems, t->loss / t->scored,
           exp(t->loss / t->scored), t->correct / t->scored, result->answered / t->problems,
           t->exact / t->problems);
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const eval_cell sum = eval_operation(result, (dt_operation)op);
        if (sum.problems == 0) continue;
        printf(",\"%s\":{\"problems\":%.0f,\"exact_match\":%.17g,\"exact_text\":%.17g,\"cells\":[",
               dt_operation_name((dt_operation)op), sum.problems, share_of(sum.exact, sum.problems),
               share_of(sum.working, sum.problems));
        const char *comma = "";
        for (size_t a = 0; a < LENGTHS; a++) {
            for (size_t b = 0; b < LENGTHS; b++) {
                const eval_cell *cell = &result->cell[op][a][b];
                if (cell->problems == 0) continue;
                printf("%s{\"a_digits\":%zu,\"b_digits\":%zu,\"problems\":%.0f,\"right\":%.0f,"
                       "\"exact_text\":%.0f}",
                       comma, a, b, cell->problems, cell->exact, cell->working);
                comma = ",";
            }
        }
        printf("]}");
    }
    printf("}\n");
}

/* Logits of one batch as JSON, so that another program can recompute them from the checkpoint. */
static dt_status write_logits(FILE *file, const float *logits, const dt_batch *batch,
                              const dt_tokenizer *tokenizer, size_t V) {
    fprintf(file, "{\"problems\":[");
    for (size_t b = 0; b < batch->problems; b++) {
        char text[DT_TEXT_MAX];
        DT_TRY(dt_batch_text(text, sizeof text, batch, b, tokenizer));
        fprintf(file, "%s\"%s\"", b ? "," : "", text);
    }
    fprintf(file, "],\"tokens\":[");
    for (size_t b = 0; b < batch->problems; b++) {
        fprintf(file, "%s[", b ? "," : "");
        for (int32_t i = batch->offset[b]; i < batch->offset[b + 1]; i++) {
            fprintf(file, "%s%d", i > batch->offset[b] ? "," : "", batch->token[i]);
        }
        fprintf(file, "]");
    }
    fprintf(file, "],\"logits\":[");
    for (size_t b = 0; b < batch->problems; b++) {
        fprintf(file, "%s[", b ? "," : "");
        for (int32_t i = batch->offset[b]; i < batch->offset[b + 1]; i++) {
            fprintf(file, "%s[", i > batch->offset[b] ? "," : "");
            for (size_t j = 0; j < V; j++)
                fprintf(file, "%s%.9g", j ? "," : "", (double)logits[(size_t)i * V + j]);
            fprintf(file, "]");
        }
        fprintf(file, "]");
    }
    fprintf(file, "]}\n");
    return DT_OK;
}

static dt_status dump_logits(loaded_model *loaded, const char *path, dt_split split) {
    const dt_checkpoint *c = &loaded->checkpoint;
    dt_batch batch = {0};
    float *logits = NULL;
    FILE *file = NULL;
    dt_status status;
    DT_TRY_DONE(dt_batch_create(&batch, EVAL_CHUNK, EVAL_CHUNK * c->shape.T));
    for (size_t i = 0; i < 32; i++) {
        dt_problem problem;
        DT_TRY_DONE(dt_problem_sample(&problem, &c->config, split, i));
        DT_TRY_DONE(
            dt_batch_append(&batch, &problem, i, (dt_format)c->config.format, c->tokenizer));
    }
    DT_TRY_DONE(dt_memory_alloc(&logits, batch.tokens * c->shape.V, sizeof *logits, "logits"));
    DT_TRY_DONE(dt_model_logits(loaded->model, logits, &batch));
    file = fopen(path, "w");
    DT_REQUIRE_DONE(file, DT_ERR_CREATE, "%s cannot be created: %s", path, strerror(errno));
    DT_TRY_DONE(write_logits(file, logits, &batch, c->tokenizer, c->shape.V));
    const bool failed = ferror(file);
    const bool closed = fclose(file) == 0;
    file = NULL;
    DT_REQUIRE_DONE(closed && !failed, DT_ERR_IO, "%s cannot be written: %s", path,
                    strerror(errno));
done:
    if (file) fclose(file);
    dt_memory_free(&logits);
    dt_batch_destroy(&batch);
    return status;
}

dt_status command_eval(session *s, const app_options *options) {
    loaded_model loaded = {0};
    eval_result *result = NULL;
    dt_status status;
    DT_TRY_DONE(session_open_device_given(s, options));
    /* Every rank reads the file: evaluation has no other use for windows. */
    DT_TRY_DONE(dt_comm_agree(s->comm, loaded_open(&loaded, s, options->target, EVAL_CHUNK)));
    const dt_checkpoint *c = &loaded.checkpoint;
    dt_config config = c->config;
    DT_TRY_DONE(dt_comm_agree(s->comm, options_apply(&config, options)));
    dt_log_open((dt_log_level)config.log_level, (int)dt_comm_rank(s->comm));
    DT_TRY_DONE(dt_comm_agree(s->comm, dt_memory_alloc(&result, 1, sizeof *result, "evaluation")));
    const size_t count = options->count < 0 ? 4096 : (size_t)options->count;
    DT_REQUIRE_DONE(count > 0, DT_ERR_ARG, "--count 0: there is nothing to evaluate");
    DT_TRY_DONE(evaluate(result, s, loaded.model, &config, c->tokenizer, options->split, count,
                         true, NULL));
    if (dt_comm_rank(s->comm) == 0) {
        if (options->json) {
            print_json(result, options->target, c, options->split);
        } else {
            print_text(result, options->target, c, options->split);
        }
        if (options->dump_logits)
            status = dump_logits(&loaded, options->dump_logits, options->split);
    }
    status = dt_comm_agree(s->comm, status);
done:
    dt_memory_free(&result);
    loaded_close(&loaded, s);
    return status;
}
