/* What a command is: each stands whole in one file, and commands.c lists them. */
#ifndef DTRAIN_COMMAND_H
#define DTRAIN_COMMAND_H

#include "dtrain/core/config.h"
#include "dtrain/core/line.h"
#include "dtrain/data/tokenizer.h"
#include "dtrain/run/session.h"

/* What an option or argument becomes in the command's own options. */
typedef enum {
    OPTION_FLAG,  /* bool: true */
    OPTION_PATH,  /* const char *: of a file; ~/ at its beginning is the home folder */
    OPTION_TEXT,  /* const char *: as it is given */
    OPTION_COUNT, /* int64_t, from 0 on */
    OPTION_REAL,  /* double, from 0 on */
    OPTION_SPLIT, /* dt_split */
    ARGUMENT,     /* const char *: the next word that is no option */
    ARGUMENTS,    /* command_words: all remaining words that are no options */
} option_kind;

typedef struct {
    const char **word;
    size_t count;
} command_words;

typedef struct {
    option_kind kind;
    size_t offset;     /* in the command's own options */
    const char *name;  /* "count"; of an argument, what to call it */
    const char *value; /* "N": what --help calls the value; NULL: there is none */
    const char *help;
} command_option;

/* Strings in the own options belong to the command line. */
typedef struct {
    const char *name;
    const char *usage;            /* the arguments, as --help shows them; "\n" between variants */
    const char *help;             /* before the options; the text after "\v": after them */
    const command_option *option; /* (options) arguments in their order */
    size_t options;
    bool reads_config;                    /* knows --config */
    bool (*knows)(const dt_setting *);    /* which settings are options of this command */
    size_t own_size;                      /* bytes of the command's own options; 0: none */
    const void *initial;                  /* their values at first; NULL: all zero */
    bool (*needs_ranks)(const void *own); /* NULL: runs without ranks */
    dt_status (*check)(const void *own);  /* what no single option can know; NULL: nothing */
    dt_status (*run)(dt_session *s, const dt_overrides *given, const void *own);
} command;

/* For `check` of commands that need a checkpoint or run. DT_ERR_ARG: none is given. */
dt_status command_check_target(const char *target);

/* How many more tokens a text with this prompt may have, at least one. DT_ERR_ARG shows what was
 * typed. */
dt_status command_find_room(size_t *tokens, const dt_text *prompt, const dt_line *typed,
                            const dt_tokenizer *tokenizer, size_t context);

/* For `knows` and `needs_ranks`: always. */
bool command_knows_all(const dt_setting *setting);
bool command_needs_ranks(const void *own);

/* For `knows`: whether the setting is one of these. */
bool command_knows_name(const dt_setting *setting, const char *const *name, size_t count);

#endif
