/* Measures a model on problems of a split, shared out over ranks; the result does not depend on how
 * many there are. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "signals.h"

/* What one rank works with. */
typedef struct {
    dt_batch batch;
    int32_t matched[EVAL_CHUNK];
    dt_generator *generator; /* NULL: only an exact text counts */
    char (*produced)[DT_TEXT_MAX];
    char (*prompt)[DT_TEXT_MAX];
    double *chunk_score; /* (chunks, SCORES) */
    double *count;       /* (ranks, CELLS) */
} evaluator;

enum { SCORES = 6, CELLS = DT_OPERATIONS * LENGTHS * LENGTHS * 3 };

static eval_cell *cell_of(eval_cell *cells, const dt_problem *problem) {
    return &cells[((size_t)problem->operation * LENGTHS + dt_digit_count(problem->a)) * LENGTHS +
                  dt_digit_count(problem->b)];
}

static dt_status fill_chunk(dt_batch *batch, const dt_config *config, const dt_tokenizer *tokenizer,
                            dt_split split, size_t first, size_t count) {
    dt_batch_clear(batch);
    for (size_t i = 0; i < count; i++) {
        dt_problem problem;
        DT_TRY(dt_problem_sample(&problem, config, split, first + i));
        DT_TRY(dt_batch_append(batch, &problem, first + i, (dt_format)config->format, tokenizer));
    }
    return DT_OK;
}

/* The problems whose text was not reproduced are answered in full: a slip in the working need not
 * spoil the answer. */
static dt_status answer_rest(evaluator *e, bool *right, const dt_config *config,
                             const dt_tokenizer *tokenizer) {
    const char *prompt[EVAL_CHUNK];
    size_t which[EVAL_CHUNK], count = 0;
    for (size_t i = 0; i < e->batch.problems; i++) {
        right[i] = e->matched[i];
        if (right[i] || !e->generator) continue;
        DT_TRY(dt_batch_prompt(e->prompt[count], DT_TEXT_MAX, &e->batch, i, tokenizer));
        prompt[count] = e->prompt[count];
        which[count++] = i;
    }
    if (!count) return DT_OK;
    DT_TRY(dt_generator_run(e->generator, e->produced, prompt, count, tokenizer));
    for (size_t k = 0; k < count; k++) {
        const dt_problem *problem = &e->batch.problem[which[k]];
        char answer[64], wanted[64];
        DT_TRY(dt_problem_answer(wanted, sizeof wanted, problem));
        const dt_status understood = dt_format_answer(answer, sizeof answer, e->produced[k],
                                                      problem, (dt_format)config->format);
        right[which[k]] = understood == DT_OK && strcmp(answer, wanted) == 0;
    }
    dt_error_clear();
    return DT_OK;
}

static dt_status evaluate_chunk(evaluator *e, eval_cell *cells, double *score, dt_model *model,
                                const dt_config *config, const dt_tokenizer *tokenizer,
                                dt_split split, size_t first, size_t count) {
    DT_TRY(fill_chunk(&e->batch, config, tokenizer, split, first, count));
    dt_score sum = {0};
    DT_TRY(dt_model_evaluate(model, &sum, e->matched, &e->batch));
    bool right[EVAL_CHUNK] = {false};
    DT_TRY(answer_rest(e, right, config, tokenizer));
    for (size_t i = 0; i < count; i++) {
        eval_cell *cell = cell_of(cells, &e->batch.problem[i]);
        cell->problems += 1;
        cell->exact += right[i];
        cell->working += e->matched[i] != 0;
    }
    memcpy(score, (double[SCORES]){sum.loss, sum.scored, sum.correct, sum.problems, sum.exact, 0},
           SCORES * sizeof *score);
    return DT_OK;
}

static dt_status evaluator_open(evaluator *e, dt_model *model, const dt_config *config,
                                size_t chunks, size_t ranks, bool generate) {
    DT_TRY(dt_batch_create(&e->batch, EVAL_CHUNK, EVAL_CHUNK * dt_format_longest(config)));
    DT_TRY(dt_memory_alloc(&e->chunk_score, chunks, SCORES * sizeof(double), "evaluation"));
    DT_TRY(dt_memory_alloc(&e->count, ranks, CELLS * sizeof(double), "evaluation"));
    if (!generate) return DT_OK;
    DT_TRY(dt_memory_alloc(&e->produced, EVAL_CHUNK, DT_TEXT_MAX, "evaluation"));
    DT_TRY(dt_memory_alloc(&e->prompt, EVAL_CHUNK, DT_TEXT_MAX, "evaluation"));
    return dt_generator_create(&e->generator, model, EVAL_CHUNK);
}

static void evaluator_close(evaluator *e) {
    dt_generator_destroy(&e->generator);
    dt_batch_destroy(&e->batch);
    dt_memory_free(&e->chunk_score);
    dt_memory_free(&e->count);
    dt_memory_free(&e->produced);
    dt_memory_free(&e->prompt);
}

/* Scores are added in the order of the chunks; counts are whole numbers, which any order adds
 * exactly. */
static void add_up(eval_result *result, const evaluator *e, size_t chunks, size_t ranks) {
    for (size_t c = 0; c < chunks; c++) {
        const double *s = e->chunk_score + c * SCORES;
        result->total.loss += s[0];
        result->total.scored += s[1];
        result->total.correct += s[2];
        result->total.problems += s[3];
        result->total.exact += s[4];
        result->interrupted = result->interrupted || s[5] > 0;
    }
    eval_cell *cell = &result->cell[0][0][0];
    for (size_t r = 0; r < ranks; r++) {
        const eval_cell *from = (const eval_cell *)(const void *)(e->count + r * CELLS);
        for (size_t i = 0; i < CELLS / 3; i++) {
            cell[i].problems += from[i].problems;
            cell[i].exact += from[i].exact;
            cell[i].working += from[i].working;
        }
    }
    for (int op = 0; op < DT_OPERATIONS; op++)
        result->answered += eval_operation(result, (dt_operation)op).exact;
}

dt_status evaluate(eval_result *result, session *s, dt_model *model, const dt_config *config,
                   const dt_tokenizer *tokenizer, dt_split split, size_t count, bool generate,
                   const eval_progress *progress) {
    const size_t chunks = (count + EVAL_CHUNK - 1) / EVAL_CHUNK, ranks = dt_comm_size(s->comm),
                 me = dt_comm_rank(s->comm);
    evaluator e = {0};
    memset(result, 0, sizeof *result);
    size_t begin, end;
    dt_shard_range(&begin, &end, chunks, ranks, me);
    dt_status status = evaluator_open(&e, model, config, chunks, ranks, generate);
    for (size_t c = begin; status == DT_OK && c < end; c++) {
        const size_t first = c * EVAL_CHUNK;
        if (signals_stop()) {
            e.chunk_score[c * SCORES + 5] = 1;
            continue;
        }
        status = evaluate_chunk(&e, (eval_cell *)(void *)(e.count + me * CELLS),
                                e.chunk_score + c * SCORES, model, config, tokenizer, split, first,
                                dt_min_size(EVAL_CHUNK, count - first));
        if (progress) progress->chunk(progress->context);
    }
    if (progress) progress->wait(progress->context);
    DT_TRY_DONE(dt_comm_agree(s->comm, status));
    DT_TRY_DONE(dt_comm_share(s->comm, e.chunk_score, chunks, SCORES));
    DT_TRY_DONE(dt_comm_share(s->comm, e.count, ranks, CELLS));
    add_up(result, &e, chunks, ranks);
done:
    evaluator_close(&e);
    return status;
}

eval_cell eval_operation(const eval_result *result, dt_operation operation) {
    eval_cell sum = {0};
    for (size_t a = 0; a < LENGTHS; a++) {
        for (size_t b = 0; b < LENGTHS; b++) {
            const eval_cell *cell = &result->cell[operation][a][b];
            sum.problems += cell->problems;
            sum.exact += cell->exact;
            sum.working += cell->working;
        }
    }
    return sum;
}
