/* The eval command: exact answers and loss over problems the model has not seen, or over all there
 * are. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/run/signals.h"
#include "dtrain/ui/eval_bar.h"
#include "dtrain/ui/report.h"
#include "eval_file.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    bool json, exhaustive;
    dt_split split; /* DT_EVERY_TEXT: none is given */
    int64_t count;  /* -1: as many as usual */
    const char *dump_logits, *errors;
    const char *file; /* questions, each with its value */
} eval_options;

/* Logits of one batch as JSON, so that another program can recompute them from the checkpoint. */
static dt_status write_logits(FILE *file, const float *logits, const dt_batch *batch,
                              const dt_tokenizer *tokenizer, size_t V) {
    fprintf(file, "{\"problems\":[");
    dt_text text = {0};
    dt_status status = DT_OK;
    for (size_t b = 0; b < batch->problems && status == DT_OK; b++) {
        status = dt_batch_text(&text, batch, b, tokenizer);
        if (b) fputc(',', file);
        if (status == DT_OK) dt_json_write_text(file, text.bytes);
    }
    dt_text_destroy(&text);
    DT_TRY(status);
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

static dt_status dump_logits(dt_loaded_model *loaded, const char *path, const dt_source *source,
                             dt_split split) {
    const dt_checkpoint *c = &loaded->checkpoint;
    dt_batch batch = {0};
    float *logits = NULL;
    FILE *file = NULL;
    dt_status status;
    DT_TRY_DONE(dt_batch_create(&batch, DT_EVAL_CHUNK, DT_EVAL_CHUNK * c->shape.T));
    uint64_t count;
    DT_TRY_DONE(dt_source_count(&count, source, split, DT_EVAL_CHUNK));
    for (size_t i = 0; i < count; i++) DT_TRY_DONE(dt_source_sample(&batch, source, split, i));
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

/* ---- the list of errors: under another name until it is whole ---- */

typedef struct {
    const char *path;
    char partial[DT_PATH_MAX];
    FILE *file; /* NULL: not open */
} error_list;

static dt_status error_list_open(error_list *list, const char *path, const char *heading) {
    list->path = path;
    const int length = snprintf(list->partial, sizeof list->partial, "%s.partial", path);
    DT_REQUIRE(length > 0 && (size_t)length < sizeof list->partial, DT_ERR_ARG,
               "--errors: the name %.80s... is too long", path);
    list->file = fopen(list->partial, "we");
    DT_REQUIRE(list->file, DT_ERR_CREATE, "%s cannot be created: %s", list->partial,
               strerror(errno));
    fputs(heading, list->file);
    return DT_OK;
}

static dt_status error_list_close(error_list *list, bool whole) {
    if (!list->file) return DT_OK;
    const bool failed = ferror(list->file) != 0;
    const bool closed = fclose(list->file) == 0;
    list->file = NULL;
    DT_REQUIRE(closed && !failed, DT_ERR_IO, "%s cannot be written: %s", list->partial,
               strerror(errno));
    DT_REQUIRE(!whole || rename(list->partial, list->path) == 0, DT_ERR_CREATE,
               "%s cannot be renamed to %s: %s", list->partial, list->path, strerror(errno));
    return DT_OK;
}

/* ---- evaluation ---- */

/* What is evaluated, beside what the settings say. */
typedef struct {
    const eval_options *options;
    const char *part; /* dt_report_subject */
    const char *text;
} subject_choice;

static dt_split split_of(const eval_options *options) {
    return options->split == DT_EVERY_TEXT ? DT_TEST : options->split;
}

static dt_status choose_texts(dt_eval_problems *texts, const subject_choice *choice,
                              const dt_source *source) {
    const eval_options *options = choice->options;
    const dt_source_kind *kind = source->kind;
    const char *subject = kind->subject(&source->config);
    DT_REQUIRE(!options->exhaustive || options->count < 0, DT_ERR_ARG,
               "--exhaustive means all problems; leave out --count");
    DT_REQUIRE(!options->errors || kind->errors_heading, DT_ERR_ARG,
               "--errors is for problems, and this model has learned the %s of %s; leave it out",
               kind->texts, subject);
    const bool everything = options->exhaustive || choice->text;
    const uint64_t wanted = options->count >= 0 ? (uint64_t)options->count
                            : everything        ? UINT64_MAX
                                                : 4096;
    DT_REQUIRE(wanted > 0, DT_ERR_ARG, "--count 0: there is nothing to evaluate");
    texts->split = everything ? DT_EVERY_TEXT : split_of(options);
    DT_TRY(dt_source_count(&texts->count, source, texts->split, wanted));
    DT_REQUIRE(texts->count > 0 || !choice->text, DT_ERR_DATA,
               "%s has no token that could be predicted from one before", choice->text);
    DT_REQUIRE(texts->count > 0, DT_ERR_ARG, "none of the %s of %s falls into the %s split",
               kind->texts, subject, dt_split_name(texts->split));
    return DT_OK;
}

/* What is shown while it goes on. */
typedef struct {
    dt_eval_bar bar;
    bool prints; /* all its results go to standard output */
} watcher;

/* Results that cannot be delivered are not calculated. */
static void chunk_done(void *context, uint64_t done) {
    watcher *w = context;
    struct pollfd output = {.fd = STDOUT_FILENO};
    if (w->prints && !dt_signals_stop() && poll(&output, 1, 0) == 1 && (output.revents & POLLERR))
        dt_signals_raise(SIGPIPE);
    dt_eval_bar_chunk(&w->bar, done);
}

static void round_done(void *context, uint64_t done, uint64_t wrong) {
    watcher *w = context;
    dt_eval_bar_round(&w->bar, done, wrong);
}

static dt_status report_stop(const dt_eval_result *result, const dt_eval_request *request,
                             const error_list *list) {
    char wrong[48] = "";
    if (result->answers)
        snprintf(wrong, sizeof wrong, ", %" PRIu64 " of them wrong", result->wrong);
    dt_log_warn("stopped by %s after %" PRIu64 " of %" PRIu64 " %s%s%s%s",
                dt_signals_name(dt_signals_stop()), result->done, request->problems.count,
                result->kind->texts, wrong, list->path ? "; they are listed in " : "",
                list->path ? list->partial : "");
    DT_REQUIRE(dt_signals_stop() != SIGPIPE, DT_ERR_IO, "standard output cannot be written");
    DT_RAISE(DT_ERR_STOPPED, "the evaluation was stopped");
}

/* Rank 0 alone. */
static dt_status report(const dt_eval_result *result, const dt_eval_request *request,
                        error_list *list, const subject_choice *choice, const dt_checkpoint *c,
                        double seconds) {
    const dt_report_subject of = {choice->options->target, c->state.step, choice->part,
                                  choice->text};
    DT_TRY(error_list_close(list, !result->interrupted));
    if (result->interrupted) return report_stop(result, request, list);
    if (request->problems.split == DT_EVERY_TEXT) {
        const char *texts = result->kind->texts;
        dt_log_info("%" PRIu64 " %s in %.1f s: %.0f %s/s", result->done, texts, seconds,
                    (double)result->done / seconds, texts);
    }
    if (choice->options->json) return dt_report_json(result, &request->problems, &of);
    dt_report_text(result, &request->problems, &of);
    return DT_OK;
}

static dt_status run_evaluation(dt_session *s, dt_loaded_model *loaded,
                                const subject_choice *choice, const dt_source *source) {
    const eval_options *options = choice->options;
    const bool speaks = dt_comm_rank(s->comm) == 0;
    const double start = dt_seconds_now();
    watcher w = {.prints = !options->errors && !options->dump_logits};
    error_list list = {0};
    dt_eval_result result = {0};
    dt_eval_progress progress = {.chunk = chunk_done, .round = round_done, .context = &w};
    dt_eval_request request = {.generate = true, .list = options->errors != NULL};
    dt_status status;
    status = choose_texts(&request.problems, choice, source);
    if (status == DT_OK && speaks && request.list) {
        status = error_list_open(&list, options->errors, source->kind->errors_heading);
    }
    DT_TRY_DONE(dt_comm_agree(s->comm, status));
    request.errors = list.file;
    if (speaks) {
        dt_eval_bar_open(&w.bar, source, request.problems.count, dt_comm_size(s->comm));
        request.progress = &progress;
    }
    status = dt_evaluate(&result, s, loaded->model, source, &request);
    if (speaks) dt_eval_bar_close(&w.bar);
    if (status == DT_OK && speaks) {
        status =
            report(&result, &request, &list, choice, &loaded->checkpoint, dt_seconds_now() - start);
    }
    status = dt_comm_agree(s->comm, status);
done:
    if (list.file) fclose(list.file);
    dt_eval_result_destroy(&result);
    return status;
}

static dt_status run_file(dt_session *s, dt_loaded_model *loaded, const eval_options *options,
                          const dt_source *source) {
    error_list list = {0};
    dt_status status = DT_OK;
    if (options->errors && dt_comm_rank(s->comm) == 0)
        status = error_list_open(&list, options->errors, "line\tasked\tvalue\tanswer\ttext\n");
    DT_TRY_DONE(dt_comm_agree(s->comm, status));
    const eval_file_request request = {options->file, list.file, options->errors != NULL,
                                       options->json};
    status = eval_file(s, loaded, source, &request);
    if (status == DT_OK) status = error_list_close(&list, true);
    status = dt_comm_agree(s->comm, status);
done:
    if (list.file) fclose(list.file);
    return status;
}

/* A text that is given is evaluated as a whole, unless --split says that it is the run's own. */
static void take_all(subject_choice *choice, dt_config *config, const dt_overrides *given) {
    const dt_source_kind *kind = dt_source_kind_of(config);
    if (!kind->take_all || choice->options->split != DT_EVERY_TEXT) return;
    if (!dt_overrides_has(given, kind->setting)) return;
    kind->take_all(config);
    choice->text = kind->subject(config);
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const eval_options *options = own;
    dt_loaded_model loaded = {0};
    dt_source source = {0};
    subject_choice choice = {.options = options};
    dt_status status;
    DT_TRY_DONE(dt_session_open_device_given(s, given));
    dt_signals_catch();
    /* Every rank reads the file: evaluation has no other use for windows. */
    DT_TRY_DONE(
        dt_comm_agree(s->comm, dt_loaded_open(&loaded, s, given, options->target, DT_EVAL_CHUNK)));
    dt_config config = loaded.checkpoint.config;
    /* The whole domain is that of training, unless settings say otherwise. */
    if (options->exhaustive) {
        config.eval_digits = config.eval_dividend_digits = config.eval_divisor_digits = 0;
    }
    DT_TRY_DONE(dt_comm_agree(s->comm, dt_overrides_apply(&config, given)));
    DT_TRY_DONE(dt_comm_agree(
        s->comm, dt_source_evaluates(&choice.part, &config, &loaded.checkpoint.config)));
    config = dt_source_evaluated(&config);
    take_all(&choice, &config, given);
    dt_log_open((dt_log_level)config.log_level, (int)dt_comm_rank(s->comm));
    DT_TRY_DONE(dt_comm_agree(s->comm, dt_model_shape_holds(&loaded.checkpoint.shape, &config)));
    DT_TRY_DONE(
        dt_comm_agree(s->comm, dt_source_open(&source, &config, loaded.checkpoint.tokenizer)));
    if (options->file) {
        status = run_file(s, &loaded, options, &source);
        goto done;
    }
    DT_TRY_DONE(run_evaluation(s, &loaded, &choice, &source));
    if (options->dump_logits && dt_comm_rank(s->comm) == 0) {
        status = dump_logits(&loaded, options->dump_logits, &source,
                             choice.text ? DT_EVERY_TEXT : split_of(options));
    }
    status = dt_comm_agree(s->comm, status);
done:
    dt_source_close(&source);
    if (status != DT_ERR_COMM) dt_loaded_close(&loaded, s);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(eval_options, target), "CHECKPOINT", NULL, NULL},
    {OPTION_FLAG, offsetof(eval_options, json), "json", NULL, "print JSON"},
    {OPTION_SPLIT, offsetof(eval_options, split), "split", "NAME",
     "train, validation or test, which is usual; with --text: of the run's own text, which has "
     "moved there"},
    {OPTION_COUNT, offsetof(eval_options, count), "count", "N", "how many problems"},
    {OPTION_PATH, offsetof(eval_options, dump_logits), "dump-logits", "FILE",
     "write the logits of the first problems as JSON, for checking by other programs"},
    {OPTION_FLAG, offsetof(eval_options, exhaustive), "exhaustive", NULL,
     "every problem of the domain the model was trained on, or of --ops alone, of all splits"},
    {OPTION_PATH, offsetof(eval_options, errors), "errors", "FILE",
     "list each wrong answer in this file: a table, separated by tabs, with a heading"},
    {OPTION_PATH, offsetof(eval_options, file), "file", "FILE",
     "ask the questions of this file, each followed by a tab and its value: how many are answered, "
     "and how many of these right; --errors lists the others (--format expression)"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level",
                                        "backend",
                                        "precision",
                                        "sharpness",
                                        "ranks-per-node",
                                        "seed",
                                        "ops",
                                        "train-file",
                                        "text",
                                        "document-separator",
                                        "eval-digits",
                                        "eval-least-digits",
                                        "eval-dividend-digits",
                                        "eval-divisor-digits"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

static dt_status check(const void *own) {
    const eval_options *options = own;
    const char *other = options->exhaustive               ? "exhaustive"
                        : options->dump_logits            ? "dump-logits"
                        : options->count >= 0             ? "count"
                        : options->split != DT_EVERY_TEXT ? "split"
                                                          : NULL;
    DT_REQUIRE(!options->file || !other, DT_ERR_ARG,
               "--file asks all questions of its file; leave out --%s", other);
    return command_check_target(options->target);
}

const command EVAL = {
    .name = "eval",
    .usage = "CHECKPOINT|RUN",
    .help = "Measure a trained model on problems it has never seen, or on all of its domain: exact "
            "answers, by operation and length of the operands, by carries of sums, borrows of "
            "differences and digits of quotients."
            "\vAn answer is right if greedy generation gives it exactly. A wrong one is due to a "
            "wrong step, if the text departs from the right one within the working (in the part of "
            "the step that is named), or to a wrong copy, if the working is right to its end and "
            "the answer after it is not. Of a model of running text, --text names any other text: "
            "all of it is evaluated. Exit code 75 if a signal stopped it.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(eval_options),
    .initial = &(const eval_options){.split = DT_EVERY_TEXT, .count = -1},
    .needs_ranks = command_needs_ranks,
    .check = check,
    .run = run,
};
