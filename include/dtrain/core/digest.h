/* XXH3 digests: whether two stretches of memory, or two files, are the same. */
#ifndef DTRAIN_DIGEST_H
#define DTRAIN_DIGEST_H

#include <stdint.h>

#include "dtrain/core/status.h"

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

/* XXH3-64 of memory: whether two copies of the weights are the same. */
uint64_t dt_fingerprint(const void *bytes, size_t size);

/**
 * What a file holds, in short: "SIZE-DIGEST", its size in bytes and its XXH3-128 in 32 hexadecimal
 * digits, as `xxhsum -H2` prints them.
 *
 * @return DT_ERR_NO_INPUT: it cannot be read
 */
dt_status dt_file_digest(char *text, size_t size, const char *path);

#endif
