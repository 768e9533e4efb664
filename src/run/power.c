/* Reads the energy counters of processors, and how long all processors have worked. */
#include "dtrain/run/power.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first line of FOLDER/name/file; errno of what failed, or 0. */
static int read_line(char *text, size_t size, const char *path) {
    FILE *file = fopen(path, "re");
    if (!file) return errno;
    errno = 0;
    const bool read = fgets(text, (int)size, file) != NULL;
    const int error = read ? 0 : errno ? errno : EIO;
    fclose(file);
    if (read) text[strcspn(text, "\n")] = '\0';
    return error;
}

static int read_number(double *value, const char *path) {
    char text[64], *end;
    const int error = read_line(text, sizeof text, path);
    if (error) return error;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= 0 && isfinite(*value) ? 0 : EINVAL;
}

static bool is_known(const dt_power *power, const char *name) {
    for (size_t i = 0; i < power->packages; i++) {
        if (strcmp(power->package[i].name, name) == 0) return true;
    }
    return false;
}

static bool refuse(dt_power *power, const char *path, int error) {
    snprintf(power->why, sizeof power->why, "%.500s: %s", path, strerror(error));
    return false;
}

/* One domain of the folder: adds it if it is a package that another domain does not show, too.
 * false: it is one, and cannot be read. */
static bool add_domain(dt_power *power, const char *folder, const char *domain) {
    dt_power_package package = {0};
    char path[512];
    snprintf(path, sizeof path, "%.240s/%.200s/name", folder, domain);
    if (read_line(package.name, sizeof package.name, path) != 0) return true;
    if (strncmp(package.name, "package", strlen("package")) != 0) return true;
    if (is_known(power, package.name)) return true;
    if (power->packages == DT_POWER_PACKAGES) return refuse(power, folder, E2BIG);
    snprintf(path, sizeof path, "%.240s/%.200s/max_energy_range_uj", folder, domain);
    int error = read_number(&package.range, path);
    if (error) return refuse(power, path, error);
    snprintf(package.file, sizeof package.file, "%.240s/%.200s/energy_uj", folder, domain);
    error = read_number(&package.last, package.file);
    if (error) return refuse(power, package.file, error);
    power->package[power->packages++] = package;
    return true;
}

bool dt_power_open(dt_power *power, const char *folder) {
    *power = (dt_power){0};
    DIR *domains = opendir(folder);
    if (!domains) return refuse(power, folder, errno);
    bool readable = true;
    for (const struct dirent *entry; readable && (entry = readdir(domains)) != NULL;) {
        if (entry->d_name[0] != '.') readable = add_domain(power, folder, entry->d_name);
    }
    closedir(domains);
    if (readable && power->packages == 0)
        snprintf(power->why, sizeof power->why, "%.500s has no counter of a processor package",
                 folder);
    return readable && power->packages > 0;
}

void dt_power_read(dt_power *power) {
    double now[DT_POWER_PACKAGES], sum = 0;
    if (power->lost) return;
    for (size_t i = 0; i < power->packages; i++) {
        const dt_power_package *p = &power->package[i];
        const int error = read_number(&now[i], p->file);
        if (error) {
            power->lost = !refuse(power, p->file, error);
            return;
        }
        sum += now[i] >= p->last ? now[i] - p->last : now[i] + p->range - p->last;
    }
    for (size_t i = 0; i < power->packages; i++) power->package[i].last = now[i];
    power->joules += 1e-6 * sum;
}

double dt_power_busy_seconds(const char *stat) {
    /* "cpu  user nice system idle iowait irq softirq …"; time as a guest is part of user. */
    enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, FIELDS };
    char line[512];
    if (read_line(line, sizeof line, stat) != 0 || strncmp(line, "cpu ", 4) != 0) return NAN;
    double ticks = 0;
    char *rest = line + 4;
    for (int i = 0; i < FIELDS; i++) {
        char *end;
        const double value = strtod(rest, &end);
        if (end == rest) return NAN;
        if (i != IDLE && i != IOWAIT) ticks += value;
        rest = end;
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}
