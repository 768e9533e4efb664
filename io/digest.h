/* Digests of datasets, and of a checkpoint as a whole. The recipe for people: io/README.md. */
#ifndef DTRAIN_IO_DIGEST_H
#define DTRAIN_IO_DIGEST_H

#include "stored.h"

/* XXH3-128 as 32 hexadecimal digits, most significant first. */
enum { DT_DIGEST_LENGTH = 32 };
typedef struct {
    char text[DT_DIGEST_LENGTH + 1];
} dt_digest;

dt_digest dt_digest_of(const void *bytes, size_t size);

/* The same piece by piece, for what does not lie in memory as a whole. */
typedef struct dt_digester dt_digester;
dt_status dt_digester_create(dt_digester **digester);
void dt_digester_destroy(dt_digester **digester);
void dt_digester_start(dt_digester *digester);
void dt_digester_add(dt_digester *digester, const void *bytes, size_t size);
dt_digest dt_digester_finish(const dt_digester *digester);

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
