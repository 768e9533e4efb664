/* Fuzzes the command line: one word a line. */
#include "fuzz.h"

#include <string.h>

#include "app.h"

enum { WORDS_MAX = 64 };

/* Help ends the process, as it should. */
static bool ends(const char *word) {
    static const char *const HELP[] = {"--help", "--usage", "--version"};
    if (word[0] == '-' && word[1] != '-' && strpbrk(word, "?V")) return true;
    for (size_t i = 0; i < sizeof HELP / sizeof *HELP; i++) {
        if (strlen(word) > 2 && strncmp(word, HELP[i], strlen(word)) == 0) return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), name[] = "dtrain";
    char *word[WORDS_MAX + 2] = {name}, *rest = NULL;
    int words = 1;
    for (char *next = strtok_r(text, "\n", &rest); next && words <= WORDS_MAX;
         next = strtok_r(NULL, "\n", &rest)) {
        if (!ends(next)) word[words++] = next;
    }
    app_options options;
    options_need_ranks(words, word);
    const dt_status status = options_parse(&options, words, word);
    MUST(status == DT_OK || status == DT_ERR_ARG);
    if (status == DT_OK) {
        const bool needs =
            options.command != COMMAND_TRAIN && options.command != COMMAND_DATA && !options.devices;
        MUST(!needs || options.target);
        MUST(options.replay == (options.later != NULL));
        options.given.config_file = NULL; /* another target's subject */
        dt_config config;
        dt_config_defaults(&config);
        const dt_status applied = dt_overrides_apply(&config, &options.given);
        MUST(applied == DT_OK || applied == DT_ERR_ARG);
        if (applied == DT_OK) dt_config_check(&config);
    }
    options_destroy(&options);
    free(text);
    return 0;
}
