/* Finds out how much memory the system leaves to this process. */
#include "dtrain/core/limit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

double dt_limit_address_space(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return INFINITY;
    char text[64] = "0";
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        if (!fgets(text, sizeof text, file)) text[0] = '\0';
        fclose(file);
    }
    const double pages = strtod(text, NULL);
    const double used = pages * (double)sysconf(_SC_PAGESIZE);
    return fmax(0, (double)limit.rlim_cur - used);
}

bool dt_limit_allows(size_t bytes) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) return false;
    munmap(memory, bytes);
    return true;
}

const char *dt_limit_text(char text[DT_LIMIT_TEXT]) {
    const double space = dt_limit_address_space();
    if (isfinite(space)) {
        snprintf(text, DT_LIMIT_TEXT,
                 "the limit of address space leaves %.1f MB; raise it (ulimit -v)", space / 1e6);
    } else {
        snprintf(text, DT_LIMIT_TEXT, "%s",
                 "the system promises no more (vm.overcommit_memory); end other programs, or let "
                 "it promise more");
    }
    return text;
}

/* ---- control groups ---- */

/* FOLDER/name; NULL: it cannot be opened. */
static FILE *open_in(const char *folder, const char *name) {
    char path[3 * PATH_SIZE];
    const int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path ? fopen(path, "r") : NULL;
}

/* The number in FOLDER/name; infinite: "max", or no such file. */
static double read_number(const char *folder, const char *name) {
    char text[64];
    FILE *file = open_in(folder, name);
    if (!file) return INFINITY;
    const bool found = fgets(text, sizeof text, file) && text[0] >= '0' && text[0] <= '9';
    fclose(file);
    return found ? strtod(text, NULL) : INFINITY;
}

/* What the page cache holds, and gives back as soon as it is needed. */
static double read_cache(const char *folder, bool version1) {
    char line[256];
    double cache = 0;
    FILE *file = open_in(folder, "memory.stat");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) { /* "active_file 4096" */
        const char *kind = line;
        if (version1 && strncmp(line, "total_", 6) == 0) kind += 6;
        if (version1 == (kind == line)) continue;
        const char *blank = strchr(kind, ' ');
        const size_t length = blank ? (size_t)(blank - kind) : 0;
        const bool active = length == 11 && strncmp(kind, "active_file", length) == 0;
        const bool inactive = length == 13 && strncmp(kind, "inactive_file", length) == 0;
        if (active || inactive) cache += strtod(blank, NULL);
    }
    fclose(file);
    return cache;
}

static double left_in(const char *folder, bool version1) {
    const double limit = read_number(folder, version1 ? "memory.limit_in_bytes" : "memory.max");
    const double used = read_number(folder, version1 ? "memory.usage_in_bytes" : "memory.current");
    /* Version 1 writes a number near 2^63 where there is no limit. */
    if (!isfinite(limit) || limit > 1e18) return INFINITY;
    const double held = isfinite(used) ? used - read_cache(folder, version1) : 0;
    return fmax(0, limit - fmax(0, held));
}

/* The least of a group and those above it. What is not visible in a container has no files here. */
static double left_above(const char *root, const char *group, bool version1) {
    char folder[2 * PATH_SIZE];
    int length = snprintf(folder, sizeof folder, "%s%s", root, group);
    if (length < 0 || (size_t)length >= sizeof folder) return INFINITY;
    double left = INFINITY;
    for (;;) {
        left = fmin(left, left_in(folder, version1));
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < strlen(root)) return left;
        *slash = '\0';
    }
}

/* Whether "memory" is one of the words of a list with commas. */
static bool has_memory(const char *list) {
    const char *found = strstr(list, "memory");
    return found && (found == list || found[-1] == ',') && (!found[6] || found[6] == ',');
}

double dt_limit_cgroup(const char *groups, const char *mount) {
    char line[PATH_SIZE], root[PATH_SIZE];
    double left = INFINITY;
    FILE *file = fopen(groups, "r");
    if (!file) return INFINITY;
    while (fgets(line, sizeof line, file)) { /* "4:memory:/job/1", version 2: "0::/job/1" */
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        list++;
        const bool version1 = has_memory(list);
        if (!version1 && *list) continue;
        snprintf(root, sizeof root, "%.4000s%s", mount, version1 ? "/memory" : "");
        left = fmin(left, left_above(root, group, version1));
    }
    fclose(file);
    return left;
}
