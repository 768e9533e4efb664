/* Other programs: started without a shell, with files for their input and output. */
#ifndef DTRAIN_IO_CHILD_H
#define DTRAIN_IO_CHILD_H

#include "dtrain/core/status.h"

typedef struct {
    int exit_code;  /* 0: done; -1: ended by a signal */
    int signal;     /* which */
    char said[512]; /* the end of what it wrote to standard error, in one line */
} dt_child;

/**
 * Run a program, found by PATH, to its end.
 *
 * @param argument       NULL-terminated; the first is the program
 * @param input, output  open files that become its standard input and output
 * @return 0, or the errno with which it could not be started: ENOENT if there is no such program
 */
int dt_child_run(dt_child *child, const char *const argument[], int input, int output);

#endif
