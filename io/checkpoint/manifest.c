/* Computes the digest by which any damage to a checkpoint is noticed. */
#include "manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"

/* The types as numpy writes them, so that a recomputation in Python needs no table. */
static void type_code(char code[24], dt_stored_type type) {
    static const char *const number[] = {[DT_STORED_INT64] = "<i8",
                                         [DT_STORED_FLOAT32] = "<f4",
                                         [DT_STORED_FLOAT64] = "<f8",
                                         [DT_STORED_UINT8] = "|u1"};
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
