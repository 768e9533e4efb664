/* The command line: one parser for the settings and the options of each command. */
#include "options.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/nearest.h"
#include "dtrain/core/path.h"
#include "dtrain/data/split.h"

enum { LINE_MAX_BYTES = 1200, NAME_MAX_BYTES = 64 };

/* ---- what a command knows ---- */

typedef enum { TO_HELP, TO_USAGE, TO_VERSION, TO_CONFIG, TO_OWN, TO_SETTING } destination;

typedef struct {
    const char *name, *value, *help;
    const char *implied; /* the value that stands for none; NULL: it needs one, if it has any */
    char letter;         /* the short name, or 0 */
    int group;
    const char *section; /* the heading of its group */
    destination to;
    size_t index; /* among the command's options, or the settings */
} known_option;

static const known_option GENERAL[] = {
    {"help", NULL, "give this help list", NULL, 'h', -1, NULL, TO_HELP, 0},
    {"usage", NULL, "give a short usage message", NULL, 0, -1, NULL, TO_USAGE, 0},
    {"version", NULL, "print the version of dtrain", NULL, 'V', -1, NULL, TO_VERSION, 0},
};
static const known_option CONFIG = {
    "config",  "FILE", "read settings from an ini file; the command line wins", NULL, 0, 1, NULL,
    TO_CONFIG, 0};
enum { GENERALS = sizeof GENERAL / sizeof *GENERAL };

static bool is_argument(const command_option *option) {
    return option->kind == ARGUMENT || option->kind == ARGUMENTS;
}

/* All options of a command; free with dt_memory_free. */
static dt_status list_known(known_option **list, size_t *count, const command *command) {
    size_t n = 0;
    known_option *known;
    DT_TRY(dt_memory_alloc(&known, GENERALS + 1 + command->options + dt_setting_count(),
                           sizeof *known, "options"));
    for (size_t i = 0; i < GENERALS; i++) known[n++] = GENERAL[i];
    if (command->reads_config) known[n++] = CONFIG;
    for (size_t i = 0; i < command->options; i++) {
        const command_option *o = &command->option[i];
        if (!is_argument(o))
            known[n++] = (known_option){o->name, o->value, o->help, NULL, 0, 1, NULL, TO_OWN, i};
    }
    int group = 1;
    const char *section = "";
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *o = dt_setting_at(i);
        if (!command->knows(o)) continue;
        if (strcmp(section, o->section) != 0) group++;
        section = o->section;
        known[n++] = (known_option){o->name, o->value, o->help,    o->implied, 0,
                                    group,   section,  TO_SETTING, i};
    }
    *list = known;
    *count = n;
    return DT_OK;
}

/* ---- values ---- */

static dt_status read_count(int64_t *value, const char *text, const char *option) {
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    DT_REQUIRE(!errno && !*end && end != text && number >= 0, DT_ERR_ARG,
               "--%s: \"%s\" is not a whole number from 0 on", option, text);
    *value = number;
    return DT_OK;
}

static dt_status read_real(double *value, const char *text, const char *option) {
    char *end;
    const double number = strtod(text, &end);
    DT_REQUIRE(!*end && end != text && isfinite(number) && number >= 0, DT_ERR_ARG,
               "--%s: \"%s\" is not a number from 0 on", option, text);
    *value = number;
    return DT_OK;
}

static dt_status read_split(dt_split *split, const char *text, const char *option) {
    for (int i = 0; i < DT_SPLITS; i++) {
        if (strcmp(text, dt_split_name((dt_split)i)) != 0) continue;
        *split = (dt_split)i;
        return DT_OK;
    }
    DT_RAISE(DT_ERR_ARG, "--%s: \"%s\" is none of train, validation, test", option, text);
}

/* Keeps the memory of the name in the command line. */
static dt_status read_path(const char **path, command_line *line, const char *text,
                           const char *option) {
    char where[NAME_MAX_BYTES], *room;
    snprintf(where, sizeof where, "--%s", option);
    DT_TRY(dt_memory_alloc(&room, DT_PATH_MAX, 1, "options"));
    line->path[line->paths++] = room;
    *path = room;
    return dt_path_expand(room, DT_PATH_MAX, text, where);
}

static dt_status take_own(command_line *line, const command_option *option, const char *text) {
    void *to = (char *)line->own + option->offset;
    switch (option->kind) {
    case OPTION_FLAG: *(bool *)to = true; return DT_OK;
    case OPTION_PATH: return read_path(to, line, text, option->name);
    case OPTION_TEXT:
    case ARGUMENT: *(const char **)to = text; return DT_OK;
    case OPTION_COUNT: return read_count(to, text, option->name);
    case OPTION_REAL: return read_real(to, text, option->name);
    case OPTION_SPLIT: return read_split(to, text, option->name);
    case ARGUMENTS: break;
    }
    return DT_OK;
}

/* Paths that are given again are added. */
static dt_status take_setting(command_line *line, size_t index, const char *text) {
    const char **given = &line->given.setting[index];
    if (*given && text && dt_setting_at(index)->type == DT_SETTING_PATHS) {
        const size_t size = strlen(*given) + strlen(text) + 2;
        char *list;
        DT_TRY(dt_memory_alloc(&list, size, 1, "options"));
        line->path[line->paths++] = list;
        snprintf(list, size, "%s:%s", *given, text);
        text = list;
    }
    *given = text;
    return DT_OK;
}

static dt_status take_option(command_line *line, const known_option *option, const char *text) {
    switch (option->to) {
    case TO_HELP: line->asks = ASKS_HELP; return DT_OK;
    case TO_USAGE: line->asks = ASKS_USAGE; return DT_OK;
    case TO_VERSION: line->asks = ASKS_VERSION; return DT_OK;
    case TO_CONFIG: return read_path(&line->given.config_file, line, text, option->name);
    case TO_OWN: return take_own(line, &line->command->option[option->index], text);
    case TO_SETTING: return take_setting(line, option->index, text);
    }
    return DT_OK;
}

/* ---- words ---- */

static dt_status raise_unknown(const known_option *known, size_t count, const char *name,
                               size_t length) {
    char meant[NAME_MAX_BYTES];
    snprintf(meant, sizeof meant, "%.*s", (int)length, name);
    dt_nearest nearest = {.meant = meant};
    for (size_t i = 0; i < count; i++) dt_nearest_try(&nearest, known[i].name);
    DT_REQUIRE(nearest.nearest, DT_ERR_ARG, "unrecognized option '--%.*s'", (int)length, name);
    DT_RAISE(DT_ERR_ARG, "unrecognized option '--%.*s'; did you mean --%s?", (int)length, name,
             nearest.nearest);
}

/* The option of this name, which may be shortened as long as only one begins like that. */
static dt_status find_long(known_option *found, const known_option *known, size_t count,
                           const char *name, size_t length) {
    char possible[LINE_MAX_BYTES] = "";
    size_t used = 0, fitting = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(known[i].name, name, length) != 0) continue;
        *found = known[i];
        if (known[i].name[length] == '\0') return DT_OK;
        fitting++;
        const int written =
            snprintf(possible + used, sizeof possible - used, " '--%s'", known[i].name);
        used = dt_min_size(used + (size_t)written, sizeof possible - 1);
    }
    if (fitting == 0) return raise_unknown(known, count, name, length);
    DT_REQUIRE(fitting == 1, DT_ERR_ARG, "option '--%.*s' is ambiguous; possibilities:%s",
               (int)length, name, possible);
    return DT_OK;
}

/* The word at argv[*i]; its value may be the next one. */
static dt_status take_long(command_line *line, int *i, int argc, char **argv,
                           const known_option *known, size_t count) {
    const char *name = argv[*i] + strlen("--"), *text = strchr(name, '=');
    known_option option = {0};
    DT_TRY(find_long(&option, known, count, name, text ? (size_t)(text - name) : strlen(name)));
    if (text) text++;
    if (!option.value) {
        DT_REQUIRE(!text, DT_ERR_ARG, "option '--%s' doesn't allow an argument", option.name);
        return take_option(line, &option, NULL);
    }
    if (!text) text = option.implied;
    if (!text && *i + 1 < argc) text = argv[++*i];
    DT_REQUIRE(text, DT_ERR_ARG, "option '--%s' requires an argument", option.name);
    return take_option(line, &option, text);
}

/* "-h"; one dash before the name of a long option is a common slip. */
static dt_status take_letters(command_line *line, const char *letter, const known_option *known,
                              size_t count) {
    const size_t length = strcspn(letter, "=");
    for (size_t i = 0; length > 1 && i < count; i++) {
        DT_REQUIRE(strncmp(known[i].name, letter, length) != 0 || known[i].name[length], DT_ERR_ARG,
                   "'-%.*s' has one dash too few; did you mean --%s?", (int)length, letter, letter);
    }
    for (; *letter && line->asks == ASKS_NOTHING; letter++) {
        size_t i = 0;
        while (i < GENERALS && GENERAL[i].letter != *letter) i++;
        if (*letter == '?') i = 0;
        DT_REQUIRE(i < GENERALS, DT_ERR_ARG, "invalid option -- '%c'", *letter);
        DT_TRY(take_option(line, &GENERAL[i], NULL));
    }
    return DT_OK;
}

/* A negative number is no option. */
static bool is_option(const char *word) {
    return word[0] == '-' && word[1] != '\0' && !strchr("0123456789.(", word[1]);
}

/* Options count wherever they stand; the first that asks for help ends the search. */
static dt_status take_words(command_line *line, int argc, char **argv, const known_option *known,
                            size_t count) {
    bool options_end = false;
    for (int i = 1; i < argc && line->asks == ASKS_NOTHING; i++) {
        const char *word = argv[i];
        if (i == line->name_at) continue;
        if (options_end || !is_option(word)) {
            line->argument[line->arguments++] = word;
        } else if (strcmp(word, "--") == 0) {
            options_end = true;
        } else if (word[1] == '-') {
            DT_TRY(take_long(line, &i, argc, argv, known, count));
        } else {
            DT_TRY(take_letters(line, word + 1, known, count));
        }
    }
    return DT_OK;
}

static void list_commands(char *text, size_t size, const command *except) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < COMMAND_COUNT && used < size; i++) {
        if (COMMANDS[i] != except)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     COMMANDS[i]->name);
    }
}

static dt_status raise_no_command(const char *word) {
    char names[LINE_MAX_BYTES];
    dt_nearest nearest = {.meant = word};
    list_commands(names, sizeof names, NULL);
    for (size_t i = 0; i < COMMAND_COUNT; i++) dt_nearest_try(&nearest, COMMANDS[i]->name);
    DT_REQUIRE(!nearest.nearest, DT_ERR_ARG,
               "\"%s\" is neither a command nor an option; did you mean %s? The commands are %s",
               word, nearest.nearest, names);
    DT_RAISE(DT_ERR_ARG, "\"%s\" is neither a command nor an option; the commands are %s", word,
             names);
}

static dt_status take_arguments(command_line *line) {
    size_t taken = 0;
    for (size_t i = 0; i < line->command->options; i++) {
        const command_option *option = &line->command->option[i];
        if (option->kind == ARGUMENT && taken < line->arguments) {
            DT_TRY(take_own(line, option, line->argument[taken++]));
        } else if (option->kind == ARGUMENTS) {
            *(command_words *)((char *)line->own + option->offset) =
                (command_words){line->argument + taken, line->arguments - taken};
            taken = line->arguments;
        }
    }
    if (taken == line->arguments) return DT_OK;
    if (line->command == COMMANDS[0]) return raise_no_command(line->argument[taken]);
    DT_RAISE(DT_ERR_ARG, "\"%s\" is neither a command nor an option", line->argument[taken]);
}

/* ---- the command: the first word that is no option and no option's value ---- */

/* Whether the word is an option of any command; whether the next word is its value in one; and
 * whether there is none in one. */
static dt_status look_up(bool *is_known, bool *takes, bool *bare, const char *word) {
    const char *name = word + strlen("--");
    const size_t length = strcspn(word + 1, "=") - 1;
    *is_known = *takes = *bare = false;
    if (word[1] != '-') return DT_OK;
    for (size_t c = 0; c < COMMAND_COUNT; c++) {
        known_option *known;
        size_t count;
        DT_TRY(list_known(&known, &count, COMMANDS[c]));
        for (size_t i = 0; i < count; i++) {
            if (strncmp(known[i].name, name, length) != 0) continue;
            *is_known = true;
            const bool bare_one = !known[i].value || known[i].implied;
            *takes = *takes || (!bare_one && !name[length]);
            *bare = *bare || bare_one;
        }
        dt_memory_free(&known);
    }
    return DT_OK;
}

static const command *command_of(const char *word) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(word, COMMANDS[i]->name) == 0) return COMMANDS[i];
    }
    return NULL;
}

/* "help eval" is "eval --help". */
static dt_status choose_command(command_line *line, int argc, char **argv) {
    bool all_known = true;
    line->command = COMMANDS[0];
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_option(argv[i])) {
            bool is_known, takes, bare;
            DT_TRY(look_up(&is_known, &takes, &bare, argv[i]));
            all_known = all_known && is_known;
            i += takes && !(bare && i + 1 < argc && command_of(argv[i + 1]));
            continue;
        }
        const command *named = command_of(argv[i]);
        if (!named && strcmp(argv[i], "help") == 0 && line->asks == ASKS_NOTHING) {
            line->asks = ASKS_HELP;
            continue;
        }
        if (!named && line->asks == ASKS_HELP) return raise_no_command(argv[i]);
        if (!named) {
            /* Its own options would be wrong, too: the name is what is to be mended. */
            if (all_known) line->stray = argv[i];
            return DT_OK;
        }
        line->command = named;
        line->named = true;
        line->name_at = i;
        return DT_OK;
    }
    return DT_OK;
}

dt_status options_parse(command_line *line, int argc, char **argv) {
    known_option *known = NULL;
    size_t count = 0;
    *line = (command_line){0};
    dt_status status;
    DT_TRY_DONE(choose_command(line, argc, argv));
    if (line->asks != ASKS_NOTHING) goto done;
    const command *command = line->command;
    DT_TRY_DONE(dt_memory_alloc(&line->given.setting, dt_setting_count(),
                                sizeof *line->given.setting, "options"));
    DT_TRY_DONE(
        dt_memory_alloc(&line->argument, (size_t)argc + 1, sizeof *line->argument, "options"));
    DT_TRY_DONE(dt_memory_alloc(&line->path, (size_t)argc + 1, sizeof *line->path, "options"));
    DT_TRY_DONE(dt_memory_alloc(&line->own, 1, command->own_size + 1, "options"));
    if (command->initial) memcpy(line->own, command->initial, command->own_size);
    DT_TRY_DONE(list_known(&known, &count, command));
    status = take_words(line, argc, argv, known, count);
    if (status == DT_ERR_ARG && line->stray) status = raise_no_command(line->stray);
    if (status != DT_OK || line->asks != ASKS_NOTHING) goto done;
    DT_TRY_DONE(take_arguments(line));
    if (command->check) DT_TRY_DONE(command->check(line->own));
done:
    snprintf(line->wrong, sizeof line->wrong, "%s", status == DT_OK ? "" : dt_error_text());
    dt_memory_free(&known);
    return status;
}

void options_destroy(command_line *line) {
    for (size_t i = 0; i < line->paths; i++) dt_memory_free(&line->path[i]);
    dt_memory_free(&line->path);
    dt_memory_free(&line->own);
    dt_memory_free(&line->argument);
    dt_memory_free(&line->given.setting);
}

/* ---- help ---- */

static void print_name(char *name, size_t size, const command_line *line) {
    snprintf(name, size, "dtrain%s%s", line->named ? " " : "",
             line->named ? line->command->name : "");
}

/* What argp prints of a list of options; sections become groups. */
static dt_status print_help(const command_line *line, const known_option *known, size_t count,
                            unsigned flags) {
    struct argp_option *list;
    DT_TRY(dt_memory_alloc(&list, 2 * count + 2, sizeof *list, "options"));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const known_option *o = &known[i];
        if (o->section && (i == 0 || o->group != known[i - 1].group))
            list[n++] = (struct argp_option){.doc = o->section, .group = o->group};
        list[n++] = (struct argp_option){.name = o->name,
                                         .key = o->letter ? o->letter : 0x100 + (int)i,
                                         .arg = o->value,
                                         .flags = o->implied ? OPTION_ARG_OPTIONAL : 0,
                                         .doc = o->help,
                                         .group = o->group};
        if (o->to == TO_HELP)
            list[n++] = (struct argp_option){.key = '?', .flags = OPTION_ALIAS, .group = o->group};
    }
    char others[LINE_MAX_BYTES], help[4096], name[NAME_MAX_BYTES];
    list_commands(others, sizeof others, COMMANDS[0]);
    const bool first = line->command == COMMANDS[0];
    snprintf(help, sizeof help, "%s%s%s%s", line->command->help,
             first ? " Other commands: dtrain " : "", first ? others : "",
             first ? "; each has its own --help." : "");
    print_name(name, sizeof name, line);
    const struct argp parser = {.options = list, .args_doc = line->command->usage, .doc = help};
    argp_help(&parser, stdout, flags, name);
    dt_memory_free(&list);
    return DT_OK;
}

dt_status options_help(const command_line *line) {
    if (line->asks == ASKS_VERSION) {
        printf("dtrain %s\n", DTRAIN_VERSION);
        return DT_OK;
    }
    known_option *known;
    size_t count;
    DT_TRY(list_known(&known, &count, line->command));
    const dt_status status = print_help(
        line, known, count, line->asks == ASKS_USAGE ? ARGP_HELP_USAGE : ARGP_HELP_STD_HELP);
    dt_memory_free(&known);
    return status;
}

void options_explain(const command_line *line) {
    char name[NAME_MAX_BYTES];
    print_name(name, sizeof name, line);
    fprintf(stderr, "%s: %s\nTry `%s --help' or `%s --usage' for more information.\n", name,
            line->wrong, name, name);
}
