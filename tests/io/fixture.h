/* A checkpoint with something in every part, made without training. */
#ifndef DTRAIN_TEST_IO_FIXTURE_H
#define DTRAIN_TEST_IO_FIXTURE_H

#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/folder/run_folder.h"

typedef struct {
    size_t width, layers;
    int64_t steps; /* rows of training metrics */
    uint64_t seed; /* of the tensors */
} fixture_size;

/* Small enough that every byte of it can be damaged in turn. */
#define FIXTURE_SMALL ((fixture_size){.width = 8, .layers = 2, .steps = 12, .seed = 7})

/* Exits on errors. The tensors belong to the checkpoint, as if it had been read. */
void fixture_create(dt_checkpoint *checkpoint, fixture_size size);

/* Whether two checkpoints are equal bit by bit; prints what differs. */
bool fixture_equal(const dt_checkpoint *x, const dt_checkpoint *y);

/* A new folder under TMPDIR, and its removal with the files in it (but not in folders below it). */
void fixture_folder(char folder[256]);
void fixture_remove(const char *folder);

/* Files of a folder that are neither "." nor "..". */
size_t fixture_files(const char *folder);

/* A file as bytes; to be freed. */
unsigned char *fixture_load(size_t *size, const char *path);
void fixture_store(const char *path, const void *bytes, size_t size);

#endif
