/* Terminals: whether somebody watches, and how wide the window is. */
#ifndef DTRAIN_TERMINAL_H
#define DTRAIN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Whether what this process writes to standard error appears on a terminal that can rewrite a line:
 * on its own, or on that of the mpirun that started it and passes everything on.
 *
 * @param[out] file  for terminal_columns; -1: none. Give it back with terminal_close.
 */
bool terminal_open(int *file);
void terminal_close(int *file);

/* Columns of the terminal that a file is; 0 if it is none or does not know. As it is now. */
size_t terminal_columns(int file);

#endif
