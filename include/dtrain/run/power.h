/* The energy counters of this machine's processors (RAPL), as Linux shows them in a folder. */
#ifndef DTRAIN_POWER_H
#define DTRAIN_POWER_H

#include <stdbool.h>
#include <stddef.h>

enum { DT_POWER_PACKAGES = 64 };

/* A counter begins again at 0 when it has reached `range`. */
typedef struct {
    char name[64]; /* "package-0" */
    char file[512];
    double range, last; /* microjoules */
} dt_power_package;

typedef struct {
    dt_power_package package[DT_POWER_PACKAGES];
    size_t packages;
    double joules; /* of all packages since dt_power_open */
    bool lost;     /* a counter can no longer be read: `joules` stays as it is */
    char why[600]; /* what cannot be read, and why; "": nothing */
} dt_power;

/**
 * Find the counters of whole packages; those of parts (cores, memory) are in them, and one of a
 * whole machine (psys) counts other things too.
 *
 * @param folder  "/sys/class/powercap"
 * @return whether there are some, and all can be read
 */
bool dt_power_open(dt_power *power, const char *folder);

/* Add what was used since the last call. Call it more often than a counter goes round, which takes
 * minutes. */
void dt_power_read(dt_power *power);

/**
 * Seconds that all processors of this machine have worked since it was started, added up.
 *
 * @param stat  "/proc/stat"
 * @return NaN: it cannot be read
 */
double dt_power_busy_seconds(const char *stat);

#endif
