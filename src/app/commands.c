/* The list of commands: one line for each file. */
#include "commands.h"

extern const command TRAIN, EVAL, ASK, SAMPLE, INFO, DATA, PLAN, PLOT, TOKENIZE, VERIFY, EXPORT,
    IMPORT, MERGE, QUANTISE;

const command *const COMMANDS[] = {&TRAIN, &EVAL,     &ASK,    &SAMPLE, &INFO,   &DATA,  &PLAN,
                                   &PLOT,  &TOKENIZE, &VERIFY, &EXPORT, &IMPORT, &MERGE, &QUANTISE};
const size_t COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS;
