/* The plot command: the curves of a run, or where its model is wrong, as a picture or in the
 * terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/foreign.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/picture/grid.h"
#include "dtrain/run/signals.h"
#include "dtrain/train/evaluate.h"
#include "dtrain/ui/terminal.h"
#include "plot_runs.h"

typedef struct {
    const char *target;   /* the checkpoint or run, or what eval --json has printed */
    command_words others; /* more of them, laid over it */
    const char *output;
    bool ascii, grid, html;
    dt_split split;
    int64_t count; /* -1: as many as usual */
} plot_options;

/* RUN/plot.svg, RUN/plot.html and RUN/grid.svg, or FILE.svg, FILE.html and FILE-grid.svg beside
 * FILE.h5 or FILE.json. */
static dt_status default_output(char *path, size_t size, const plot_options *options, bool folder) {
    static const char *const ends[] = {".h5", ".json"};
    size_t length = strlen(options->target);
    for (size_t i = 0; !folder && i < sizeof ends / sizeof *ends; i++) {
        const size_t end = strlen(ends[i]);
        if (length <= end || strcmp(options->target + length - end, ends[i]) != 0) continue;
        length -= end;
        break;
    }
    while (folder && length > 1 && options->target[length - 1] == '/') length--;
    const char *name = folder ? options->grid ? "/grid" : "/plot" : options->grid ? "-grid" : "";
    const int written = snprintf(path, size, "%.*s%s.%s", (int)length, options->target, name,
                                 options->html ? "html" : "svg");
    DT_REQUIRE(written > 0 && (size_t)written < size, DT_ERR_ARG,
               "the name %.80s... is too long; give another with --output FILE.%s", options->target,
               options->html ? "html" : "svg");
    return DT_OK;
}

/* As a shell does: COLUMNS counts, then the window. */
static size_t output_columns(void) {
    enum { USUAL = 80 };
    const char *text = getenv("COLUMNS");
    const long given = text ? strtol(text, NULL, 10) : 0;
    if (given > 0) return (size_t)given;
    const size_t columns = dt_terminal_columns(STDOUT_FILENO);
    return columns ? columns : USUAL;
}

/* Where the picture goes: --output, or beside what is drawn, where another's file is kept. beside:
 * (DT_PATH_MAX) */
static dt_status choose_output(const char **path, char *beside, const plot_options *options,
                               bool folder) {
    char aside[DT_PATH_MAX + 64];
    *path = options->output ? options->output : beside;
    if (options->output) return DT_OK;
    DT_TRY(default_output(beside, DT_PATH_MAX, options, folder));
    if (!dt_foreign_is_picture(beside)) return DT_OK;
    DT_TRY(dt_run_set_aside(aside, sizeof aside, beside));
    dt_log_warn("%s was not drawn by dtrain: it is now %s", beside, aside);
    return DT_OK;
}

/* ---- the curves of runs ---- */

static dt_status write_picture(const plot_runs *runs, const plot_options *options, bool folder) {
    char beside[DT_PATH_MAX];
    const char *path;
    DT_TRY(choose_output(&path, beside, options, folder));
    DT_TRY(options->html ? plot_page_write(path, runs) : dt_plot_write(path, &runs->plot));
    printf("%s\n", path);
    return DT_OK;
}

static dt_status plot_curves(const plot_options *options) {
    plot_runs *runs = NULL;
    const char *target[DT_PLOT_RUNS_MAX] = {options->target};
    const size_t count = 1 + options->others.count;
    dt_status status;
    DT_REQUIRE(count <= DT_PLOT_RUNS_MAX, DT_ERR_ARG,
               "%zu runs are too many to be laid over each other; %d are the most", count,
               DT_PLOT_RUNS_MAX);
    for (size_t i = 1; i < count; i++) target[i] = options->others.word[i - 1];
    DT_TRY_DONE(plot_runs_open(&runs, target, count));
    status = options->ascii ? dt_plot_print(stdout, &runs->plot, output_columns())
                            : write_picture(runs, options, dt_is_folder(options->target));
done:
    plot_runs_close(&runs);
    return status;
}

/* ---- where a model is wrong ---- */

/* What eval --json has printed begins with a brace, and no checkpoint does. */
static bool is_json(const char *path) {
    FILE *file = fopen(path, "re");
    const int first = file ? fgetc(file) : EOF;
    if (file) fclose(file);
    return first == '{';
}

static dt_status draw_grid(const int64_t *tally, const dt_grid_kind *kind, const char *what,
                           const plot_options *options) {
    char title[DT_PATH_MAX + 160], beside[DT_PATH_MAX];
    const char *path;
    const dt_count all = kind->total(tally);
    snprintf(title, sizeof title, "%s%s: %lld of %lld problems wrong", options->target, what,
             (long long)(all.problems - all.right), (long long)all.problems);
    const dt_grid grid = {title, kind, tally};
    if (options->ascii) return dt_grid_print(stdout, &grid, output_columns());
    DT_TRY(choose_output(&path, beside, options, dt_is_folder(options->target)));
    DT_TRY(dt_grid_write(path, &grid));
    printf("%s\n", path);
    return DT_OK;
}

/* Collective. */
static dt_status measure(dt_eval_result *result, dt_session *s, dt_loaded_model *loaded,
                         const plot_options *options) {
    const dt_checkpoint *c = &loaded->checkpoint;
    const dt_config config = dt_source_evaluated(&c->config);
    const dt_eval_request request = {
        .problems = {.split = options->split,
                     .count = options->count < 0 ? 4096 : (uint64_t)options->count},
        .generate = true};
    dt_source source = {0};
    DT_REQUIRE(request.problems.count > 0, DT_ERR_ARG, "--count 0: there is nothing to draw");
    const dt_source_kind *kind = dt_source_kind_of(&config);
    DT_REQUIRE(kind->grid, DT_ERR_ARG,
               "--grid is for models of arithmetic, and this one has learned the %s of %s",
               kind->texts, kind->subject(&config));
    dt_status status;
    DT_TRY_DONE(dt_comm_agree(s->comm, dt_source_open(&source, &config, c->tokenizer)));
    status = dt_evaluate(result, s, loaded->model, &source, &request);
done:
    dt_source_close(&source);
    return status;
}

static dt_status plot_model(dt_session *s, const dt_overrides *given, const plot_options *options) {
    dt_loaded_model loaded = {0};
    dt_eval_result result = {0};
    char what[80];
    dt_status status;
    DT_TRY_DONE(dt_session_open_device_given(s, given));
    dt_signals_catch();
    DT_TRY_DONE(
        dt_comm_agree(s->comm, dt_loaded_open(&loaded, s, given, options->target, DT_EVAL_CHUNK)));
    DT_TRY_DONE(measure(&result, s, &loaded, options));
    DT_REQUIRE_DONE(!result.interrupted, DT_ERR_STOPPED, "the evaluation was stopped");
    snprintf(what, sizeof what, ", step %lld, %s split", (long long)loaded.checkpoint.state.step,
             dt_split_name(options->split));
    const dt_source_kind *kind = dt_source_kind_of(&loaded.checkpoint.config);
    if (dt_comm_rank(s->comm) == 0) status = draw_grid(result.tally, kind->grid, what, options);
    status = dt_comm_agree(s->comm, status);
done:
    dt_eval_result_destroy(&result);
    if (status != DT_ERR_COMM) dt_loaded_close(&loaded, s);
    return status;
}

static dt_status plot_file(const plot_options *options) {
    int64_t *tally;
    const dt_grid_kind *kind;
    DT_TRY(dt_grid_read(&tally, &kind, options->target));
    const dt_status status = draw_grid(tally, kind, "", options);
    dt_memory_free(&tally);
    return status;
}

static dt_status plot_grid(dt_session *s, const dt_overrides *given, const plot_options *options) {
    bool json = is_json(options->target);
    DT_TRY(dt_comm_broadcast(s->comm, &json, sizeof json)); /* other nodes may see other files */
    if (!json) return plot_model(s, given, options);
    return dt_comm_rank(s->comm) == 0 ? plot_file(options) : DT_OK;
}

/* The end of a file's name says what is drawn. */
static dt_status check_output(const plot_options *options) {
    dt_picture picture;
    DT_REQUIRE(!options->ascii || !options->output, DT_ERR_ARG,
               "--ascii draws in the terminal and --output into a file; leave one out");
    DT_REQUIRE(!options->html || (!options->ascii && !options->grid), DT_ERR_ARG,
               "--html writes a page with the curves of runs; leave --%s out",
               options->ascii ? "ascii" : "grid");
    DT_REQUIRE(!options->grid || options->others.count == 0, DT_ERR_ARG,
               "--grid draws one model at a time; leave \"%s\" out", options->others.word[0]);
    return options->output && !options->html ? dt_plot_picture(&picture, options->output) : DT_OK;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    plot_options options = *(const plot_options *)own;
    options.html = options.html || (options.output && plot_page_is_name(options.output));
    DT_TRY(check_output(&options));
    return options.grid ? plot_grid(s, given, &options) : plot_curves(&options);
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(plot_options, target), "CHECKPOINT", NULL, NULL},
    {ARGUMENTS, offsetof(plot_options, others), "CHECKPOINT", NULL, NULL},
    {OPTION_SPLIT, offsetof(plot_options, split), "split", "NAME", "train, validation or test"},
    {OPTION_COUNT, offsetof(plot_options, count), "count", "N", "how many problems"},
    {OPTION_PATH, offsetof(plot_options, output), "output", "FILE",
     "the picture, .svg, .png or .html; without it RUN/plot.svg, or beside the checkpoint"},
    {OPTION_FLAG, offsetof(plot_options, html), "html", NULL,
     "a page for the browser instead, RUN/plot.html, with samples, starts and settings, too; needs "
     "no gnuplot"},
    {OPTION_FLAG, offsetof(plot_options, ascii), "ascii", NULL,
     "draw in the terminal, as wide as it is; needs no gnuplot"},
    {OPTION_FLAG, offsetof(plot_options, grid), "grid", NULL,
     "a heat map of wrong answers by lengths, carries, borrows and digits of quotients: of what "
     "eval --json has printed, or of a model, which is evaluated for it (on --count problems of "
     "--split, under mpirun or not)"},
};

static bool knows(const dt_setting *setting) { return strcmp(setting->name, "log-level") == 0; }

static bool needs_ranks(const void *own) { return ((const plot_options *)own)->grid; }

static dt_status check(const void *own) {
    return command_check_target(((const plot_options *)own)->target);
}

const command PLOT = {
    .name = "plot",
    .usage = "CHECKPOINT|RUN...\n--grid CHECKPOINT|RUN|EVAL.json",
    .help = "Draw how a run went: loss, exact match or bits per byte, learning rate and gradient "
            "norm over its steps, and where it was started again; several runs over each other. "
            "Pictures are drawn by gnuplot.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(plot_options),
    .initial = &(const plot_options){.split = DT_TEST, .count = -1},
    .needs_ranks = needs_ranks,
    .check = check,
    .run = run,
};
