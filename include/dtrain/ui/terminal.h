/* Terminals: whether there is one, and how wide its window is. */
#ifndef DTRAIN_TERMINAL_H
#define DTRAIN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Whether what this process writes to standard error appears on a terminal that can rewrite a line:
 * on its own, or on that of the mpirun that started it and passes everything on.
 *
 * @param[out] file  for dt_terminal_columns; -1: none. Give it back with dt_terminal_close.
 */
bool dt_terminal_open(int *file);
void dt_terminal_close(int *file);

/* The current number of columns of the terminal that a file is; 0: it is none, or does not know. */
size_t dt_terminal_columns(int file);

#endif
