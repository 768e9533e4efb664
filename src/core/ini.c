/* The configuration as an ini file: read strictly, written so that it reads back the same. */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/config.h"
#include "dtrain/core/memory.h"

/* More than any configuration needs: a larger file was named by mistake. */
enum { FILE_MAX = 1 << 20 };

typedef struct {
    dt_config *config;
    const char *name; /* of the file, for messages */
    const char *rest; /* the text that is still to be read */
    int line;         /* number of the line read last */
    bool indented;    /* that line begins with a space: inih adds it to the value before */
    int *set_on;      /* line on which each setting was set; 0: not yet */
    dt_status status;
} reader;

static dt_status set_from_line(reader *in, const char *section, const char *key,
                               const char *value) {
    const dt_setting *setting = dt_setting_find(key);
    if (!setting) {
        const char *nearest = dt_setting_nearest(key);
        DT_REQUIRE(nearest, DT_ERR_ARG, "%s:%d: there is no setting \"%s\"", in->name, in->line,
                   key);
        DT_RAISE(DT_ERR_ARG, "%s:%d: there is no setting \"%s\" (did you mean \"%s\"?)", in->name,
                 in->line, key, nearest);
    }
    size_t i = 0;
    while (dt_setting_at(i) != setting) i++;
    DT_REQUIRE(!in->set_on[i] || !in->indented, DT_ERR_ARG,
               "%s:%d: a line after a setting must not begin with a space", in->name, in->line);
    char list[2 * DT_PATH_MAX];
    if (in->set_on[i] && setting->type == DT_SETTING_PATHS) {
        char before[DT_PATH_MAX];
        dt_config_text(before, sizeof before, in->config, setting);
        snprintf(list, sizeof list, "%s:%s", before, value);
        value = list;
    }
    DT_REQUIRE(!in->set_on[i] || setting->type == DT_SETTING_PATHS, DT_ERR_ARG,
               "%s:%d: \"%s\" is set a second time; line %d sets it too", in->name, in->line, key,
               in->set_on[i]);
    DT_REQUIRE(strcmp(section, setting->section) == 0, DT_ERR_ARG,
               "%s:%d: \"%s\" belongs to section [%s], not %s%s%s", in->name, in->line, key,
               setting->section, *section ? "[" : "before the first section", section,
               *section ? "]" : "");
    in->set_on[i] = in->line;
    char where[DT_PATH_MAX + 64];
    snprintf(where, sizeof where, "%s:%d: %s", in->name, in->line, key);
    return dt_config_set(in->config, setting, value, where);
}

/* inih calls this for each line "key = value", and wants 1 if all is well. */
static int take_pair(void *user, const char *section, const char *key, const char *value) {
    reader *in = user;
    if (in->status == DT_OK) in->status = set_from_line(in, section, key, value);
    return in->status == DT_OK;
}

/* inih calls this as it would fgets. Lines it would cut are an error here. */
static char *take_line(char *buffer, int size, void *user) {
    reader *in = user;
    if (in->status != DT_OK || !*in->rest) return NULL;
    in->line++;
    const size_t length = strcspn(in->rest, "\n");
    if (length + 2 > (size_t)size) {
        in->status = dt_error_raise(DT_ERR_ARG, __FILE__, __LINE__,
                                    "%s:%d: the line is %zu bytes long; %d are the most", in->name,
                                    in->line, length, size - 2);
        return NULL;
    }
    memcpy(buffer, in->rest, length);
    memcpy(buffer + length, "\n", 2);
    in->indented = *buffer == ' ' || *buffer == '\t';
    in->rest += length + (in->rest[length] == '\n');
    return buffer;
}

dt_status dt_config_parse(dt_config *config, const char *ini, const char *name) {
    dt_config read = *config;
    reader in = {.config = &read, .name = name, .rest = ini, .status = DT_OK};
    DT_TRY(dt_memory_alloc(&in.set_on, dt_setting_count(), sizeof *in.set_on, "settings"));
    const int bad_line = ini_parse_stream(take_line, &in, take_pair, &in);
    dt_memory_free(&in.set_on);
    /* inih goes on after a line that it does not understand, and tells only the first. */
    DT_REQUIRE(bad_line <= 0 || (in.status != DT_OK && bad_line >= in.line), DT_ERR_ARG,
               "%s:%d: neither \"[section]\" nor \"setting = value\" nor a comment (# or ;)", name,
               bad_line);
    DT_TRY(in.status);
    DT_REQUIRE(bad_line == 0, DT_ERR_MEMORY, "%s: out of memory while reading it", name);
    *config = read;
    return DT_OK;
}

dt_status dt_config_read(dt_config *config, const char *path) {
    dt_status status = DT_OK;
    char *text = NULL;
    FILE *file = fopen(path, "rb");
    DT_REQUIRE(file, DT_ERR_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
    DT_TRY_DONE(dt_memory_alloc(&text, FILE_MAX + 1, 1, "the configuration file"));
    errno = 0;
    const size_t length = fread(text, 1, FILE_MAX + 1, file);
    DT_REQUIRE_DONE(!ferror(file), DT_ERR_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
    DT_REQUIRE_DONE(length <= FILE_MAX && !memchr(text, '\0', length), DT_ERR_ARG,
                    "%s is not a configuration: %s", path,
                    length > FILE_MAX ? "larger than 1 MiB" : "it is not text");
    DT_TRY_DONE(dt_config_parse(config, text, path));
done:
    dt_memory_free(&text);
    fclose(file);
    return status;
}

dt_status dt_config_format(char **ini, const dt_config *config, bool kept_only) {
    enum { LINE = DT_PATH_MAX + 64 };
    const size_t size = dt_setting_count() * LINE;
    DT_TRY(dt_memory_alloc(ini, size, 1, "the configuration's text"));
    const char *section = "";
    size_t length = 0;
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (kept_only && !dt_config_keeps(config, setting)) continue;
        if (strcmp(section, setting->section) != 0) {
            section = setting->section;
            length +=
                (size_t)snprintf(*ini + length, size - length, "%s[%s]\n", i ? "\n" : "", section);
        }
        char value[DT_PATH_MAX];
        dt_config_text(value, sizeof value, config, setting);
        /* A line for each of several paths. */
        for (const char *at = value;; at++) {
            const bool paths = setting->type == DT_SETTING_PATHS;
            const size_t count = paths ? strcspn(at, ":") : strlen(at);
            length += (size_t)snprintf(*ini + length, size - length, "%s = %.*s\n", setting->name,
                                       (int)count, at);
            at += count;
            if (!*at) break;
        }
    }
    return DT_OK;
}
