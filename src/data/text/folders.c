/* Makes the folders of a file, and removes them again. */
#include "folders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/config.h"

bool dt_folders_make(size_t *made, const char *path) {
    char folder[DT_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *made = 0;
    for (size_t i = 1; folder[i]; i++) {
        if (folder[i] != '/' || folder[i - 1] == '/') continue;
        folder[i] = '\0';
        if (mkdir(folder, 0777) == 0) {
            if (*made == 0) *made = i;
        } else if (errno != EEXIST) {
            return false;
        }
        folder[i] = '/';
    }
    return true;
}

void dt_folders_remove(const char *path, size_t made) {
    char folder[DT_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash; made > 0 && (slash = strrchr(folder, '/')) && slash >= folder + made;) {
        *slash = '\0';
        if (rmdir(folder) != 0 && errno != ENOENT) return;
    }
}
