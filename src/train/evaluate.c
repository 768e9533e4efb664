/* Measures a model on many texts, divided over ranks; the result does not depend on their number.
 */
#include "dtrain/train/evaluate.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/model/answer.h"
#include "dtrain/run/signals.h"

/* One rank evaluates a unit alone. A unit has DT_EVAL_CHUNK problems, or up to UNIT_MOST times as
 * many if there still are at least UNITS units. A round has ROUND_UNITS units per rank, which take
 * some seconds. */
enum { UNIT_MOST = 32, UNITS = 16, ROUND_UNITS = 12 };
enum { SCORES = 8, WRONG = 5, INTERRUPTED = 6, BYTES = 7 };

/* A text that was not reproduced. */
typedef struct {
    dt_note note;
    uint64_t index;
} open_text;

/* The memory of one rank. */
typedef struct {
    dt_model *model;
    const dt_source *source;
    const dt_eval_request *request;
    dt_batch batch;
    int32_t matched[DT_EVAL_CHUNK];
    dt_generator *generator;    /* NULL: only an exact text counts */
    dt_text *prompt, *produced; /* (DT_EVAL_ANSWERS) */
    open_text *open;            /* (EVAL_CHUNK * UNIT_MOST) */
    size_t opened, wrong;       /* of this unit */
    uint64_t bytes;             /* of this unit's scored texts */
    int64_t *round;             /* (values_of) the result's values, of this round */
    double *unit_score;         /* (units of a round, SCORES) */
    dt_text errors;             /* lines on wrong answers of this round */
    dt_window *window;          /* holds `stop` */
    atomic_int *stop;           /* set by a rank of this node that got a signal */
} evaluator;

/* Counts and tally are in one block, which is summed over ranks. */
static size_t values_of(const dt_source_kind *kind) {
    return (1 + DT_KINDS_MAX) * sizeof(dt_count) / sizeof(int64_t) + kind->tally_values;
}

static dt_count *counts_in(int64_t *values) { return (dt_count *)(void *)values; }

static int64_t *tally_in(int64_t *values) {
    return values + (1 + DT_KINDS_MAX) * sizeof(dt_count) / sizeof(int64_t);
}

/* A signal may reach only one rank. The ranks of its node see it at once, others after the round.
 */
static bool is_stopped(const evaluator *e) {
    const bool stopped = dt_signals_stop() != 0;
    if (stopped && e->stop) atomic_store(e->stop, 1);
    return stopped || (e->stop && atomic_load(e->stop));
}

/* Texts first, first + 1 …, as many as one forward pass takes. */
static dt_status fill_chunk(evaluator *e, uint64_t first, uint64_t end) {
    dt_batch_clear(&e->batch);
    for (uint64_t i = first; i < end; i++) {
        if (e->batch.problems == DT_EVAL_CHUNK || e->batch.tokens >= DT_EVAL_TOKENS) break;
        DT_TRY(dt_source_sample(&e->batch, e->source, e->request->problems.split, i));
    }
    return DT_OK;
}

/* ---- answers ---- */

static void count(dt_count *to, bool right, bool exact) {
    to->problems++;
    to->right += right;
    to->text += exact;
}

/* Judges and counts one answer. */
static dt_status judge(evaluator *e, const dt_answer *answer) {
    bool right = false;
    dt_text *errors = e->request->list ? &e->errors : NULL;
    DT_TRY(e->source->kind->judge(&right, tally_in(e->round), errors, e->source, answer));
    count(&counts_in(e->round)[0], right, answer->exact);
    count(&counts_in(e->round)[1 + answer->note->kind], right, answer->exact);
    e->wrong += !right;
    return DT_OK;
}

/* Whether texts are written part by part: those of other splits are single parts. */
static bool sees_parts(const evaluator *e) {
    return e->source->kind->window && e->request->problems.split == DT_TEST;
}

/* Generate up to DT_EVAL_ANSWERS answers, starting at open text `first`. */
static dt_status answer_some(evaluator *e, size_t first) {
    const char *prompt[DT_EVAL_ANSWERS];
    const dt_source *source = e->source;
    const open_text *open = e->open + first;
    const size_t texts = dt_min_size(DT_EVAL_ANSWERS, e->opened - first);
    for (size_t i = 0; i < texts; i++) {
        dt_text *text = &e->prompt[i];
        DT_TRY(source->kind->write(text, source, e->request->problems.split, open[i].index));
        text->bytes[text->prompt_length] = '\0';
        prompt[i] = text->bytes;
    }
    if (sees_parts(e)) {
        DT_TRY(dt_generator_answer(e->generator, e->produced, prompt, texts, source));
    } else {
        DT_TRY(dt_generator_run(e->generator, e->produced, prompt, texts, source->tokenizer));
    }
    for (size_t i = 0; i < texts; i++) {
        const dt_answer answer = {
            .index = open[i].index, .note = &open[i].note, .produced = e->produced[i].bytes};
        DT_TRY(judge(e, &answer));
    }
    return DT_OK;
}

/* Generates answers for texts that were not reproduced: a mistake in the working does not always
 * make the answer wrong. */
static dt_status answer_open(evaluator *e) {
    for (size_t i = 0; e->generator && i < e->opened && !is_stopped(e); i += DT_EVAL_ANSWERS) {
        DT_TRY(answer_some(e, i));
    }
    for (size_t i = 0; !e->generator && i < e->opened; i++) {
        const dt_answer answer = {.index = e->open[i].index, .note = &e->open[i].note};
        DT_TRY(judge(e, &answer));
    }
    return DT_OK;
}

/* ---- units and rounds ---- */

static dt_status evaluate_chunk(evaluator *e, dt_score *score, uint64_t first, uint64_t end) {
    DT_TRY(fill_chunk(e, first, end));
    DT_TRY(dt_model_evaluate(e->model, score, e->matched, &e->batch));
    e->bytes += e->batch.bytes;
    for (size_t i = 0; i < e->batch.problems; i++) {
        const dt_note *note = &e->batch.note[i];
        /* Of a text that is seen in parts, only the first part was compared. */
        if (e->matched[i] && !(e->generator && sees_parts(e))) {
            const dt_answer answer = {.index = first + i, .note = note, .exact = true};
            DT_TRY(judge(e, &answer));
        } else {
            e->open[e->opened++] = (open_text){*note, first + i};
        }
    }
    return DT_OK;
}

/* Evaluates problems first … end-1 on this rank. */
static dt_status evaluate_unit(evaluator *e, double *unit_score, uint64_t first, uint64_t end) {
    const dt_eval_progress *progress = e->request->progress;
    dt_score sum = {0};
    e->opened = e->wrong = 0;
    e->bytes = 0;
    for (uint64_t at = first; at < end && !is_stopped(e); at += e->batch.problems) {
        DT_TRY(evaluate_chunk(e, &sum, at, end));
        if (progress && progress->chunk) progress->chunk(progress->context, e->batch.problems);
    }
    DT_TRY(answer_open(e));
    const double score[SCORES] = {sum.loss,  sum.scored,       sum.correct,   sum.problems,
                                  sum.exact, (double)e->wrong, is_stopped(e), (double)e->bytes};
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

/* Scores are added in the order of the units. Counts are integers, whose sum does not depend on the
 * order. */
static void add_round(dt_eval_result *result, const evaluator *e, const eval_round *r) {
    for (size_t u = 0; u < r->units; u++) {
        const double *s = e->unit_score + u * SCORES;
        result->total.loss += s[0];
        result->total.scored += s[1];
        result->total.correct += s[2];
        result->total.problems += s[3];
        result->total.exact += s[4];
        result->wrong += (uint64_t)s[WRONG];
        result->bytes += (uint64_t)s[BYTES];
    }
    int64_t *sum = (int64_t *)(void *)result->count;
    for (size_t i = 0; i < values_of(result->kind); i++) sum[i] += e->round[i];
    result->done = r->end;
}

static bool was_interrupted(const evaluator *e, size_t units) {
    bool interrupted = false;
    for (size_t u = 0; u < units; u++) {
        interrupted = interrupted || e->unit_score[u * SCORES + INTERRUPTED] > 0;
    }
    return interrupted;
}

/* Rank 0 writes the lines of all ranks. */
static dt_status write_lines(evaluator *e, dt_comm *comm) {
    DT_TRY(dt_comm_collect(comm, &e->errors.bytes, &e->errors.capacity, &e->errors.length));
    if (dt_comm_rank(comm) > 0) return DT_OK;
    DT_REQUIRE(fwrite(e->errors.bytes, 1, e->errors.length, e->request->errors) ==
                       e->errors.length &&
                   fflush(e->request->errors) == 0,
               DT_ERR_IO, "the list of errors cannot be written: %s", strerror(errno));
    return DT_OK;
}

static dt_status evaluate_round(dt_eval_result *result, evaluator *e, dt_comm *comm,
                                const eval_round *r) {
    const dt_eval_progress *progress = e->request->progress;
    dt_text_clear(&e->errors);
    memset(e->round, 0, values_of(e->source->kind) * sizeof *e->round);
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
    const dt_source_kind *kind = e->source->kind;
    DT_TRY(dt_batch_create(&e->batch, DT_EVAL_CHUNK,
                           DT_EVAL_TOKENS + kind->size(&e->source->config).longest));
    DT_TRY(dt_memory_alloc(&e->open, DT_EVAL_CHUNK * UNIT_MOST, sizeof *e->open, "evaluation"));
    DT_TRY(dt_memory_alloc(&e->round, values_of(kind), sizeof *e->round, "evaluation"));
    DT_TRY(dt_memory_alloc(&e->unit_score, units, SCORES * sizeof(double), "evaluation"));
    if (!e->request->generate || !kind->answers) return DT_OK;
    DT_TRY(dt_memory_alloc(&e->produced, DT_EVAL_ANSWERS, sizeof *e->produced, "evaluation"));
    DT_TRY(dt_memory_alloc(&e->prompt, DT_EVAL_ANSWERS, sizeof *e->prompt, "evaluation"));
    return dt_generator_create(&e->generator, e->model, DT_EVAL_ANSWERS);
}

/* Without shared memory each rank sees a signal at the end of the round. Collective. */
static void share_stop(evaluator *e, dt_comm *comm) {
    if (dt_window_create(&e->window, comm, sizeof *e->stop, "the signal to stop") == DT_OK) {
        e->stop = dt_window_memory(e->window);
    } else {
        dt_error_clear();
    }
}

static void destroy_texts(dt_text **text) {
    for (size_t i = 0; *text && i < DT_EVAL_ANSWERS; i++) dt_text_destroy(&(*text)[i]);
    dt_memory_free(text);
}

static void evaluator_close(evaluator *e) {
    dt_generator_destroy(&e->generator);
    dt_batch_destroy(&e->batch);
    dt_memory_free(&e->open);
    dt_memory_free(&e->round);
    dt_memory_free(&e->unit_score);
    dt_text_destroy(&e->errors);
    destroy_texts(&e->produced);
    destroy_texts(&e->prompt);
}

/* Problems of a unit: more if answers are generated, so that the few texts that need one fill a
 * batch. */
static uint64_t unit_of(const dt_eval_request *request, uint64_t count) {
    const uint64_t times = count / (DT_EVAL_CHUNK * UNITS);
    if (!request->generate || times < 1) return DT_EVAL_CHUNK;
    return DT_EVAL_CHUNK * (times < UNIT_MOST ? times : UNIT_MOST);
}

static dt_status result_open(dt_eval_result *result, const dt_source_kind *kind) {
    int64_t *values = NULL;
    DT_TRY(dt_memory_alloc(&values, values_of(kind), sizeof *values, "evaluation"));
    result->count = counts_in(values);
    result->tally = tally_in(values);
    return DT_OK;
}

double dt_eval_bits_per_byte(const dt_eval_result *result) {
    return result->total.loss / log(2) / (double)result->bytes;
}

void dt_eval_result_destroy(dt_eval_result *result) {
    dt_memory_free(&result->count);
    *result = (dt_eval_result){0};
}

dt_status dt_evaluate(dt_eval_result *result, dt_session *s, dt_model *model,
                      const dt_source *source, const dt_eval_request *request) {
    const dt_eval_problems *which = &request->problems;
    const size_t units = ROUND_UNITS * dt_comm_size(s->comm);
    evaluator e = {.model = model, .source = source, .request = request};
    uint64_t texts = 0;
    *result = (dt_eval_result){.kind = source->kind, .answers = dt_source_has_answers(source)};
    dt_status status;
    DT_TRY_DONE(
        dt_comm_agree(s->comm, dt_source_count(&texts, source, which->split, which->count)));
    const uint64_t unit = unit_of(request, texts);
    DT_TRY_DONE(dt_comm_agree(s->comm, result_open(result, source->kind)));
    DT_TRY_DONE(dt_comm_agree(s->comm, evaluator_open(&e, units)));
    if (request->generate) share_stop(&e, s->comm);
    while (result->done < texts && !result->interrupted) {
        eval_round r = {.first = result->done, .unit = unit, .units = units};
        r.end = texts - r.first < units * unit ? texts : r.first + units * unit;
        r.units = (size_t)((r.end - r.first + unit - 1) / unit);
        DT_TRY_DONE(evaluate_round(result, &e, s->comm, &r));
    }
    DT_TRY_DONE(dt_comm_sum(s->comm, (int64_t *)(void *)result->count, values_of(source->kind)));
done:
    /* Freeing the window is collective: it would wait for lost ranks. */
    if (status != DT_ERR_COMM) dt_window_destroy(&e.window);
    evaluator_close(&e);
    return status;
}
