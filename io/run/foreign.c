/* Finds what is in the folder of a run that dtrain has not made there. */
#define _GNU_SOURCE /* memmem */
#include "dtrain/folder/foreign.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "dtrain/folder/run_folder.h"

/* ---- checkpoints ---- */

static bool begins_with(const char *text, const char *beginning) {
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Names as copying and downloading make them: "best.h5", "latest (1).h5", "checkpoint-20.h5.part".
 */
static bool looks_like_checkpoint(const char *name) {
    return (begins_with(name, "checkpoint-") || begins_with(name, "best") ||
            begins_with(name, "latest")) &&
           strstr(name, ".h5");
}

/* best.h5 comes before latest.h5, and both before all other names. */
static bool comes_before(const char *name, const char *other) {
    static const char *const first[] = {"best.h5", "latest.h5"};
    for (size_t i = 0; i < sizeof first / sizeof *first && *other; i++) {
        if (strcmp(name, first[i]) == 0) return true;
        if (strcmp(other, first[i]) == 0) return false;
    }
    return !*other || strcmp(name, other) < 0;
}

static dt_status find_checkpoint(dt_foreign *found, const char *folder) {
    char text[128];
    DIR *entries = opendir(folder);
    if (!entries && (errno == ENOENT || errno == ENOTDIR)) return DT_OK;
    DT_REQUIRE(entries, DT_ERR_NO_INPUT, "cannot look into the folder %s: %s", folder,
               dt_file_reason(errno, text));
    for (struct dirent *entry; (entry = readdir(entries));) {
        const char *name = entry->d_name;
        struct stat info;
        if (!looks_like_checkpoint(name) || dt_run_owns(folder, name)) continue;
        if (fstatat(dirfd(entries), name, &info, 0) != 0 || !S_ISREG(info.st_mode)) continue;
        if (comes_before(name, found->checkpoint))
            snprintf(found->checkpoint, sizeof found->checkpoint, "%s", name);
    }
    closedir(entries);
    return DT_OK;
}

/* ---- texts ---- */

/* The beginning of a file, at most size - 1 bytes. False: there is no such file. */
static bool read_beginning(char *text, size_t size, const char *folder, const char *name) {
    char path[DT_PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) return false;
    FILE *file = fopen(path, "rbe");
    if (!file) return false;
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    return true;
}

/* All settings and nothing else, as dt_config_format writes them. Not compared with what it would
 * write now: another version may know other settings. */
static bool is_own_form(const char *ini) {
    size_t settings = 0;
    for (const char *line = ini; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (*line == '[' || *line == '\n') continue;
        if (!isalpha((unsigned char)*line)) return false;
        settings++;
    }
    return !strstr(ini, " ;") && !strchr(ini, '\r') && settings > dt_setting_count() / 2;
}

static dt_status look_at_settings(dt_foreign *found, const char *folder) {
    enum { SIZE = 1 << 20 };
    char *ini = NULL, path[DT_PATH_MAX];
    struct stat info;
    dt_config config;
    dt_status status;
    const int length = snprintf(path, sizeof path, "%s/config.ini", folder);
    if ((size_t)length >= sizeof path || lstat(path, &info) != 0) return DT_OK;
    if (stat(path, &info) != 0) { /* a link to nothing */
        found->settings = DT_SETTINGS_PERSON;
        return DT_OK;
    }
    DT_TRY_DONE(dt_memory_alloc(&ini, SIZE, 1, "config.ini"));
    dt_config_defaults(&config);
    if (dt_config_read(&config, path) == DT_OK && read_beginning(ini, SIZE, folder, "config.ini")) {
        found->settings = is_own_form(ini) ? DT_SETTINGS_OWN : DT_SETTINGS_PERSON;
    } else {
        found->settings = DT_SETTINGS_FOREIGN;
        snprintf(found->why, sizeof found->why, "%.500s", dt_error_text());
        dt_error_clear();
    }
done:
    dt_memory_free(&ini);
    return status;
}

/* dtrain's begins with an event. */
static bool is_foreign_log(const char *folder) {
    char text[32];
    return read_beginning(text, sizeof text, folder, "log.jsonl") && *text &&
           !begins_with(text, "{\"event\":\"") && !begins_with(text, "\n{\"event\":\"");
}

dt_status dt_foreign_find(dt_foreign *found, const char *folder) {
    memset(found, 0, sizeof *found);
    DT_TRY(find_checkpoint(found, folder));
    DT_TRY(look_at_settings(found, folder));
    found->log = is_foreign_log(folder);
    return DT_OK;
}

/* ---- pictures ---- */

/* Whether one of the texts is in the file; overlapping blocks, so that none is cut in two. */
static bool holds_one_of(FILE *file, const char *const *text, size_t texts) {
    enum { BLOCK = 1 << 16, OVERLAP = 64 };
    char block[BLOCK + OVERLAP];
    size_t kept = 0, got;
    while ((got = fread(block + kept, 1, BLOCK, file)) > 0) {
        const size_t size = kept + got;
        for (size_t i = 0; i < texts; i++) {
            if (memmem(block, size, text[i], strlen(text[i]))) return true;
        }
        kept = size < OVERLAP ? size : OVERLAP;
        memmove(block, block + size - kept, kept);
    }
    return false;
}

bool dt_foreign_is_picture(const char *path) {
    /* What is in every picture of curves, in every one of wrong answers, and in every page. */
    static const char *const OWN[] = {
        "loss (nats per token)", "wrong answers:", "<meta name=\"generator\" content=\"dtrain\">"};
    struct stat info;
    if (lstat(path, &info) != 0) return false;
    FILE *file = S_ISREG(info.st_mode) ? fopen(path, "re") : NULL;
    const bool own = file && holds_one_of(file, OWN, sizeof OWN / sizeof *OWN);
    if (file) fclose(file);
    return !own;
}
