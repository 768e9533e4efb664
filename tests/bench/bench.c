/* Shared by the benchmarks. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_doubles(const void *x, const void *y) {
    double a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, y, sizeof b);
    return (a > b) - (a < b);
}

double median(double *x, size_t count) {
    qsort(x, count, sizeof *x, compare_doubles);
    return count % 2 ? x[count / 2] : (x[count / 2 - 1] + x[count / 2]) / 2;
}

dt_status read_setting(dt_config *config, const char *text) {
    char name[64];
    const char *equals = strchr(text, '=');
    DT_REQUIRE(equals, DT_ERR_ARG, "\"%s\" is not a setting; give NAME=VALUE, such as width=256",
               text);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    const dt_setting *setting = dt_setting_find(name);
    DT_REQUIRE(setting, DT_ERR_ARG, "there is no setting \"%s\"; dtrain --help lists all", name);
    return dt_config_set(config, setting, equals + 1, name);
}
