/* Folders that are made for a file, and removed if it is not kept. Private to src/data/text. */
#ifndef DTRAIN_FOLDERS_H
#define DTRAIN_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>

/* Make the folders of a file that are missing. *made: length of the first one's name; 0: none was.
 * False: one cannot be made. */
bool dt_folders_make(size_t *made, const char *path);

/* Remove them again, if they are empty. */
void dt_folders_remove(const char *path, size_t made);

#endif
