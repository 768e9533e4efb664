/* Fuzzes the command line: one word a line, for commands that have every kind of option. */
#include "fuzz.h"

#include <string.h>

#include "commands.h"
#include "dtrain/data/split.h"
#include "options.h"

typedef struct {
    const char *target, *later;
    command_words rest;
    bool flag;
    const char *path, *text;
    int64_t count;
    dt_split split;
} fuzz_own;

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(fuzz_own, target), "CHECKPOINT", NULL, NULL},
    {OPTION_FLAG, offsetof(fuzz_own, flag), "json", NULL, "a flag"},
    {OPTION_PATH, offsetof(fuzz_own, path), "resume", "FILE", "a path"},
    {OPTION_TEXT, offsetof(fuzz_own, text), "quant", "TYPE", "a text"},
    {OPTION_COUNT, offsetof(fuzz_own, count), "count", "N", "a number"},
    {OPTION_SPLIT, offsetof(fuzz_own, split), "split", "NAME", "a split"},
    {ARGUMENT, offsetof(fuzz_own, later), "LATER", NULL, NULL},
    {ARGUMENTS, offsetof(fuzz_own, rest), "EXPRESSION", NULL, NULL},
};
enum { REST = sizeof OPTIONS / sizeof *OPTIONS - 1 };

static bool knows(const dt_setting *setting) {
    (void)setting;
    return true;
}

static dt_status check(const void *own) {
    return command_check_target(((const fuzz_own *)own)->target);
}

static const command PLAIN = {
    .name = "train", .usage = "", .help = "", .knows = knows, .reads_config = true};
static const command ALL = {.name = "ask",
                            .usage = "",
                            .help = "",
                            .option = OPTIONS,
                            .options = REST + 1,
                            .knows = knows,
                            .own_size = sizeof(fuzz_own),
                            .check = check};
static const command TWO = {.name = "verify",
                            .usage = "",
                            .help = "",
                            .option = OPTIONS,
                            .options = REST,
                            .knows = knows,
                            .own_size = sizeof(fuzz_own)};
const command *const COMMANDS[] = {&PLAIN, &ALL, &TWO};
const size_t COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS;

static void check_own(const command_line *line, int words) {
    const fuzz_own *own = line->own;
    MUST(line->command != &ALL || own->target);
    MUST(own->count >= 0);
    MUST(!own->path || own->path[0] != '~' || !strchr(own->path, '/'));
    MUST((int)own->split >= 0 && own->split < DT_SPLITS);
    MUST(own->target || !own->later);
    MUST(own->later || own->rest.count == 0);
    MUST(own->rest.count <= (size_t)words);
    for (size_t i = 0; i < own->rest.count; i++) MUST(own->rest.word[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { WORDS_MAX = 64 };
    char *text = fuzz_text(data, size), name[] = "dtrain";
    char *word[WORDS_MAX + 2] = {name}, *rest = NULL;
    int words = 1;
    for (char *next = strtok_r(text, "\n", &rest); next && words <= WORDS_MAX;
         next = strtok_r(NULL, "\n", &rest)) {
        word[words++] = next;
    }
    command_line line;
    const dt_status status = options_parse(&line, words, word);
    MUST(status == DT_OK || status == DT_ERR_ARG);
    MUST((status == DT_OK) == (line.wrong[0] == '\0'));
    MUST(line.arguments < (size_t)words);
    if (status != DT_OK) {
        options_explain(&line);
    } else if (line.asks != ASKS_NOTHING) {
        MUST(options_help(&line) == DT_OK);
    } else {
        if (line.command != &PLAIN) check_own(&line, words);
        line.given.config_file = NULL; /* tested by fuzz_config */
        dt_config config;
        dt_config_defaults(&config);
        const dt_status applied = dt_overrides_apply(&config, &line.given);
        MUST(applied == DT_OK || applied == DT_ERR_ARG);
        if (applied == DT_OK) dt_config_check(&config);
    }
    options_destroy(&line);
    free(text);
    return 0;
}
