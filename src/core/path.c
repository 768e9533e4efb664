/* Names of files and folders as people give them. */
#include "dtrain/core/path.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/config.h"

dt_status dt_path_expand(char *path, size_t size, const char *name, const char *where) {
    const bool own = name[0] == '~' && (name[1] == '\0' || name[1] == '/');
    const char *home = own ? getenv("HOME") : "";
    DT_REQUIRE(home && (!own || *home), DT_ERR_ARG,
               "%s: \"%s\": HOME is not set; write the name in full", where, name);
    DT_REQUIRE(own || name[0] != '~' || !strchr(name, '/'), DT_ERR_ARG,
               "%s: \"%s\": only ~/ is known here; write the name in full, or ./%s if it begins "
               "with ~",
               where, name, name);
    const int length = snprintf(path, size, "%s%s", home, own ? name + 1 : name);
    DT_REQUIRE(length >= 0 && (size_t)length < size, DT_ERR_ARG, "%s: the name %.80s… is too long",
               where, name);
    return DT_OK;
}

const char *dt_path_last(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

dt_status dt_path_from(char *path, size_t size, const char *folder, const char *name) {
    /* The system does not follow ".." in a folder that is not there. */
    int kept = (int)strlen(folder);
    if (*name != '/' && access(folder, F_OK) != 0) {
        for (; kept > 0 && strncmp(name, "../", 3) == 0; name += 3) {
            while (kept > 0 && folder[kept - 1] != '/') kept--;
            while (kept > 1 && folder[kept - 1] == '/') kept--;
        }
    }
    const int length = *name == '/' || kept == 0
                           ? snprintf(path, size, "%s", name)
                           : snprintf(path, size, "%.*s/%s", kept, folder, name);
    DT_REQUIRE(length >= 0 && (size_t)length < size, DT_ERR_ARG, "the name %.80s… is too long",
               folder);
    return DT_OK;
}

/* The absolute name of a folder, of which perhaps only the first parts are there. */
static dt_status locate(char whole[PATH_MAX], const char *folder) {
    char start[PATH_MAX], here[PATH_MAX], part[PATH_MAX];
    DT_REQUIRE(getcwd(here, sizeof here), DT_ERR_ARG, "the name of this folder is too long");
    DT_TRY(dt_path_from(start, sizeof start, here, folder));
    size_t kept = strlen(start);
    for (;;) {
        snprintf(part, sizeof part, "%.*s", kept ? (int)kept : 1, start);
        if (realpath(part, whole)) break;
        while (kept > 0 && start[kept - 1] != '/') kept--;
        while (kept > 0 && start[kept - 1] == '/') kept--;
    }
    const size_t used = strcmp(whole, "/") == 0 ? 0 : strlen(whole);
    DT_REQUIRE(used + strlen(start + kept) < PATH_MAX, DT_ERR_ARG, "the name %.80s… is too long",
               folder);
    memcpy(whole + used, start + kept, strlen(start + kept) + 1);
    return DT_OK;
}

dt_status dt_path_between(char *path, size_t size, const char *folder, const char *file) {
    char from[PATH_MAX] = "", to[PATH_MAX] = "";
    DT_TRY(locate(from, folder));
    DT_REQUIRE(realpath(file, to), DT_ERR_NO_INPUT, "there is no file %s", file);
    /* The folders that both are in, with the slash behind them. */
    size_t common = 0;
    for (size_t i = 0; to[i] && (from[i] == to[i] || (!from[i] && to[i] == '/')); i++) {
        if (to[i] == '/') common = i + 1;
        if (!from[i]) break;
    }
    size_t used = 0;
    for (const char *at = from + common - (common > strlen(from)); *at; at++) {
        const bool begins = *at != '/' && (at == from + common || at[-1] == '/');
        if (begins && used + 3 < size) used += (size_t)snprintf(path + used, size - used, "../");
    }
    DT_REQUIRE(used + strlen(to + common) < size, DT_ERR_ARG,
               "the way from %.80s to %.80s is too long; use a folder nearer to it", folder, file);
    memcpy(path + used, to + common, strlen(to + common) + 1);
    return DT_OK;
}
