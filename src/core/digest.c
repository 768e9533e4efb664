/* XXH3 digests of memory and of files. */
#include "dtrain/core/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/work.h"

static dt_digest to_text(XXH128_hash_t hash) {
    dt_digest digest;
    snprintf(digest.text, sizeof digest.text, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
    return digest;
}

uint64_t dt_fingerprint(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }

dt_digest dt_digest_of(const void *bytes, size_t size) {
    return to_text(XXH3_128bits(bytes, size));
}

struct dt_digester {
    XXH3_state_t *state;
};

dt_status dt_digester_create(dt_digester **digester) {
    DT_TRY(dt_memory_alloc(digester, 1, sizeof **digester, "a digest"));
    (*digester)->state = XXH3_createState();
    if ((*digester)->state) return DT_OK;
    dt_memory_free(digester);
    DT_RAISE(DT_ERR_MEMORY, "out of memory for a digest");
}

void dt_digester_destroy(dt_digester **digester) {
    if (*digester) XXH3_freeState((*digester)->state);
    dt_memory_free(digester);
}

void dt_digester_start(dt_digester *digester) { XXH3_128bits_reset(digester->state); }

void dt_digester_add(dt_digester *digester, const void *bytes, size_t size) {
    XXH3_128bits_update(digester->state, bytes, size);
}

dt_digest dt_digester_finish(const dt_digester *digester) {
    return to_text(XXH3_128bits_digest(digester->state));
}

static dt_status add_file(dt_digester *digester, uint64_t *size, const char *path) {
    enum { BLOCK = 1 << 20 };
    char *block = NULL;
    dt_status status = DT_OK;
    FILE *file = fopen(path, "rb");
    DT_REQUIRE(file, DT_ERR_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
    DT_TRY_DONE(dt_memory_alloc(&block, BLOCK, 1, "a block of a file"));
    for (size_t got; (got = fread(block, 1, BLOCK, file)) > 0;) {
        dt_digester_add(digester, block, got);
        *size += got;
        DT_TRY_DONE(dt_work_tell("reading a file", *size, 0));
    }
    DT_REQUIRE_DONE(!ferror(file), DT_ERR_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
done:
    dt_memory_free(&block);
    fclose(file);
    return status;
}

dt_status dt_file_digest(char *text, size_t size, const char *path) {
    dt_digester *digester;
    uint64_t bytes = 0;
    DT_TRY(dt_digester_create(&digester));
    dt_digester_start(digester);
    const dt_status status = add_file(digester, &bytes, path);
    if (status == DT_OK) {
        snprintf(text, size, "%" PRIu64 "-%s", bytes, dt_digester_finish(digester).text);
    }
    dt_digester_destroy(&digester);
    return status;
}
