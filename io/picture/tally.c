/* Reads the counts of an evaluation that eval has printed as JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/arithmetic/analysis.h"
#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "dtrain/picture/grid.h"
#include "json.h"

/* A whole number below `end`; false if there is none. */
static bool read_whole(int64_t *number, const dt_json *json, const dt_json_value *of,
                       const char *key, double end) {
    const dt_json_value *value = dt_json_member(json, of, key);
    if (!value || value->kind != DT_JSON_NUMBER) return false;
    if (!(value->number >= 0 && value->number < end)) return false;
    *number = (int64_t)value->number;
    return (double)*number == value->number;
}

static bool read_count(dt_count *count, const dt_json *json, const dt_json_value *of) {
    const double end = 9007199254740992.0; /* 2^53 */
    return read_whole(&count->problems, json, of, "problems", end) &&
           read_whole(&count->right, json, of, "right", end) &&
           read_whole(&count->text, json, of, "exact_text", end) &&
           count->right <= count->problems && count->text <= count->problems;
}

/* Where the file has them. */
static bool read_splits(dt_tally *tally, const dt_json *json, const dt_json_value *of,
                        dt_operation op) {
    const dt_json_value *splits = dt_json_member(json, of, "splits");
    for (size_t split = 0; splits && split < DT_SPLITS; split++) {
        const char *name = dt_split_name((dt_split)split);
        if (!read_count(&tally->split[op][split], json, dt_json_member(json, splits, name))) {
            return false;
        }
    }
    return true;
}

static bool read_operation(dt_tally *tally, const dt_json *json, const dt_json_value *of,
                           dt_operation op) {
    const char *name = dt_difficulty_name(op);
    char list[32];
    snprintf(list, sizeof list, "by_%s", name ? name : "");
    const dt_json_value *v = dt_json_first(json, dt_json_member(json, of, "cells"));
    if (!v) return false;
    for (; v; v = dt_json_next(json, v)) {
        int64_t a, b;
        if (!read_whole(&a, json, v, "a_digits", DT_NUMBER_DIGITS) ||
            !read_whole(&b, json, v, "b_digits", DT_NUMBER_DIGITS) ||
            !read_count(&tally->length[op][dt_tally_index((size_t)a)][dt_tally_index((size_t)b)],
                        json, v)) {
            return false;
        }
    }
    v = name ? dt_json_first(json, dt_json_member(json, of, list)) : NULL;
    for (; v; v = dt_json_next(json, v)) {
        int64_t value;
        if (!read_whole(&value, json, v, name, DT_NUMBER_DIGITS) ||
            !read_count(&tally->difficulty[op][dt_tally_index((size_t)value)], json, v)) {
            return false;
        }
    }
    return read_splits(tally, json, of, op);
}

static dt_status read_operations(dt_tally *tally, const dt_json *json, const char *path) {
    size_t found = 0;
    for (int op = 0; op < DT_OPERATIONS; op++) {
        const char *name = dt_operation_name((dt_operation)op);
        const dt_json_value *of = dt_json_member(json, json->value, name);
        if (!of) continue;
        DT_REQUIRE(read_operation(tally, json, of, (dt_operation)op), DT_ERR_DATA,
                   "%s: the counts of \"%s\" are not those that eval --json prints", path, name);
        found++;
    }
    DT_REQUIRE(found > 0, DT_ERR_DATA, "%s: holds no counts; eval --json prints some", path);
    return DT_OK;
}

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

dt_status dt_grid_read(int64_t **tally, const char *path) {
    char *text = NULL;
    dt_json json = {0};
    dt_status status;
    *tally = NULL;
    DT_TRY_DONE(dt_memory_alloc(tally, DT_TALLY_VALUES, sizeof **tally, "the counts of a grid"));
    DT_TRY_DONE(read_file(&text, path));
    DT_TRY_DONE(dt_json_parse(&json, text, path));
    status = read_operations((dt_tally *)(void *)*tally, &json, path);
done:
    if (status != DT_OK) dt_memory_free(tally);
    dt_json_destroy(&json);
    dt_memory_free(&text);
    return status;
}

dt_count dt_grid_total(const int64_t *tally) {
    return dt_tally_all((const dt_tally *)(const void *)tally);
}
