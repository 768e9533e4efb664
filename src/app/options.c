/* The command line: one parser whose options are the table of settings and a few actions. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

const char *argp_program_version = "dtrain " DTRAIN_VERSION;

enum {
    KEY_HELP = '?',
    KEY_VERSION = 'V',
    KEY_SETTING = 0x1000, /* + its index */
    KEY_CONFIG = 0x100,
    KEY_RESUME,
    KEY_INIT_FROM,
    KEY_FRESH,
    KEY_CHECK_GRADIENTS,
    KEY_JSON,
    KEY_SHOW_WORK,
    KEY_TSV,
    KEY_TOKENS,
    KEY_SPLIT,
    KEY_COUNT,
    KEY_FIRST,
    KEY_DUMP_LOGITS,
    KEY_EXHAUSTIVE,
    KEY_ERRORS,
    KEY_REPLAY,
    KEY_DEVICES,
    KEY_USAGE,
    KEY_OUTPUT,
    KEY_ASCII,
    KEY_GRID,
    KEYS_END,
};

enum {
    FOR_TRAIN = 1 << COMMAND_TRAIN,
    FOR_EVAL = 1 << COMMAND_EVAL,
    FOR_ASK = 1 << COMMAND_ASK,
    FOR_INFO = 1 << COMMAND_INFO,
    FOR_DATA = 1 << COMMAND_DATA,
    FOR_PLOT = 1 << COMMAND_PLOT,
    FOR_VERIFY = 1 << COMMAND_VERIFY,
    FOR_ALL = (1 << COMMANDS) - 1
};

/* An option that is no setting, and the commands that know it. */
typedef struct {
    struct argp_option option;
    unsigned commands;
} action;

static const action ACTIONS[] = {
    /* argp's own would come with hidden ones, such as --HANG. */
    {{"help", KEY_HELP, NULL, 0, "give this help list", -1}, FOR_ALL},
    {{"usage", KEY_USAGE, NULL, 0, "give a short usage message", -1}, FOR_ALL},
    {{"version", KEY_VERSION, NULL, 0, "print the version of dtrain", -1}, FOR_ALL},
    {{"config", KEY_CONFIG, "FILE", 0, "read settings from an ini file; the command line wins", 1},
     FOR_TRAIN | FOR_DATA},
    {{"resume", KEY_RESUME, "FILE", 0,
      "go on from this checkpoint, rather than from the newest of --out", 1},
     FOR_TRAIN},
    {{"init-from", KEY_INIT_FROM, "FILE", 0, "begin a new run with the weights of this checkpoint",
      1},
     FOR_TRAIN},
    {{"fresh", KEY_FRESH, NULL, 0, "start over; a folder that is there is renamed, never deleted",
      1},
     FOR_TRAIN},
    {{"check-gradients", KEY_CHECK_GRADIENTS, NULL, 0,
      "compare the gradient of each parameter with finite differences, and end", 1},
     FOR_TRAIN},
    {{"json", KEY_JSON, NULL, 0, "print JSON; of training one line, at its end", 1},
     FOR_TRAIN | FOR_EVAL | FOR_INFO | FOR_DATA | FOR_VERIFY},
    {{"show-work", KEY_SHOW_WORK, NULL, 0, "print the working, one step a line, before the answer",
      1},
     FOR_ASK},
    {{"tsv", KEY_TSV, NULL, 0, "print a table: columns separated by tabs", 1}, FOR_DATA},
    {{"tokens", KEY_TOKENS, NULL, 0, "print the tokens, too", 1}, FOR_DATA},
    {{"split", KEY_SPLIT, "NAME", 0, "train, validation or test", 1},
     FOR_EVAL | FOR_DATA | FOR_PLOT},
    {{"count", KEY_COUNT, "N", 0, "how many problems", 1}, FOR_EVAL | FOR_DATA | FOR_PLOT},
    {{"first", KEY_FIRST, "N", 0, "number of the first problem", 1}, FOR_DATA},
    {{"dump-logits", KEY_DUMP_LOGITS, "FILE", 0,
      "write the logits of the first problems as JSON, for checking by other programs", 1},
     FOR_EVAL},
    {{"exhaustive", KEY_EXHAUSTIVE, NULL, 0,
      "every problem of the domain the model was trained on, or of --ops alone, of all splits", 1},
     FOR_EVAL},
    {{"errors", KEY_ERRORS, "FILE", 0,
      "list each wrong answer in this file: a table, separated by tabs, with a heading", 1},
     FOR_EVAL},
    {{"output", KEY_OUTPUT, "FILE", 0,
      "the picture, .svg or .png; without it RUN/plot.svg, or beside the checkpoint", 1},
     FOR_PLOT},
    {{"ascii", KEY_ASCII, NULL, 0, "draw in the terminal, as wide as it is; needs no gnuplot", 1},
     FOR_PLOT},
    {{"devices", KEY_DEVICES, NULL, 0,
      "list what --backend can run on, with memory and driver; needs no checkpoint", 1},
     FOR_INFO},
    {{"grid", KEY_GRID, NULL, 0,
      "a heat map of wrong answers by lengths, carries, borrows and digits of quotients: of what "
      "eval --json has printed, or of a model, which is evaluated for it (on --count problems of "
      "--split, under mpirun or not)",
      1},
     FOR_PLOT},
    {{"replay", KEY_REPLAY, NULL, 0,
      "train in memory from the first checkpoint to the second, and compare every byte", 1},
     FOR_VERIFY},
};
enum { ACTION_COUNT = sizeof ACTIONS / sizeof *ACTIONS };

/* Which settings a command knows, by section. */
static bool knows(command_kind command, const dt_setting *setting) {
    if (command == COMMAND_TRAIN) return true;
    if (command == COMMAND_DATA)
        return strcmp(setting->section, "data") == 0 || strcmp(setting->name, "seed") == 0;
    if (strcmp(setting->name, "log-level") == 0) return true;
    if (strcmp(setting->name, "backend") == 0) return command != COMMAND_PLOT;
    if (command == COMMAND_VERIFY)
        return strcmp(setting->name, "ranks-per-node") == 0 ||
               strcmp(setting->name, "stall-timeout") == 0 ||
               strcmp(setting->name, "train-file") == 0;
    return command == COMMAND_EVAL &&
           (strcmp(setting->name, "ranks-per-node") == 0 || strcmp(setting->name, "seed") == 0 ||
            strcmp(setting->name, "ops") == 0 || strcmp(setting->name, "train-file") == 0 ||
            strncmp(setting->name, "eval-d", strlen("eval-d")) == 0);
}

typedef struct {
    const char *name;
    const char *arguments;
    const char *help; /* before the options, \v, after them */
} command_help;

static const command_help HELP[COMMANDS] = {
    [COMMAND_TRAIN] =
        {"train", "",
         "Train a small Transformer on arithmetic, or on lines of text, alone or under mpirun, the "
         "same bits on any number of ranks."
         "\vWithout options it trains the default job in runs/default, and goes on "
         "where that folder stands. "
         "Other commands: dtrain eval, ask, info, data, plot, verify; each has its own --help."},
    [COMMAND_EVAL] =
        {"eval", "CHECKPOINT|RUN",
         "Measure a trained model on problems it has never seen, or on all of its "
         "domain: exact answers, by operation and length of the operands, by carries "
         "of sums, borrows of differences and digits of quotients."
         "\vAn answer is right if greedy generation gives it exactly. A wrong one is due "
         "to a wrong step, if the text departs from the right one within the working "
         "(in the part of the step that is named), or to a wrong copy, if the working "
         "is right to its end and the answer after it is not. Exit code 75 if a signal "
         "stopped it."},
    [COMMAND_ASK] =
        {"ask", "CHECKPOINT|RUN [EXPRESSION...]",
         "Let a trained model calculate: 273*274, 2060/71, or \"What is 12 plus 34?\". A "
         "model of lines of text answers a prompt, or goes on with a text. Without an "
         "expression it reads them from standard input, "
         "one a line, and prints one answer a line."},
    [COMMAND_INFO] = {"info", "CHECKPOINT|RUN\n--devices",
                      "Show what a checkpoint holds: model, settings, progress; or which devices "
                      "this machine has."},
    [COMMAND_DATA] =
        {"data", "",
         "Print problems, or lines of a file, as people see them and as the model does."},
    [COMMAND_PLOT] =
        {"plot", "CHECKPOINT|RUN\n--grid CHECKPOINT|RUN|EVAL.json",
         "Draw how a run went: loss, exact match, learning rate and gradient norm over "
         "its steps, and where it was started again. Pictures are drawn by gnuplot."},
    [COMMAND_VERIFY] = {"verify", "CHECKPOINT|RUN\n--replay CHECKPOINT LATER-CHECKPOINT",
                        "Find out whether a checkpoint, or every checkpoint of a run, is whole, "
                        "and name all that is wrong."
                        "\vWith --replay, on any number of ranks (mpirun), the training between "
                        "two checkpoints of a run is "
                        "done once more in memory: the second must come out to the byte. Nothing "
                        "is written. Exit code 65 if anything is wrong."},
};

static error_t parse_count(int64_t *value, const char *text, const char *option,
                           struct argp_state *state) {
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (errno || *end || end == text || number < 0) {
        argp_error(state, "%s: \"%s\" is not a whole number from 0 on", option, text);
        return EINVAL;
    }
    *value = number;
    return 0;
}

static error_t parse_split(dt_split *split, const char *text, struct argp_state *state) {
    for (int i = 0; i < DT_SPLITS; i++) {
        if (strcmp(text, dt_split_name((dt_split)i)) == 0) {
            *split = (dt_split)i;
            return 0;
        }
    }
    argp_error(state, "--split: \"%s\" is none of train, validation, test", text);
    return EINVAL;
}

static error_t take_argument(app_options *options, char *text, struct argp_state *state) {
    const bool has_target = options->command != COMMAND_TRAIN && options->command != COMMAND_DATA;
    if (has_target && !options->target) {
        options->target = text;
        return 0;
    }
    if (options->command == COMMAND_VERIFY && !options->later) {
        options->later = text;
        return 0;
    }
    if (options->command == COMMAND_ASK) {
        options->expression[options->expressions++] = text;
        return 0;
    }
    argp_error(state, "\"%s\" is neither a command nor an option%s", text,
               options->command == COMMAND_TRAIN
                   ? "; the commands are train, eval, ask, info, data, plot, verify"
                   : "");
    return EINVAL;
}

static error_t parse_one(int key, char *text, struct argp_state *state) {
    app_options *options = state->input;
    switch (key) {
    case KEY_HELP: argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); return 0;
    case KEY_USAGE:
        argp_state_help(state, state->out_stream, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
        return 0;
    case KEY_VERSION:
        fprintf(state->out_stream, "%s\n", argp_program_version);
        argp_state_help(state, state->out_stream, ARGP_HELP_EXIT_OK);
        return 0;
    case KEY_CONFIG: options->given.config_file = text; return 0;
    case KEY_RESUME: options->resume = text; return 0;
    case KEY_INIT_FROM: options->init_from = text; return 0;
    case KEY_FRESH: options->fresh = true; return 0;
    case KEY_CHECK_GRADIENTS: options->check_gradients = true; return 0;
    case KEY_JSON: options->json = true; return 0;
    case KEY_SHOW_WORK: options->show_work = true; return 0;
    case KEY_TSV: options->tsv = true; return 0;
    case KEY_TOKENS: options->tokens = true; return 0;
    case KEY_SPLIT: return parse_split(&options->split, text, state);
    case KEY_COUNT: return parse_count(&options->count, text, "--count", state);
    case KEY_FIRST: return parse_count(&options->first, text, "--first", state);
    case KEY_DUMP_LOGITS: options->dump_logits = text; return 0;
    case KEY_EXHAUSTIVE: options->exhaustive = true; return 0;
    case KEY_ERRORS: options->errors = text; return 0;
    case KEY_OUTPUT: options->output = text; return 0;
    case KEY_ASCII: options->ascii = true; return 0;
    case KEY_GRID: options->grid = true; return 0;
    case KEY_REPLAY: options->replay = true; return 0;
    case KEY_DEVICES: options->devices = true; return 0;
    case ARGP_KEY_ARG: return take_argument(options, text, state);
    case ARGP_KEY_END:
        if (!options->target && !options->devices && options->command != COMMAND_TRAIN &&
            options->command != COMMAND_DATA) {
            argp_error(state,
                       "which checkpoint? Give a file or a run folder, such as runs/default");
            return EINVAL;
        }
        if (options->replay != (options->later != NULL)) {
            argp_error(state, "--replay takes two checkpoints, and without it verify takes one");
            return EINVAL;
        }
        return 0;
    default: break;
    }
    if (key >= KEY_SETTING && key < KEY_SETTING + (int)dt_setting_count()) {
        options->given.setting[key - KEY_SETTING] = text;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

/* The options of one command; sections become groups of --help. Ends with a zero entry. */
static void list_options(struct argp_option *list, command_kind command) {
    size_t n = 0;
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (ACTIONS[i].commands & (1u << command)) list[n++] = ACTIONS[i].option;
    }
    int group = 1;
    const char *section = "";
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (!knows(command, setting)) continue;
        if (strcmp(section, setting->section) != 0) {
            section = setting->section;
            list[n++] = (struct argp_option){.doc = section, .group = ++group};
        }
        list[n++] = (struct argp_option){.name = setting->name,
                                         .key = KEY_SETTING + (int)i,
                                         .arg = setting->value,
                                         .doc = setting->help,
                                         .group = group};
    }
    list[n] = (struct argp_option){0};
}

static command_kind command_of(int argc, char **argv, bool *named) {
    for (int i = 0; argc > 1 && i < COMMANDS; i++) {
        if (strcmp(argv[1], HELP[i].name) == 0) {
            *named = true;
            return (command_kind)i;
        }
    }
    *named = false;
    return COMMAND_TRAIN;
}

/* Whether a long option stands there; it may be shortened. */
static bool has_word(int argc, char **argv, const char *word) {
    for (int i = 1; i < argc; i++) {
        const size_t length = strlen(argv[i]);
        if (length > strlen("--") && strncmp(argv[i], word, length) == 0) return true;
    }
    return false;
}

/* Help is for one reader: no ranks are needed, and the parser may exit. */
static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-?") == 0 || strcmp(argv[i], "-V") == 0) return true;
    }
    return has_word(argc, argv, "--help") || has_word(argc, argv, "--usage") ||
           has_word(argc, argv, "--version");
}

bool options_need_ranks(int argc, char **argv) {
    bool named;
    const command_kind command = command_of(argc, argv, &named);
    return !asks_for_help(argc, argv) &&
           (command == COMMAND_TRAIN || command == COMMAND_EVAL ||
            (command == COMMAND_VERIFY && has_word(argc, argv, "--replay")) ||
            (command == COMMAND_PLOT && has_word(argc, argv, "--grid")));
}

dt_status options_parse(app_options *options, int argc, char **argv) {
    bool named;
    *options =
        (app_options){.command = command_of(argc, argv, &named), .split = DT_TEST, .count = -1};
    if (options->command == COMMAND_DATA) options->split = DT_TRAIN;
    DT_TRY(dt_memory_alloc(&options->given.setting, dt_setting_count(),
                           sizeof *options->given.setting, "options"));
    DT_TRY(dt_memory_alloc(&options->expression, (size_t)argc, sizeof *options->expression,
                           "options"));
    struct argp_option *list;
    DT_TRY(
        dt_memory_alloc(&list, 2 * dt_setting_count() + ACTION_COUNT + 1, sizeof *list, "options"));
    list_options(list, options->command);
    const struct argp parser = {.options = list,
                                .parser = parse_one,
                                .args_doc = HELP[options->command].arguments,
                                .doc = HELP[options->command].help};
    char name[32];
    snprintf(name, sizeof name, "dtrain%s%s", named ? " " : "",
             named ? HELP[options->command].name : "");
    const int skip = named ? 1 : 0;
    char *own_name = argv[skip];
    argv[skip] = name;
    const unsigned flags = ARGP_NO_HELP | (asks_for_help(argc, argv) ? 0 : ARGP_NO_EXIT);
    const error_t error = argp_parse(&parser, argc - skip, argv + skip, flags, NULL, options);
    argv[skip] = own_name;
    dt_memory_free(&list);
    if (error) {
        dt_error_clear();
        return error == ENOMEM ? DT_ERR_MEMORY : DT_ERR_ARG;
    }
    return DT_OK;
}

void options_destroy(app_options *options) {
    dt_memory_free(&options->given.setting);
    dt_memory_free(&options->expression);
}
