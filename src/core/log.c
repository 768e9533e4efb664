/* Messages on standard error. */
#include "dtrain/core/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "dtrain/core/utf8.h"

/* Set once at start-up by main, before any other thread starts. */
static dt_log_level level_now = DT_LOG_INFO;
static int rank_now = -1;
static void (*before_message)(void);

void dt_log_open(dt_log_level level, int rank) {
    level_now = level;
    rank_now = rank;
}

void dt_log_before(void (*call)(void)) { before_message = call; }

dt_log_level dt_log_current(void) { return level_now; }

void dt_log(dt_log_level level, const char *fmt, ...) {
    static const char *const prefix[] = {"error: ", "warning: ", "", "debug: "};
    if (level > level_now) return;
    if (rank_now > 0 && (level_now < DT_LOG_DEBUG || level == DT_LOG_INFO)) return;
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    dt_utf8_make_printable(text, "\n"); /* names and texts of others may be quoted in it */
    /* Clearing the last line and writing the message is one step: other threads write, too. */
    flockfile(stderr);
    if (before_message) before_message();
    /* One call, so that lines of several ranks do not mix. */
    if (rank_now >= 0 && level_now >= DT_LOG_DEBUG) {
        fprintf(stderr, "dtrain[%d]: %s%s\n", rank_now, prefix[level], text);
    } else {
        fprintf(stderr, "dtrain: %s%s\n", prefix[level], text);
    }
    funlockfile(stderr);
}
