/* Reads the counts of an evaluation that eval has printed as JSON. */
#include <errno.h>
#include <stdio.h>

#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "dtrain/picture/grid.h"

/* The whole file, ended by NUL. */
static dt_status read_file(char **text, const char *path) {
    enum { MOST = 1 << 24 };
    size_t capacity = 0, length = 0, got;
    char reason[128];
    dt_status status = DT_OK;
    FILE *file = fopen(path, "re");
    DT_REQUIRE(file, DT_ERR_NO_INPUT, "%s cannot be read: %s", path, dt_file_reason(errno, reason));
    do {
        DT_TRY_DONE(dt_memory_grow(text, &capacity, length + 65536 + 1, 1, path));
        got = fread(*text + length, 1, 65536, file);
        length += got;
    } while (got > 0 && length < MOST);
    DT_REQUIRE_DONE(!ferror(file) && length < MOST, DT_ERR_NO_INPUT,
                    "%s cannot be read, or is larger than %d bytes", path, MOST);
    (*text)[length] = '\0';
done:
    fclose(file);
    return status;
}

/* The kind of data whose counts are in the object. */
static dt_status read_counts(int64_t **tally, const dt_grid_kind **kind, const dt_json *json,
                             const char *path) {
    for (const dt_source_kind *const *source = dt_source_kinds; *source; source++) {
        bool found;
        if (!(*source)->grid) continue;
        DT_TRY(dt_memory_alloc(tally, (*source)->tally_values, sizeof **tally,
                               "the counts of a grid"));
        DT_TRY((*source)->grid->read(&found, *tally, json, path));
        *kind = (*source)->grid;
        if (found) return DT_OK;
        dt_memory_free(tally);
    }
    DT_RAISE(DT_ERR_DATA, "%s: holds no counts; eval --json prints some", path);
}

dt_status dt_grid_read(int64_t **tally, const dt_grid_kind **kind, const char *path) {
    char *text = NULL, wrong[512];
    dt_json json = {0};
    dt_status status;
    *tally = NULL;
    DT_TRY_DONE(read_file(&text, path));
    status = dt_json_parse(&json, text, path);
    snprintf(wrong, sizeof wrong, "%s", dt_error_text());
    DT_REQUIRE_DONE(status != DT_ERR_DATA, DT_ERR_DATA, "%s; is it what eval --json printed?",
                    wrong);
    if (status == DT_OK) status = read_counts(tally, kind, &json, path);
done:
    if (status != DT_OK) dt_memory_free(tally);
    dt_json_destroy(&json);
    dt_memory_free(&text);
    return status;
}
