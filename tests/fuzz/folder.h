/* A folder of files that one input holds, each ended by 0x1e; the last file is the rest. */
#ifndef DTRAIN_TEST_FUZZ_FOLDER_H
#define DTRAIN_TEST_FUZZ_FOLDER_H

#include <stdbool.h>

#include "fuzz.h"

typedef struct {
    const char *name;
    bool always; /* otherwise it is not there if it would be empty */
} fuzz_file;

/* Make the folder; it is removed at the end. file: (count), kept. */
void fuzz_folder_open(const fuzz_file *file, size_t count);

/* Write its files anew. */
void fuzz_folder_fill(const uint8_t *data, size_t size);

const char *fuzz_folder(void);

#endif
