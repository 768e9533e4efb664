/* Renames what is in the way, so that it is kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "dtrain/file/replace.h"
#include "dtrain/folder/run_folder.h"

dt_status dt_run_set_aside(char *aside, size_t size, const char *path) {
    char stamp[32], text[128];
    struct stat there;
    struct tm parts;
    const time_t now = time(NULL);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", gmtime_r(&now, &parts));
    for (int tries = 0; tries < 1000; tries++) {
        const int length = tries ? snprintf(aside, size, "%s.%s-%d", path, stamp, tries)
                                 : snprintf(aside, size, "%s.%s", path, stamp);
        DT_REQUIRE((size_t)length < size, DT_ERR_CREATE,
                   "%s cannot be renamed: the new name would be too long", path);
        if (lstat(aside, &there) != 0) break;
    }
    const int error = rename(path, aside) == 0 ? 0 : errno;
    DT_REQUIRE(!error, DT_ERR_CREATE, "%s cannot be renamed to %s: %s", path, aside,
               dt_file_reason(error, text));
    return DT_OK;
}
