/* A line on the terminal that is written again and again; elsewhere, a message now and then. */
#ifndef DTRAIN_BAR_H
#define DTRAIN_BAR_H

#include <stdbool.h>
#include <stddef.h>

#include "dtrain/core/log.h"

typedef struct {
    bool terminal;
    int file;        /* knows how wide the window is; -1: none */
    double interval; /* seconds between two times it is written */
    double next;     /* dt_seconds_now() */
} dt_bar;

/**
 * Only at log level INFO is there a bar: less is to be said at lower levels, and at debug other
 * ranks would write into it. Messages of the log then clear it first.
 *
 * @param on_terminal  seconds between two times it is written, where there is a terminal
 * @param elsewhere    the same for messages
 */
void dt_bar_open(dt_bar *bar, dt_log_level level, double on_terminal, double elsewhere);

/* Clears it. Nothing happens the second time. */
void dt_bar_close(dt_bar *bar);

/* Whether it is time to write it again; the next time is one interval later. */
bool dt_bar_due(dt_bar *bar, double now);

/* How many columns there are for a text: the last one stays free, because some terminals wrap. */
size_t dt_bar_width(const dt_bar *bar);

/* Write the text in the place of the one before. */
void dt_bar_show(const char *text);

/* "[====>     ]": `inner` columns within the brackets, `share` of them done. (inner + 3) */
void dt_bar_brackets(char *text, size_t inner, double share);

#endif
