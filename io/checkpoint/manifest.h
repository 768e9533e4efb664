/* What a checkpoint holds, as lines of text: their digest is that of the file. The recipe for
 * people: io/README.md. */
#ifndef DTRAIN_IO_MANIFEST_H
#define DTRAIN_IO_MANIFEST_H

#include "dtrain/core/digest.h"
#include "stored.h"

/* One line of text per attribute and per dataset; the digest of the sorted lines is that of the
 * file. */
typedef struct {
    char *text; /* lines, each with its newline */
    size_t length, capacity;
    size_t lines;
} dt_manifest;

dt_status dt_manifest_add_attribute(dt_manifest *manifest, const char *path, const char *name,
                                    dt_stored_type type, const void *bytes);
dt_status dt_manifest_add_dataset(dt_manifest *manifest, const char *path, dt_stored_type type,
                                  size_t rank, const size_t *extent, const char *digest);
dt_status dt_manifest_digest(dt_digest *digest, const dt_manifest *manifest);
void dt_manifest_clear(dt_manifest *manifest);

#endif
