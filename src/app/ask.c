/* The ask command: a trained model calculates what people type, or goes on with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/log.h"
#include "dtrain/data/data.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    command_words expressions;
    bool show_work;
} ask_options;

typedef struct {
    dt_loaded_model loaded;
    dt_generator *generator;
    bool show_work;
} asking;

/* Whom an answer is for: who asked in words gets words from a model that was taught them. */
static void print_answer(const char *answer, const dt_problem *problem, bool in_words,
                         size_t phrasing) {
    char sentence[256];
    dt_chat_sentence(sentence, sizeof sentence, answer, problem->operation, phrasing);
    printf("%s\n", in_words ? sentence : answer);
}

/* What a model of lines of text sees of a prompt: those that know the tab answer after it, and
 * others go on with a text from its beginning. */
static dt_status write_prompt(char prompt[DT_TEXT_MAX], const char *typed,
                              const dt_tokenizer *tokenizer, size_t context) {
    bool answers = false;
    for (size_t i = 0; i < dt_tokenizer_size(tokenizer) && !answers; i++)
        answers = strcmp(dt_tokenizer_token(tokenizer, (int32_t)i), "\t") == 0;
    int32_t id[DT_TEXT_MAX];
    size_t count = 0;
    const size_t length = strlen(typed);
    DT_REQUIRE(length + 2 < DT_TEXT_MAX, DT_ERR_ARG, "\"%.60s…\" is too long for the model", typed);
    snprintf(prompt, DT_TEXT_MAX, "%s%s%s", answers ? "" : "\n", typed, answers ? "\t" : "");
    DT_TRY(dt_tokenizer_encode(id, DT_TEXT_MAX, &count, tokenizer, prompt));
    DT_REQUIRE(count<context, DT_ERR_ARG,
                     "\"%.60s%s\" has %zu tokens, and the model reads and writes %zu in all; ask "
                     "something shorter",
                     typed, length> 60
                   ? "…"
                   : "",
               count, context);
    return DT_OK;
}

static dt_status continue_one(asking *a, const char *typed) {
    const dt_checkpoint *c = &a->loaded.checkpoint;
    char prompt[DT_TEXT_MAX], produced[1][DT_TEXT_MAX];
    DT_TRY(write_prompt(prompt, typed, c->tokenizer, c->shape.T));
    DT_TRY(dt_generator_run(a->generator, produced, &(const char *){prompt}, 1, c->tokenizer));
    printf("%s\n", produced[0]);
    return DT_OK;
}

/* One expression to one answer on standard output. */
static dt_status answer_one(asking *a, const char *expression) {
    if (a->loaded.checkpoint.config.train_file[0]) return continue_one(a, expression);
    const dt_config *config = &a->loaded.checkpoint.config;
    dt_problem problem;
    size_t phrasing = 0;
    const bool in_words = dt_chat_read(&problem, &phrasing, expression);
    if (!in_words) DT_TRY(dt_problem_parse(&problem, expression));
    DT_TRY(dt_problem_in_domain(&problem, config));
    char prompt[DT_TEXT_MAX], produced[1][DT_TEXT_MAX], answer[64];
    size_t given;
    DT_TRY(dt_format_write_as(prompt, sizeof prompt, &given, &problem, (dt_format)config->format,
                              phrasing));
    prompt[given] = '\0';
    DT_TRY(dt_generator_run(a->generator, produced, &(const char *){prompt}, 1,
                            a->loaded.checkpoint.tokenizer));
    if (a->show_work) {
        char working[4 * DT_TEXT_MAX];
        dt_format_working(working, sizeof working, produced[0], &problem,
                          (dt_format)config->format);
        fputs(working, stdout);
        const size_t length = strlen(working);
        if (length && working[length - 1] != '\n') putchar('\n');
    }
    DT_REQUIRE(dt_format_answer(answer, sizeof answer, produced[0], &problem,
                                (dt_format)config->format) == DT_OK,
               DT_ERR_DATA,
               "%s: the model wrote \"%s\", which is no answer; it needs more training", expression,
               produced[0]);
    print_answer(answer, &problem, in_words && config->format == DT_FORMAT_CHAT, phrasing);
    return DT_OK;
}

/* A line that is no problem is reported on standard error; its answer is an empty line, so that
 * answers stay beside questions. */
static dt_status answer_lines(asking *a) {
    const bool talks = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    char *text = NULL;
    size_t capacity = 0;
    int64_t number = 0;
    dt_status first_error = DT_OK;
    if (talks) {
        printf("Type %s; an empty line or Ctrl-D ends.\n",
               a->loaded.checkpoint.config.train_file[0]
                   ? "a prompt, or how a text begins"
                   : "a problem such as 273*274, 2060/71 or What is 12 plus 34?");
    }
    for (;;) {
        if (talks) {
            printf("> ");
            fflush(stdout);
        }
        ssize_t length = getline(&text, &capacity, stdin);
        if (length < 0) break;
        number++;
        while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
            text[--length] = '\0';
        if (length == 0) {
            if (talks) break;
            putchar('\n');
            continue;
        }
        const dt_status status = answer_one(a, text);
        if (status == DT_OK) {
            fflush(stdout);
            continue;
        }
        if (talks) {
            printf("%s\n", dt_error_text());
            continue;
        }
        putchar('\n');
        dt_log_error("line %lld: %s", (long long)number, dt_error_text());
        if (first_error == DT_OK) first_error = status;
    }
    if (talks) putchar('\n');
    free(text);
    DT_REQUIRE(first_error == DT_OK, first_error, "some lines have no answer");
    return DT_OK;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const ask_options *options = own;
    asking a = {.show_work = options->show_work};
    dt_status status;
    DT_TRY_DONE(dt_session_open_device_given(s, given));
    DT_TRY_DONE(dt_loaded_open(&a.loaded, s, options->target, 1));
    DT_TRY_DONE(dt_generator_create(&a.generator, a.loaded.model, 1));
    if (!options->expressions.count) DT_TRY_DONE(answer_lines(&a));
    for (size_t i = 0; i < options->expressions.count; i++)
        DT_TRY_DONE(answer_one(&a, options->expressions.word[i]));
done:
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
    static const char *const known[] = {"log-level", "backend"};
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
