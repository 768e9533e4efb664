/* The ask command: a trained model calculates what people type, or goes on with it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/line.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "dtrain/data/source.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    command_words expressions;
    bool show_work;
} ask_options;

typedef struct {
    dt_loaded_model loaded;
    dt_source source;
    dt_generator *generator;
    dt_text prompt, produced, reply;
    bool show_work;
} asking;

/* A prompt leaves room for an answer. */
static dt_status check_prompt(const asking *a, const dt_line *typed) {
    const size_t context = a->loaded.checkpoint.shape.T, most = strlen(a->prompt.bytes);
    int32_t *id = NULL;
    size_t count = 0;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&id, most + 1, sizeof *id, "the tokens of a prompt"));
    DT_TRY_DONE(dt_tokenizer_encode(id, most, &count, a->source.tokenizer, a->prompt.bytes));
    if (count >= context) {
        status = dt_line_raise(DT_ERR_ARG, __FILE__, __LINE__, typed, typed->length,
                               "this has %zu tokens, and the model reads and writes %zu in all; "
                               "ask something shorter",
                               count, context);
    }
done:
    dt_memory_free(&id);
    return status;
}

/* A terminal shows a text, and does not obey it. */
static void print_reply(dt_text *reply) {
    if (!reply->bytes) return;
    if (isatty(STDOUT_FILENO)) dt_utf8_make_printable(reply->bytes, "\n\t");
    fputs(reply->bytes, stdout);
}

/* What is typed to one answer on standard output. */
static dt_status answer_one(asking *a, const dt_line *typed) {
    const dt_source_kind *kind = a->source.kind;
    DT_TRY(dt_line_check(typed));
    DT_TRY(kind->ask(&a->prompt, &a->source, typed));
    DT_TRY(check_prompt(a, typed));
    DT_TRY(dt_generator_run(a->generator, &a->produced, &(const char *){a->prompt.bytes}, 1,
                            a->source.tokenizer));
    const dt_status status =
        kind->reply(&a->reply, &a->source, &a->prompt, typed, a->produced.bytes, a->show_work);
    print_reply(&a->reply);
    return status;
}

/* An argument may have several lines, too. */
static dt_status answer_argument(asking *a, const char *argument) {
    const size_t size = strlen(argument);
    size_t at = dt_line_mark(argument, size), length;
    dt_line line = {0};
    do {
        dt_line_cut(&line, &length, argument + at, size - at, true);
        DT_TRY(answer_one(a, &line));
        at += length;
    } while (at < size);
    return DT_OK;
}

/* At a terminal: one after the other, until there is an empty line. */
static dt_status talk(asking *a, dt_line_reader *reader) {
    printf("Type %s; an empty line or Ctrl-D ends.\n", a->source.kind->hint);
    for (;;) {
        dt_line line;
        bool found;
        printf("> ");
        fflush(stdout);
        DT_TRY(dt_line_reader_next(&line, &found, reader));
        if (found && dt_line_is_blank(&line)) return DT_OK;
        if (!found) break;
        line.name = NULL;
        if (answer_one(a, &line) == DT_OK) continue;
        char sentence[2048];
        snprintf(sentence, sizeof sentence, "%s", dt_error_text());
        dt_utf8_make_printable(sentence, "\n");
        printf("%s\n", sentence);
        dt_error_clear();
    }
    putchar('\n');
    return DT_OK;
}

/* A line that cannot be answered is reported on standard error; its answer is an empty line, so
 * that answers stay beside questions. */
static dt_status answer_lines(asking *a, dt_line_reader *reader) {
    dt_status first_error = DT_OK;
    for (;;) {
        dt_line line;
        bool found;
        DT_TRY(dt_line_reader_next(&line, &found, reader));
        if (!found) break;
        const bool blank = dt_line_is_blank(&line);
        const dt_status status = blank ? DT_OK : answer_one(a, &line);
        if (blank || status != DT_OK) putchar('\n');
        if (status != DT_OK) dt_log_error("%s", dt_error_text());
        if (first_error == DT_OK) first_error = status;
        fflush(stdout);
    }
    DT_REQUIRE(first_error == DT_OK, first_error, "some lines have no answer");
    return DT_OK;
}

static dt_status answer_input(asking *a) {
    const bool talks = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    dt_line_reader *reader;
    DT_TRY(dt_line_reader_open(&reader, STDIN_FILENO, "standard input"));
    const dt_status status = talks ? talk(a, reader) : answer_lines(a, reader);
    dt_line_reader_close(&reader);
    return status;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const ask_options *options = own;
    asking a = {.show_work = options->show_work};
    dt_status status;
    DT_TRY_DONE(dt_session_open_device_given(s, given));
    DT_TRY_DONE(dt_loaded_open(&a.loaded, s, given, options->target, 1));
    a.source = dt_source_for_asking(&a.loaded.checkpoint.config, a.loaded.checkpoint.tokenizer);
    DT_TRY_DONE(dt_generator_create(&a.generator, a.loaded.model, 1));
    if (!options->expressions.count) DT_TRY_DONE(answer_input(&a));
    for (size_t i = 0; i < options->expressions.count; i++)
        DT_TRY_DONE(answer_argument(&a, options->expressions.word[i]));
done:
    dt_text_destroy(&a.prompt);
    dt_text_destroy(&a.produced);
    dt_text_destroy(&a.reply);
    dt_generator_destroy(&a.generator);
    dt_loaded_close(&a.loaded, s);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(ask_options, target), "CHECKPOINT", NULL, NULL},
    {ARGUMENTS, offsetof(ask_options, expressions), "EXPRESSION", NULL, NULL},
    {OPTION_FLAG, offsetof(ask_options, show_work), "show-work", NULL,
     "print the working, one step a line, before the answer"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level", "backend", "precision"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

static dt_status check(const void *own) {
    return command_check_target(((const ask_options *)own)->target);
}

const command ASK = {
    .name = "ask",
    .usage = "CHECKPOINT|RUN [EXPRESSION...]",
    .help = "Let a trained model calculate: 273*274, 2060/71, or \"What is 12 plus 34?\". A model "
            "of lines of text answers a prompt, or goes on with a text. Without an expression it "
            "reads them from standard input, one a line, and prints one answer a line.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(ask_options),
    .check = check,
    .run = run,
};
