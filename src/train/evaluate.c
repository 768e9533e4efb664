/* Measures a model on many problems, shared out over ranks; the result does not depend on how many
 * there are. */
#include "dtrain/train/evaluate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/run/signals.h"

/* A unit, which one rank does alone, has EVAL_CHUNK problems, or at most so many times as many;
   then there are at least so many units; and units of a rank between two exchanges: some seconds.
 */
enum { UNIT_MOST = 32, UNITS = 16, ROUND_UNITS = 12 };
enum { SCORES = 7, WRONG = 5, INTERRUPTED = 6 };

/* A problem whose text was not reproduced. */
typedef struct {
    dt_problem problem;
    uint64_t index;
} open_problem;

/* What one rank works with. */
typedef struct {
    dt_model *model;
    const dt_source *source;
    const dt_eval_request *request;
    dt_batch batch;
    int32_t matched[DT_EVAL_CHUNK];
    dt_generator *generator; /* NULL: only an exact text counts */
    char (*produced)[DT_TEXT_MAX];
    char (*prompt)[DT_TEXT_MAX];
    open_problem *open;   /* (EVAL_CHUNK * UNIT_MOST) */
    size_t opened, wrong; /* of this unit */
    dt_tally *round;      /* of this round */
    double *unit_score;   /* (units of a round, SCORES) */
    char *lines;          /* about wrong answers of this round */
    size_t capacity, length;
} evaluator;

static dt_status append_problem(evaluator *e, uint64_t index) {
    const dt_eval_problems *which = &e->request->problems;
    const dt_source *source = e->source;
    if (!which->exhaustive) return dt_source_sample(&e->batch, source, which->split, index);
    dt_problem problem;
    dt_domain_problem(&problem, source->config, index);
    return dt_batch_append(&e->batch, &problem, index, (dt_format)source->config->format,
                           source->tokenizer);
}

/* Problems first, first + 1 …, as many as one forward pass takes. */
static dt_status fill_chunk(evaluator *e, uint64_t first, uint64_t end) {
    dt_batch_clear(&e->batch);
    for (uint64_t i = first; i < end; i++) {
        if (e->batch.problems == DT_EVAL_CHUNK || e->batch.tokens >= DT_EVAL_TOKENS) break;
        DT_TRY(append_problem(e, i));
    }
    return DT_OK;
}

/* ---- wrong answers ---- */

const char *dt_evaluate_heading(void) {
    return "index\tsplit\top\ta\tb\tright\tmodel\tslip\tstep\ttext\tright_text\n";
}

/* What breaks a table is shown as '?'. */
static void clean(char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
    }
}

static dt_status add_line(evaluator *e, const open_problem *o, const char *wanted,
                          const char *answer, const dt_slip *slip, const char *text,
                          const char *right) {
    enum { LINE_MAX_BYTES = 3 * DT_TEXT_MAX };
    DT_TRY(dt_memory_grow(&e->lines, &e->capacity, e->length + LINE_MAX_BYTES, 1, "wrong answers"));
    char part[32];
    const char *name = dt_slip_name(o->problem.operation, slip->kind);
    snprintf(part, sizeof part, "part %zu", slip->kind + 1);
    e->length += (size_t)snprintf(
        e->lines + e->length, LINE_MAX_BYTES,
        "%" PRIu64 "\t%s\t%c\t%s\t%s\t%s\t%s\t%s\t%zu\t%s\t%s\n", o->index,
        dt_split_name(dt_problem_split(&o->problem)), dt_operation_symbol(o->problem.operation),
        dt_decimal_of(o->problem.a).text, dt_decimal_of(o->problem.b).text, wanted, answer,
        name ? name : part, slip->step, text, right);
    return DT_OK;
}

/* As the batch had it. text: (DT_TEXT_MAX) */
static dt_status write_text(char *text, size_t *given, const evaluator *e, const open_problem *o) {
    return dt_format_write_as(text, DT_TEXT_MAX, given, &o->problem,
                              (dt_format)e->source->config->format, dt_chat_phrasing(o->index));
}

/* Look at what was generated for one problem. */
static dt_status judge(evaluator *e, const open_problem *o, char *produced) {
    const dt_format format = (dt_format)e->source->config->format;
    char answer[64], wanted[64], right[DT_TEXT_MAX];
    size_t given;
    DT_TRY(dt_problem_answer(wanted, sizeof wanted, &o->problem));
    const bool is_right =
        dt_format_answer(answer, sizeof answer, produced, &o->problem, format) == DT_OK &&
        strcmp(answer, wanted) == 0;
    dt_error_clear();
    if (is_right) {
        dt_tally_add(e->round, &o->problem, true, false, NULL);
        return DT_OK;
    }
    DT_TRY(write_text(right, &given, e, o));
    const dt_slip slip = dt_slip_find(produced, right + given);
    dt_tally_add(e->round, &o->problem, false, false, &slip);
    e->wrong++;
    if (!e->request->list) return DT_OK;
    clean(produced);
    return add_line(e, o, wanted, answer, &slip, produced, right + given);
}

/* Generate up to EVAL_ANSWERS answers from place `first` on. */
static dt_status answer_some(evaluator *e, size_t first) {
    const char *prompt[DT_EVAL_ANSWERS];
    const size_t count = dt_min_size(DT_EVAL_ANSWERS, e->opened - first);
    for (size_t i = 0; i < count; i++) {
        size_t given;
        DT_TRY(write_text(e->prompt[i], &given, e, &e->open[first + i]));
        e->prompt[i][given] = '\0';
        prompt[i] = e->prompt[i];
    }
    DT_TRY(dt_generator_run(e->generator, e->produced, prompt, count, e->source->tokenizer));
    for (size_t i = 0; i < count; i++) DT_TRY(judge(e, &e->open[first + i], e->produced[i]));
    return DT_OK;
}

/* The problems whose text was not reproduced are answered in full: a slip in the working need not
 * spoil the answer. */
static dt_status answer_open(evaluator *e) {
    for (size_t i = 0; e->generator && i < e->opened && !dt_signals_stop(); i += DT_EVAL_ANSWERS) {
        DT_TRY(answer_some(e, i));
    }
    for (size_t i = 0; !e->generator && i < e->opened; i++) {
        dt_tally_add(e->round, &e->open[i].problem, false, false, NULL);
        e->wrong++;
    }
    return DT_OK;
}

/* ---- units and rounds ---- */

static dt_status evaluate_chunk(evaluator *e, dt_score *score, uint64_t first, uint64_t end) {
    DT_TRY(fill_chunk(e, first, end));
    DT_TRY(dt_model_evaluate(e->model, score, e->matched, &e->batch));
    for (size_t i = 0; i < e->batch.problems; i++) {
        const dt_problem *problem = &e->batch.problem[i];
        if (e->source->lines) {
            e->wrong += !e->matched[i];
        } else if (e->matched[i]) {
            dt_tally_add(e->round, problem, true, true, NULL);
        } else {
            e->open[e->opened++] = (open_problem){*problem, first + i};
        }
    }
    return DT_OK;
}

/* Problems first … end-1, all by this rank. */
static dt_status evaluate_unit(evaluator *e, double *unit_score, uint64_t first, uint64_t end) {
    const dt_eval_progress *progress = e->request->progress;
    dt_score sum = {0};
    e->opened = e->wrong = 0;
    for (uint64_t at = first; at < end && !dt_signals_stop(); at += e->batch.problems) {
        DT_TRY(evaluate_chunk(e, &sum, at, end));
        if (progress && progress->chunk) progress->chunk(progress->context, e->batch.problems);
    }
    DT_TRY(answer_open(e));
    const double score[SCORES] = {sum.loss,  sum.scored,       sum.correct,           sum.problems,
                                  sum.exact, (double)e->wrong, dt_signals_stop() != 0};
    memcpy(unit_score, score, sizeof score);
    return DT_OK;
}

/* The part of a large evaluation between two exchanges. */
typedef struct {
    uint64_t first, end; /* problems */
    uint64_t unit;       /* problems of a unit; the last one may have fewer */
    size_t units;
} eval_round;

static dt_status evaluate_own(evaluator *e, dt_comm *comm, const eval_round *r) {
    size_t begin, end;
    dt_shard_range(&begin, &end, r->units, dt_comm_size(comm), dt_comm_rank(comm));
    for (size_t u = begin; u < end; u++) {
        const uint64_t first = r->first + u * r->unit, next = first + r->unit;
        DT_TRY(evaluate_unit(e, e->unit_score + u * SCORES, first, next < r->end ? next : r->end));
    }
    return DT_OK;
}

/* Scores are added in the order of the units; counts are whole numbers, which any order adds
 * exactly. */
static void add_round(dt_eval_result *result, const evaluator *e, const eval_round *r) {
    for (size_t u = 0; u < r->units; u++) {
        const double *s = e->unit_score + u * SCORES;
        result->total.loss += s[0];
        result->total.scored += s[1];
        result->total.correct += s[2];
        result->total.problems += s[3];
        result->total.exact += s[4];
        result->wrong += (uint64_t)s[WRONG];
    }
    dt_tally_merge(&result->tally, e->round);
    result->done = r->end;
}

static bool was_interrupted(const evaluator *e, size_t units) {
    bool interrupted = false;
    for (size_t u = 0; u < units; u++) {
        interrupted = interrupted || e->unit_score[u * SCORES + INTERRUPTED] > 0;
    }
    return interrupted;
}

/* Rank 0 writes what all have found. */
static dt_status write_lines(evaluator *e, dt_comm *comm) {
    DT_TRY(dt_comm_collect(comm, &e->lines, &e->capacity, &e->length));
    if (dt_comm_rank(comm) > 0) return DT_OK;
    DT_REQUIRE(fwrite(e->lines, 1, e->length, e->request->errors) == e->length &&
                   fflush(e->request->errors) == 0,
               DT_ERR_IO, "the list of errors cannot be written: %s", strerror(errno));
    return DT_OK;
}

static dt_status evaluate_round(dt_eval_result *result, evaluator *e, dt_comm *comm,
                                const eval_round *r) {
    const dt_eval_progress *progress = e->request->progress;
    e->length = 0;
    memset(e->round, 0, sizeof *e->round);
    memset(e->unit_score, 0, r->units * SCORES * sizeof *e->unit_score);
    if (progress && progress->work) progress->work(progress->context);
    const dt_status status = evaluate_own(e, comm, r);
    if (progress && progress->wait) progress->wait(progress->context);
    DT_TRY(dt_comm_agree(comm, status));
    DT_TRY(dt_comm_share(comm, e->unit_score, r->units, SCORES));
    result->interrupted = was_interrupted(e, r->units);
    if (result->interrupted) return DT_OK;
    if (e->request->list) DT_TRY(dt_comm_agree(comm, write_lines(e, comm)));
    add_round(result, e, r);
    if (progress && progress->round) {
        progress->round(progress->context, result->done, result->wrong);
    }
    return DT_OK;
}

/* ---- all ---- */

static dt_status evaluator_open(evaluator *e, size_t units) {
    DT_TRY(dt_batch_create(&e->batch, DT_EVAL_CHUNK,
                           DT_EVAL_CHUNK * dt_format_longest(e->source->config)));
    DT_TRY(dt_memory_alloc(&e->open, DT_EVAL_CHUNK * UNIT_MOST, sizeof *e->open, "evaluation"));
    DT_TRY(dt_memory_alloc(&e->round, 1, sizeof *e->round, "evaluation"));
    DT_TRY(dt_memory_alloc(&e->unit_score, units, SCORES * sizeof(double), "evaluation"));
    /* The one right answer of a line is generated if, and only if, each token is the likeliest
     * after those before it: the text alone tells. */
    if (!e->request->generate || e->source->lines) return DT_OK;
    DT_TRY(dt_memory_alloc(&e->produced, DT_EVAL_ANSWERS, DT_TEXT_MAX, "evaluation"));
    DT_TRY(dt_memory_alloc(&e->prompt, DT_EVAL_ANSWERS, DT_TEXT_MAX, "evaluation"));
    return dt_generator_create(&e->generator, e->model, DT_EVAL_ANSWERS);
}

static void evaluator_close(evaluator *e) {
    dt_generator_destroy(&e->generator);
    dt_batch_destroy(&e->batch);
    dt_memory_free(&e->open);
    dt_memory_free(&e->round);
    dt_memory_free(&e->unit_score);
    dt_memory_free(&e->lines);
    dt_memory_free(&e->produced);
    dt_memory_free(&e->prompt);
}

/* Problems of a unit: more where answers are generated, so that the few that have to be make
   batches worth it. */
static uint64_t unit_of(const dt_eval_request *request, uint64_t count) {
    const uint64_t times = count / (DT_EVAL_CHUNK * UNITS);
    if (!request->generate || times < 1) return DT_EVAL_CHUNK;
    return DT_EVAL_CHUNK * (times < UNIT_MOST ? times : UNIT_MOST);
}

dt_status dt_evaluate(dt_eval_result *result, dt_session *s, dt_model *model,
                      const dt_source *source, const dt_eval_request *request) {
    const dt_eval_problems *which = &request->problems;
    const uint64_t count = dt_source_count(source, which->split, which->count);
    const uint64_t unit = unit_of(request, count);
    const size_t units = ROUND_UNITS * dt_comm_size(s->comm);
    evaluator e = {.model = model, .source = source, .request = request};
    memset(result, 0, sizeof *result);
    dt_status status;
    DT_TRY_DONE(dt_comm_agree(s->comm, evaluator_open(&e, units)));
    while (result->done < count && !result->interrupted) {
        eval_round r = {.first = result->done, .unit = unit, .units = units};
        r.end = count - r.first < units * unit ? count : r.first + units * unit;
        r.units = (size_t)((r.end - r.first + unit - 1) / unit);
        DT_TRY_DONE(evaluate_round(result, &e, s->comm, &r));
    }
    DT_TRY_DONE(dt_comm_sum(s->comm, (int64_t *)(void *)&result->tally, DT_TALLY_VALUES));
done:
    evaluator_close(&e);
    return status;
}

dt_count dt_evaluate_all(const dt_eval_result *result) {
    const dt_count all = dt_tally_all(&result->tally);
    const int64_t exact = (int64_t)result->total.exact;
    return all.problems ? all : (dt_count){(int64_t)result->total.problems, exact, exact};
}
