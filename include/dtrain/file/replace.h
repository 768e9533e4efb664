/* A file that appears whole or not at all, also after a crash. */
#ifndef DTRAIN_IO_REPLACE_H
#define DTRAIN_IO_REPLACE_H

#include "dtrain/core/config.h"

/* A file under a temporary name, in the folder of the one that it will replace. */
typedef struct {
    char path[DT_PATH_MAX];      /* the name it will have */
    char temporary[DT_PATH_MAX]; /* FOLDER/.NAME.tmp.HOST.PID */
    int file;                    /* -1: none open */
} dt_replacement;

/* Names only. DT_ERR_CREATE if a name is too long. */
dt_status dt_replacement_name(dt_replacement *replacement, const char *path);

/* Create the temporary file, open for reading and writing. DT_ERR_CREATE. */
dt_status dt_replacement_open(dt_replacement *replacement, const char *path);

/* Flush to the disk what was written. DT_ERR_IO. */
dt_status dt_replacement_sync(const dt_replacement *replacement);

/* Give it its name, in one step, and flush the folder. DT_ERR_IO. Closes the file. */
dt_status dt_replacement_commit(dt_replacement *replacement);

/* Remove the temporary file, if it is still there. Keeps the last error. */
void dt_replacement_discard(dt_replacement *replacement);

/* Remove temporary files that killed processes have left in a folder. */
void dt_replacement_clean(const char *folder);

/* Write all bytes at an offset. 0, or errno. */
int dt_file_write(int file, const void *bytes, size_t size, uint64_t offset);

/* Copy a file to a path, whole or not at all. DT_ERR_CREATE, DT_ERR_NO_INPUT, DT_ERR_IO. */
dt_status dt_file_copy(const char *path, const char *from);

/* What an errno of a file operation means, and how to mend it. `text` is used where no sentence is
 * known. */
const char *dt_file_reason(int error, char text[128]);

/* The folder part of a path: "." if it has none. DT_ERR_CREATE if it is too long. */
dt_status dt_file_folder(char *folder, size_t size, const char *path);

#endif
