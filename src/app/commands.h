/* The list of commands. */
#ifndef DTRAIN_COMMANDS_H
#define DTRAIN_COMMANDS_H

#include "command.h"

/* The first one runs where none is named. */
extern const command *const COMMANDS[];
extern const size_t COMMAND_COUNT;

#endif
