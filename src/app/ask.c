/* The ask command: a trained model calculates what people type, or goes on with it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/line.h"
#include "dtrain/core/log.h"
#include "dtrain/data/pieces.h"
#include "dtrain/data/source.h"
#include "dtrain/model/answer.h"
#include "dtrain/model/sample.h"

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
    dt_text whole; /* the characters of what was produced */
    bool show_work;
} asking;

/* A terminal shows a text, and does not obey it. */
static void print_reply(dt_text *reply) {
    if (!reply->bytes) return;
    if (isatty(STDOUT_FILENO)) dt_utf8_make_printable(reply->bytes, "\n\t");
    fputs(reply->bytes, stdout);
}

/* Takes text up to the end of its line. */
static dt_status take(void *context, const char *bytes, size_t count, bool *stop) {
    asking *a = context;
    const char *end = memchr(bytes, '\n', count);
    *stop = end != NULL;
    return dt_text_append(&a->produced, bytes, end ? (size_t)(end - bytes) : count);
}

/* What the model finds likeliest; of text all of a line. */
static dt_status produce(asking *a, size_t tokens) {
    const dt_sample_request request = {.tokens = tokens, .end = dt_source_end(&a->source)};
    size_t count;
    bool ended;
    if (a->source.kind->answers) {
        return dt_generator_answer(a->generator, &a->produced, &(const char *){a->prompt.bytes}, 1,
                                   &a->source);
    }
    dt_text_clear(&a->produced);
    return dt_sample(&count, &ended, a->generator, &request, &a->prompt, a->source.tokenizer, take,
                     a);
}

/* What is typed to one answer on standard output. */
static dt_status answer_one(asking *a, const dt_line *typed) {
    const dt_source_kind *kind = a->source.kind;
    dt_pieces pieces = {0};
    size_t room = 0;
    DT_TRY(dt_line_check(typed));
    DT_TRY(kind->ask(&a->prompt, &a->source, typed));
    DT_TRY(command_find_room(&room, &a->prompt, typed, a->source.tokenizer,
                             a->loaded.checkpoint.shape.T));
    DT_TRY(produce(a, room));
    dt_text_clear(&a->whole);
    DT_TRY(dt_pieces_append(&a->whole, &pieces, a->produced.bytes, a->produced.length));
    const dt_status status =
        kind->reply(&a->reply, &a->source, &a->prompt, typed, a->whole.bytes, a->show_work);
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
    dt_text_destroy(&a.whole);
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
    static const char *const known[] = {"log-level", "backend", "precision", "sharpness"};
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
