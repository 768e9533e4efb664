/* A line on the terminal that is rewritten in place; elsewhere, a message now and then. */
#ifndef DTRAIN_BAR_H
#define DTRAIN_BAR_H

#include <stdbool.h>
#include <stddef.h>

#include "dtrain/core/log.h"

typedef struct {
    bool terminal;
    int file;        /* the terminal, for the width of its window; -1: none */
    double interval; /* seconds between two writes */
    double next;     /* dt_seconds_now() */
} dt_bar;

/**
 * There is a bar at log level INFO only: lower levels say less, and at debug other ranks would
 * write into it. While it is open, messages of the log clear it first.
 *
 * @param on_terminal  seconds between two writes where there is a terminal
 * @param elsewhere    seconds between two messages where there is none
 */
void dt_bar_open(dt_bar *bar, dt_log_level level, double on_terminal, double elsewhere);

/* Clears it. Calling it again does nothing. */
void dt_bar_close(dt_bar *bar);

/* Whether it is time to write again. If so, the next time is one interval after `now`. */
bool dt_bar_due(dt_bar *bar, double now);

/* Columns for a text. The last column of the window stays free: some terminals wrap there. */
size_t dt_bar_width(const dt_bar *bar);

/* Overwrite the line with this text. */
void dt_bar_show(const char *text);

/* "[====>     ]": `inner` columns within the brackets, `share` of them done. (inner + 3) */
void dt_bar_brackets(char *text, size_t inner, double share);

#endif
