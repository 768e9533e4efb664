/* The command line. */
#ifndef DTRAIN_OPTIONS_H
#define DTRAIN_OPTIONS_H

#include <stdio.h>

#include "command.h"

typedef enum { ASKS_NOTHING, ASKS_HELP, ASKS_USAGE, ASKS_VERSION } help_kind;

/* The command line as given; strings belong to argv. */
typedef struct {
    const command *command;
    bool named;        /* whether the command was named */
    const char *stray; /* the word that stands where a command would; NULL: none */
    int name_at;       /* by this word of argv; 0: it was not */
    help_kind asks;    /* what to print in the place of running the command */
    void *own;         /* the command's own options */
    dt_overrides given;
    const char **argument; /* words that are no options, and not their values */
    size_t arguments;
    char **path; /* names of files, in full */
    size_t paths;
    char wrong[1600]; /* what options_parse found wrong */
} command_line;

/* DT_ERR_ARG with a sentence; then `line` holds what was read up to there. Prints nothing. */
dt_status options_parse(command_line *line, int argc, char **argv);

/* Print what was asked for. */
dt_status options_help(const command_line *line);

/* Print why options_parse failed, and how to find help. */
void options_explain(const command_line *line);
void options_destroy(command_line *line);

#endif
