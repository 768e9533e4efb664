/* Names of files and folders as people give them. */
#include "dtrain/core/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
