/* One clock for everything that is measured, one for dates. */
#include "dtrain/core/clock.h"

#include <time.h>

double dt_seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void dt_utc_now(char *text, size_t size) { dt_utc_format(text, size, "%Y-%m-%dT%H:%M:%SZ"); }

void dt_utc_format(char *text, size_t size, const char *format) {
    const time_t now = time(NULL);
    struct tm parts;
    strftime(text, size, format, gmtime_r(&now, &parts));
}
