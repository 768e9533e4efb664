/* cJSON, with errors as values. */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"

dt_status json_parse(cJSON **object, const char *text, size_t length, const char *name) {
    const char *end = text;
    *object = cJSON_ParseWithLengthOpts(text, length, &end, false);
    DT_REQUIRE(*object, DT_ERR_DATA, "%s: byte %zu: this is no JSON, or too deep", name,
               (size_t)(end - text) + 1);
    while (end < text + length && strchr(" \t\r\n", *end) && *end) end++;
    if (end == text + length && cJSON_IsObject(*object)) return DT_OK;
    const bool more = end != text + length;
    cJSON_Delete(*object);
    *object = NULL;
    DT_RAISE(DT_ERR_DATA,
             more ? "%s: there is something behind the JSON object" : "%s: is no JSON object",
             name);
}

dt_status json_read(cJSON **object, const char *path, size_t most) {
    struct stat info;
    char *text = NULL, reason[128];
    dt_status status;
    *object = NULL;
    DT_REQUIRE(stat(path, &info) == 0, DT_ERR_NO_INPUT, "cannot read %s: %s", path,
               dt_file_reason(errno, reason));
    DT_REQUIRE(S_ISREG(info.st_mode), DT_ERR_NO_INPUT, "cannot read %s: it is no file", path);
    DT_REQUIRE((uint64_t)info.st_size <= most, DT_ERR_DATA, "%s has %lld bytes; %zu are the most",
               path, (long long)info.st_size, most);
    FILE *file = fopen(path, "re");
    DT_REQUIRE(file, DT_ERR_NO_INPUT, "cannot read %s: %s", path, dt_file_reason(errno, reason));
    const size_t size = (size_t)info.st_size;
    DT_TRY_DONE(dt_memory_alloc(&text, size + 1, 1, "a file of JSON"));
    DT_REQUIRE_DONE(fread(text, 1, size, file) == size, DT_ERR_IO, "cannot read %s", path);
    status = json_parse(object, text, size, path);
done:
    dt_memory_free(&text);
    fclose(file);
    return status;
}

bool json_whole(uint64_t *number, const cJSON *value) {
    const double most = 9007199254740992.0; /* 2^53 */
    if (!cJSON_IsNumber(value)) return false;
    const double found = value->valuedouble;
    if (!(found >= 0 && found <= most) || found != (double)(uint64_t)found) return false;
    *number = (uint64_t)found;
    return true;
}
