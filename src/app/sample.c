/* The sample command: what a model writes where tokens are drawn by their probability. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/data/pieces.h"
#include "dtrain/data/source.h"
#include "dtrain/model/sample.h"
#include "dtrain/run/signals.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    const char *prompt; /* NULL: none is given */
    double temperature, top_p;
    int64_t top_k, seed, tokens, count;
    bool json;
} sample_options;

typedef struct {
    const sample_options *options;
    dt_loaded_model loaded;
    dt_source source;
    dt_generator *generator;
    dt_text input; /* the prompt as it was typed */
    dt_line typed;
    dt_text prompt; /* as the model reads it */
    /* of one text */
    dt_pieces pieces;
    dt_text written; /* whole characters that are not printed yet */
    bool line_ended; /* what was printed ends with "\n" */
} sampling;

/* ---- the prompt ---- */

static dt_status read_input(dt_text *text) {
    enum { BLOCK = 65536 };
    for (;;) {
        DT_TRY(dt_text_reserve(text, BLOCK));
        const ssize_t got = read(STDIN_FILENO, text->bytes + text->length, BLOCK);
        if (got < 0 && errno == EINTR) continue;
        DT_REQUIRE(got >= 0, DT_ERR_IO, "standard input cannot be read: %s", strerror(errno));
        text->length += (size_t)got;
        text->bytes[text->length] = '\0';
        if (got == 0) return DT_OK;
    }
}

/* Whether something was put there to be read. */
static bool has_input(void) {
    struct stat info;
    return fstat(STDIN_FILENO, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode));
}

/* Texts that end have prompts of one line, which may be ended. */
static dt_status take_line(dt_line *typed) {
    size_t length;
    dt_line first = *typed;
    dt_line_cut(&first, &length, typed->text, typed->length, true);
    if (length < typed->length)
        DT_LINE_RAISE(DT_ERR_ARG, typed, first.length, "a prompt for this model is one line");
    *typed = first;
    return DT_OK;
}

static dt_status find_prompt(sampling *s) {
    const sample_options *options = s->options;
    const dt_source_kind *kind = s->source.kind;
    const bool dash = options->prompt && strcmp(options->prompt, "-") == 0;
    s->typed = dt_line_of(options->prompt ? options->prompt : "");
    if (dash || (!options->prompt && has_input())) {
        DT_TRY(read_input(&s->input));
        const size_t mark = dt_line_mark(s->input.bytes, s->input.length);
        s->typed = (dt_line){.name = "standard input",
                             .number = 1,
                             .text = s->input.bytes + mark,
                             .length = s->input.length - mark};
    }
    if (kind->end) DT_TRY(take_line(&s->typed));
    DT_TRY(dt_line_check(&s->typed));
    DT_TRY(kind->ask(&s->prompt, &s->source, &s->typed));
    if (!kind->end) return DT_OK;
    size_t room;
    return command_find_room(&room, &s->prompt, &s->typed, s->source.tokenizer,
                             s->loaded.checkpoint.shape.T);
}

/* What of the prompt is shown: not the token that a text begins with if nothing else is said. */
static dt_span shown_prompt(const sampling *s) {
    const dt_text *prompt = &s->prompt;
    if (s->typed.length == 0) return (dt_span){"", 0};
    const bool begun = prompt->bytes[0] == '\n' && s->typed.text[0] != '\n';
    return (dt_span){prompt->bytes + begun, prompt->length - begun};
}

/* ---- one text ---- */

static dt_status print(sampling *s) {
    dt_text *text = &s->written;
    if (text->length == 0) return DT_OK;
    if (isatty(STDOUT_FILENO)) dt_utf8_make_printable(text->bytes, "\n\t");
    s->line_ended = text->bytes[strlen(text->bytes) - 1] == '\n';
    DT_REQUIRE(fputs(text->bytes, stdout) >= 0 && fflush(stdout) == 0, DT_ERR_IO,
               "standard output cannot be written");
    dt_text_clear(text);
    return DT_OK;
}

static dt_status take(void *context, const char *bytes, size_t count, bool *stop) {
    sampling *s = context;
    *stop = dt_signals_stop() != 0;
    DT_TRY(dt_pieces_append(&s->written, &s->pieces, bytes, count));
    return s->options->json ? DT_OK : print(s);
}

static dt_status print_json(sampling *s, uint32_t number, size_t tokens, bool ended) {
    printf("{\"checkpoint\":");
    dt_json_print_text(s->options->target);
    printf(",\"step\":%lld,\"seed\":%lld,\"sample\":%u,\"prompt\":",
           (long long)s->loaded.checkpoint.state.step, (long long)s->options->seed, number);
    dt_json_print_text(shown_prompt(s).at);
    printf(",\"text\":");
    dt_json_print_text(s->written.bytes ? s->written.bytes : "");
    printf(",\"tokens\":%zu,\"ended\":%s}\n", tokens, ended ? "true" : "false");
    dt_text_clear(&s->written);
    DT_REQUIRE(fflush(stdout) == 0, DT_ERR_IO, "standard output cannot be written");
    return DT_OK;
}

static dt_status print_begin(sampling *s, uint32_t number) {
    const dt_span prompt = shown_prompt(s);
    if (number > 0 && !s->source.kind->end) DT_TRY(dt_text_append(&s->written, "---\n", 4));
    DT_TRY(dt_text_append(&s->written, prompt.at, prompt.count));
    s->line_ended = false;
    return print(s);
}

static dt_status print_end(sampling *s) {
    if (!s->line_ended) DT_TRY(dt_text_append(&s->written, "\n", 1));
    return print(s);
}

static dt_status sample_one(sampling *s, uint32_t number) {
    const sample_options *o = s->options;
    const dt_sample_request request = {.drawing = {.temperature = o->temperature,
                                                   .top_k = (size_t)o->top_k,
                                                   .top_p = o->top_p,
                                                   .seed = (uint64_t)o->seed,
                                                   .text = number},
                                       .tokens = (size_t)o->tokens,
                                       .end = dt_source_end(&s->source),
                                       .slides = !s->source.kind->end};
    size_t tokens;
    bool ended;
    if (!o->json) DT_TRY(print_begin(s, number));
    DT_TRY(dt_sample(&tokens, &ended, s->generator, &request, &s->prompt, s->source.tokenizer, take,
                     s));
    dt_pieces_end(&s->pieces);
    return o->json ? print_json(s, number, tokens, ended) : print_end(s);
}

static dt_status run(dt_session *session, const dt_overrides *given, const void *own) {
    sampling s = {.options = own};
    dt_status status;
    DT_TRY_DONE(dt_session_open_device_given(session, given));
    DT_TRY_DONE(dt_loaded_open(&s.loaded, session, given, s.options->target, 1));
    s.source = dt_source_for_asking(&s.loaded.checkpoint.config, s.loaded.checkpoint.tokenizer);
    DT_TRY_DONE(find_prompt(&s));
    DT_TRY_DONE(dt_generator_create(&s.generator, s.loaded.model, 1));
    dt_signals_catch();
    for (uint32_t i = 0; i < s.options->count && !dt_signals_stop(); i++)
        DT_TRY_DONE(sample_one(&s, i));
    if (dt_signals_stop()) {
        dt_log_warn("stopped by %s", dt_signals_name(dt_signals_stop()));
        status = DT_ERR_STOPPED;
    }
done:
    dt_text_destroy(&s.input);
    dt_text_destroy(&s.prompt);
    dt_text_destroy(&s.written);
    dt_generator_destroy(&s.generator);
    dt_loaded_close(&s.loaded, session);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(sample_options, target), "CHECKPOINT", NULL, NULL},
    {ARGUMENT, offsetof(sample_options, prompt), "PROMPT", NULL, NULL},
    {OPTION_REAL, offsetof(sample_options, temperature), "temperature", "X",
     "below 1 likely tokens become likelier; 0: always the likeliest one"},
    {OPTION_COUNT, offsetof(sample_options, top_k), "top-k", "N",
     "only the N likeliest tokens; 0: all"},
    {OPTION_REAL, offsetof(sample_options, top_p), "top-p", "X",
     "only the likeliest tokens whose probabilities add up to X, at most 1"},
    {OPTION_COUNT, offsetof(sample_options, seed), "seed", "N",
     "what the random numbers start from: the same seed, the same texts"},
    {OPTION_COUNT, offsetof(sample_options, tokens), "tokens", "N", "most tokens of a text"},
    {OPTION_COUNT, offsetof(sample_options, count), "count", "N", "how many texts"},
    {OPTION_FLAG, offsetof(sample_options, json), "json", NULL, "print JSON, one line a text"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level", "backend", "precision", "sharpness"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

static dt_status check(const void *own) {
    const sample_options *o = own;
    DT_REQUIRE(o->top_p > 0 && o->top_p <= 1, DT_ERR_ARG,
               "--top-p %g: a share of the probability is above 0, and at most 1", o->top_p);
    DT_REQUIRE(o->count <= UINT32_MAX, DT_ERR_ARG, "--count %lld: %lld texts are the most",
               (long long)o->count, (long long)UINT32_MAX);
    return command_check_target(o->target);
}

const command SAMPLE = {
    .name = "sample",
    .usage = "CHECKPOINT|RUN [PROMPT]",
    .help = "Let a model write: tokens are drawn by their probability, and printed one by one with "
            "what they go on with. PROMPT - or none reads it from standard input, if that is a "
            "file or a pipe; otherwise a text begins as those that the model has learned."
            "\vA text of running text ends after --tokens, which may be more than the context: "
            "when that is full, its last half is kept. Other texts end where the model ends them. "
            "Bytes that are no UTF-8 are printed as U+FFFD. Exit code 75 if a signal stopped it.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(sample_options),
    .initial =
        &(const sample_options){
            .temperature = DT_USUAL_TEMPERATURE, .top_p = 1, .seed = 1, .tokens = 256, .count = 1},
    .check = check,
    .run = run,
};
