/* Computes the digests by which any damage to a checkpoint is noticed. */
#include "digest.h"

#include "dtrain/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "dtrain/memory.h"

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

/* ---- other files ---- */

static dt_status add_file(dt_digester *digester, uint64_t *size, const char *path) {
    enum { BLOCK = 1 << 20 };
    char *block = NULL;
    dt_status status = DT_OK;
    FILE *file = fopen(path, "rb");
    DT_REQUIRE(file, DT_ERR_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
    DT_TRY_DONE(dt_memory_alloc(&block, BLOCK, 1, "a block of a file"));
    for (size_t got; (got = fread(block, 1, BLOCK, file)) > 0; *size += got) {
        dt_digester_add(digester, block, got);
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

/* ---- manifest ---- */

/* The types as numpy writes them, so that a recomputation in Python needs no table. */
static void type_code(char code[24], dt_stored_type type) {
    static const char *const number[] = {
        [DT_STORED_INT64] = "<i8", [DT_STORED_FLOAT32] = "<f4", [DT_STORED_FLOAT64] = "<f8"};
    if (type.kind == DT_STORED_TEXT) {
        snprintf(code, 24, "|S%zu", type.size);
    } else {
        snprintf(code, 24, "%s", number[type.kind]);
    }
}

static dt_status append(dt_manifest *manifest, const char *text, size_t length) {
    DT_TRY(dt_memory_grow(&manifest->text, &manifest->capacity, manifest->length + length, 1,
                          "the list of what a checkpoint holds"));
    memcpy(manifest->text + manifest->length, text, length);
    manifest->length += length;
    return DT_OK;
}

static dt_status end_line(dt_manifest *manifest) {
    manifest->lines++;
    return append(manifest, "\n", 1);
}

dt_status dt_manifest_add_attribute(dt_manifest *manifest, const char *path, const char *name,
                                    dt_stored_type type, const void *bytes) {
    char code[24];
    type_code(code, type);
    const char *words[] = {"attribute ", path, " ", name, " ", code, " "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        DT_TRY(append(manifest, words[i], strlen(words[i])));
    }
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < type.size; i++) {
        const char hex[2] = {"0123456789abcdef"[byte[i] >> 4], "0123456789abcdef"[byte[i] & 15]};
        DT_TRY(append(manifest, hex, sizeof hex));
    }
    return end_line(manifest);
}

dt_status dt_manifest_add_dataset(dt_manifest *manifest, const char *path, dt_stored_type type,
                                  size_t rank, const size_t *extent, const char *digest) {
    char code[24], shape[64] = "scalar";
    type_code(code, type);
    if (rank == 1) snprintf(shape, sizeof shape, "%zu", extent[0]);
    if (rank == 2) snprintf(shape, sizeof shape, "%zux%zu", extent[0], extent[1]);
    const char *words[] = {"dataset ", path, " ", code, " ", shape, " ", digest};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        DT_TRY(append(manifest, words[i], strlen(words[i])));
    }
    return end_line(manifest);
}

/* By bytes, up to the newline, which is smaller than any byte of a line. */
static int compare_lines(const void *x, const void *y) {
    const unsigned char *a, *b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, y, sizeof b);
    while (*a == *b && *a != '\n') a++, b++;
    return *a - *b;
}

dt_status dt_manifest_digest(dt_digest *digest, const dt_manifest *manifest) {
    dt_status status = DT_OK;
    const char **line = NULL;
    dt_digester *digester = NULL;
    DT_TRY_DONE(dt_memory_alloc(&line, manifest->lines, sizeof *line, "the lines of a manifest"));
    DT_TRY_DONE(dt_digester_create(&digester));
    const char *next = manifest->text;
    for (size_t i = 0; i < manifest->lines; i++) {
        line[i] = next;
        next = strchr(next, '\n') + 1;
    }
    qsort(line, manifest->lines, sizeof *line, compare_lines);
    dt_digester_start(digester);
    for (size_t i = 0; i < manifest->lines; i++) {
        dt_digester_add(digester, line[i], (size_t)(strchr(line[i], '\n') + 1 - line[i]));
    }
    *digest = dt_digester_finish(digester);
done:
    dt_digester_destroy(&digester);
    dt_memory_free(&line);
    return status;
}

void dt_manifest_clear(dt_manifest *manifest) {
    dt_memory_free(&manifest->text);
    *manifest = (dt_manifest){0};
}
