/* The thread's last error, and what exit code each kind of error becomes. */
#include "dtrain/core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

typedef struct {
    dt_status code;
    char location[96];
    char text[1600];
} last_error;

static _Thread_local last_error last;

int dt_status_exit_code(dt_status status) {
    switch (status) {
    case DT_OK: return EX_OK;
    case DT_ERR_ARG: return EX_USAGE;
    case DT_ERR_DATA: return EX_DATAERR;
    case DT_ERR_NO_INPUT: return EX_NOINPUT;
    case DT_ERR_UNAVAILABLE:
    case DT_ERR_DEVICE: return EX_UNAVAILABLE;
    case DT_ERR_MEMORY:
    case DT_ERR_COMM: return EX_OSERR;
    case DT_ERR_CREATE: return EX_CANTCREAT;
    case DT_ERR_IO: return EX_IOERR;
    case DT_ERR_STOPPED: return EX_TEMPFAIL;
    case DT_ERR_INTERNAL: break;
    }
    return EX_SOFTWARE;
}

dt_status dt_error_raise(dt_status code, const char *file, int line, const char *fmt, ...) {
    /* The arguments may point into the old text: write the new one elsewhere first. */
    last_error next = {.code = code};
    const char *name = strrchr(file, '/');
    snprintf(next.location, sizeof next.location, "%s:%d", name ? name + 1 : file, line);
    va_list args;
    va_start(args, fmt);
    vsnprintf(next.text, sizeof next.text, fmt, args);
    va_end(args);
    last = next;
    return code;
}

dt_status dt_error_adopt(dt_status code, const char *location, const char *text) {
    last_error next = {.code = code};
    snprintf(next.location, sizeof next.location, "%s", location);
    snprintf(next.text, sizeof next.text, "%s", text);
    last = next;
    return code;
}

const char *dt_error_text(void) { return last.text; }
const char *dt_error_location(void) { return last.location; }
dt_status dt_error_code(void) { return last.code; }
void dt_error_clear(void) { last = (last_error){0}; }
