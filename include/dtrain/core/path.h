/* Names of files and folders as people give them. */
#ifndef DTRAIN_PATH_H
#define DTRAIN_PATH_H

#include "dtrain/core/status.h"

/**
 * Put the home folder ($HOME) in the place of a "~" at the beginning, as shells do where they see
 * it; they do not after "--out=", nor in a file of settings.
 *
 * @param where  how the error message calls the place: "--out" or "my.ini:12: out"
 * @return DT_ERR_ARG: HOME is not set, the name is too long, or another person's home is meant
 */
dt_status dt_path_expand(char *path, size_t size, const char *name, const char *where);

/**
 * The name of a file as seen from a folder, without "." and links: "../base/best.h5".
 *
 * @param folder  need not be there
 * @return DT_ERR_NO_INPUT: there is no such file; DT_ERR_ARG: a name is too long
 */
dt_status dt_path_between(char *path, size_t size, const char *folder, const char *file);

/* The file that such a name means. DT_ERR_ARG: it is too long. */
dt_status dt_path_from(char *path, size_t size, const char *folder, const char *name);

/* What follows the last "/". */
const char *dt_path_last(const char *path);

#endif
