/* Asks a model the questions of a file, and compares its answers with the values there. */
#include "eval_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/line.h"
#include "dtrain/core/memory.h"
#include "dtrain/model/answer.h"
#include "dtrain/run/signals.h"
#include "dtrain/train/evaluate.h"

/* Questions of one rank that are asked at once, and what was found. */
typedef struct {
    const dt_source *source;
    const eval_file_request *request;
    dt_generator *generator;
    dt_text *asked, *prompt, *value, *produced; /* (DT_EVAL_ANSWERS) */
    int64_t number[DT_EVAL_ANSWERS];            /* lines of the file */
    size_t waiting;
    int64_t count[3]; /* questions, answered, right */
    dt_text reply, errors;
} asking;

/* What a person would be told, without its end; "" if there is no answer. */
static dt_status reply_to(asking *a, size_t i) {
    const dt_line asked = dt_line_of(a->asked[i].bytes);
    const dt_status status = a->source->kind->reply(&a->reply, a->source, &a->prompt[i], &asked,
                                                    a->produced[i].bytes, false);
    if (status == DT_ERR_DATA) {
        dt_error_clear();
        dt_text_clear(&a->reply);
        return DT_OK;
    }
    DT_TRY(status);
    a->reply.bytes[strcspn(a->reply.bytes, "\n")] = '\0';
    return DT_OK;
}

static dt_status judge_one(asking *a, size_t i) {
    bool right;
    DT_TRY(a->source->kind->is_value(&right, a->source, &a->prompt[i], a->produced[i].bytes,
                                     a->value[i].bytes));
    a->count[2] += right;
    if (right || !a->request->list) return DT_OK;
    DT_TRY(dt_text_reserve(&a->reply, 0));
    DT_TRY(reply_to(a, i));
    return dt_text_format(&a->errors, "%" PRId64 "\t%s\t%s\t%s\t%s%s\n", a->number[i],
                          a->asked[i].bytes, a->value[i].bytes, a->reply.bytes, a->prompt[i].bytes,
                          a->produced[i].bytes);
}

/* The error's sentence stands in the place of an answer. */
static dt_status list_refused(asking *a, const dt_line *question, const char *value) {
    const char *why = dt_error_text();
    if (!a->request->list) return DT_OK;
    return dt_text_format(&a->errors, "%" PRId64 "\t%.*s\t%s\trefused: %.*s\t\n", question->number,
                          (int)question->length, question->text, value, (int)strcspn(why, "\n"),
                          why);
}

static dt_status ask_waiting(asking *a) {
    const char *prompt[DT_EVAL_ANSWERS];
    for (size_t i = 0; i < a->waiting; i++) prompt[i] = a->prompt[i].bytes;
    DT_TRY(dt_generator_answer(a->generator, a->produced, prompt, a->waiting, a->source));
    for (size_t i = 0; i < a->waiting; i++) DT_TRY(judge_one(a, i));
    a->waiting = 0;
    return DT_OK;
}

/* A question that cannot be read, or is not for this model, is not answered. */
static dt_status take(asking *a, const dt_line *line) {
    const char *tab = memchr(line->text, '\t', line->length);
    if (!tab) DT_LINE_RAISE(DT_ERR_DATA, line, line->length, "a tab and a value are missing");
    dt_line question = *line;
    question.length = (size_t)(tab - line->text);
    a->count[0]++;
    dt_text *value = &a->value[a->waiting], *asked = &a->asked[a->waiting];
    dt_text_clear(value);
    DT_TRY(dt_text_append(value, tab + 1, line->length - question.length - 1));
    if (a->source->kind->ask(&a->prompt[a->waiting], a->source, &question) != DT_OK) {
        const dt_status status = list_refused(a, &question, value->bytes);
        dt_error_clear();
        return status;
    }
    a->count[1]++;
    dt_text_clear(asked);
    DT_TRY(dt_text_append(asked, question.text, question.length));
    a->number[a->waiting++] = line->number;
    return a->waiting == DT_EVAL_ANSWERS ? ask_waiting(a) : DT_OK;
}

/* Each rank takes every line whose turn it is. */
static dt_status ask_all(asking *a, size_t rank, size_t ranks) {
    dt_line_reader *reader;
    dt_line line;
    bool found = true;
    const int file = open(a->request->path, O_RDONLY | O_CLOEXEC);
    DT_REQUIRE(file >= 0, DT_ERR_NO_INPUT, "%s cannot be read: %s", a->request->path,
               strerror(errno));
    dt_status status = dt_line_reader_open(&reader, file, a->request->path);
    if (status == DT_OK) {
        size_t turn = 0;
        while (status == DT_OK && found) {
            status = dt_line_reader_next(&line, &found, reader);
            if (status != DT_OK || !found || dt_line_is_blank(&line)) continue;
            if (dt_signals_stop()) {
                status = dt_error_raise(DT_ERR_STOPPED, __FILE__, __LINE__,
                                        "the evaluation was stopped");
                break;
            }
            if (turn++ % ranks == rank) status = take(a, &line);
        }
        dt_line_reader_close(&reader);
    }
    close(file);
    DT_TRY(status);
    return ask_waiting(a);
}

static dt_status list_errors(asking *a, dt_comm *comm) {
    DT_TRY(dt_comm_collect(comm, &a->errors.bytes, &a->errors.capacity, &a->errors.length));
    if (dt_comm_rank(comm) > 0) return DT_OK;
    DT_REQUIRE(fwrite(a->errors.bytes, 1, a->errors.length, a->request->errors) == a->errors.length,
               DT_ERR_IO, "the list of errors cannot be written: %s", strerror(errno));
    return DT_OK;
}

static void report(const asking *a) {
    const int64_t all = a->count[0], answered = a->count[1], right = a->count[2];
    const double of_all = all ? (double)answered / (double)all : 0,
                 of_answered = answered ? (double)right / (double)answered : 0;
    if (a->request->json) {
        printf("{\"questions\":%" PRId64 ",\"answered\":%" PRId64 ",\"right\":%" PRId64
               ",\"exact_match\":%.17g}\n",
               all, answered, right, of_answered);
        return;
    }
    printf("%s: %" PRId64 " questions, %" PRId64 " answered (%.2f %%), %" PRId64
           " of them right (%.2f %%)\n",
           a->request->path, all, answered, 100 * of_all, right, 100 * of_answered);
}

static dt_status open_texts(asking *a, dt_model *model) {
    DT_TRY(dt_memory_alloc(&a->asked, DT_EVAL_ANSWERS, sizeof *a->asked, "questions"));
    DT_TRY(dt_memory_alloc(&a->prompt, DT_EVAL_ANSWERS, sizeof *a->prompt, "questions"));
    DT_TRY(dt_memory_alloc(&a->value, DT_EVAL_ANSWERS, sizeof *a->value, "questions"));
    DT_TRY(dt_memory_alloc(&a->produced, DT_EVAL_ANSWERS, sizeof *a->produced, "answers"));
    return dt_generator_create(&a->generator, model, DT_EVAL_ANSWERS);
}

static void close_texts(dt_text **text) {
    for (size_t i = 0; *text && i < DT_EVAL_ANSWERS; i++) dt_text_destroy(&(*text)[i]);
    dt_memory_free(text);
}

dt_status eval_file(dt_session *s, dt_loaded_model *loaded, const dt_source *source,
                    const eval_file_request *request) {
    asking a = {.source = source, .request = request};
    dt_status status = DT_OK;
    if (!source->kind->is_value) {
        status = dt_error_raise(DT_ERR_ARG, __FILE__, __LINE__,
                                "--file: this model has learned %s, and its answers are not "
                                "compared with values; train one with --format expression",
                                source->kind->name);
    }
    if (status == DT_OK) status = open_texts(&a, loaded->model);
    if (status == DT_OK) status = ask_all(&a, dt_comm_rank(s->comm), dt_comm_size(s->comm));
    DT_TRY_DONE(dt_comm_agree(s->comm, status));
    DT_TRY_DONE(dt_comm_sum(s->comm, a.count, sizeof a.count / sizeof *a.count));
    if (request->list) DT_TRY_DONE(dt_comm_agree(s->comm, list_errors(&a, s->comm)));
    if (dt_comm_rank(s->comm) == 0) report(&a);
done:
    dt_generator_destroy(&a.generator);
    close_texts(&a.asked);
    close_texts(&a.prompt);
    close_texts(&a.value);
    close_texts(&a.produced);
    dt_text_destroy(&a.reply);
    dt_text_destroy(&a.errors);
    return status;
}
