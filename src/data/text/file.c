/* Reads a file of text where it stands, so that it may be larger than memory, and tells whether it
 * is still the one that a run learns from. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "dtrain/core/memory.h"

dt_status dt_text_file_open(dt_text_file *file, const char *path, const char *parts) {
    snprintf(file->path, sizeof file->path, "%s", path);
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    DT_REQUIRE(file->descriptor >= 0, DT_ERR_NO_INPUT, "cannot read %s: %s", path, strerror(errno));
    DT_REQUIRE(fstat(file->descriptor, &file->info) == 0, DT_ERR_NO_INPUT, "cannot read %s: %s",
               path, strerror(errno));
    DT_REQUIRE(S_ISREG(file->info.st_mode), DT_ERR_NO_INPUT,
               "cannot read %s: it is no regular file, and its %s are read in any order", path,
               parts);
    return DT_OK;
}

void dt_text_file_close(dt_text_file *file) {
    if (file->descriptor >= 0) close(file->descriptor);
    file->descriptor = -1;
}

dt_status dt_text_file_read(size_t *got, char *to, size_t size, const dt_text_file *file,
                            uint64_t offset) {
    const int error = dt_bytes_read(got, to, size, file->descriptor, offset);
    DT_REQUIRE(!error, DT_ERR_IO, "%s cannot be read: %s", file->path, strerror(error));
    return DT_OK;
}

/* Whether the file still holds what was looked through. */
static dt_status compare_bytes(bool *same, const dt_text_file *file) {
    char *block = NULL;
    dt_digester *digester = NULL;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&block, DT_TEXT_BLOCK, 1, "a block of a file"));
    DT_TRY_DONE(dt_digester_create(&digester));
    dt_digester_start(digester);
    for (uint64_t offset = 0; offset < (uint64_t)file->info.st_size;) {
        size_t got;
        DT_TRY_DONE(dt_text_file_read(&got, block, DT_TEXT_BLOCK, file, offset));
        if (got == 0) break; /* the digest will be another one */
        dt_digester_add(digester, block, got);
        offset += got;
    }
    *same = strcmp(dt_digester_finish(digester).text, file->digest.text) == 0;
done:
    dt_digester_destroy(&digester);
    dt_memory_free(&block);
    return status;
}

dt_status dt_text_file_check(dt_text_file *file) {
    struct stat now;
    DT_REQUIRE(fstat(file->descriptor, &now) == 0, DT_ERR_IO, "%s cannot be read: %s", file->path,
               strerror(errno));
    const struct stat *then = &file->info;
    bool same = now.st_size == then->st_size;
    if (same && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == then->st_mtim.tv_nsec)
        return DT_OK;
    /* Perhaps only its time is another one. */
    if (same) DT_TRY(compare_bytes(&same, file));
    DT_REQUIRE(same, DT_ERR_DATA,
               "%s has been written to while it was trained on; put it back as it was and start "
               "again, or begin a new run with another --out DIR or --fresh",
               file->path);
    file->info = now;
    return DT_OK;
}

/* ---- the text of a run ---- */

dt_status dt_run_text_digest(char digest[DT_FILE_DIGEST_MAX + 1], const dt_config *config,
                             const char *path, const char *setting) {
    struct stat info;
    /* A pipe would be empty when it is opened again. */
    DT_REQUIRE(stat(path, &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode),
               DT_ERR_NO_INPUT, "cannot read %s: it is no regular file, and is read several times",
               path);
    DT_TRY(dt_file_digest(digest, DT_FILE_DIGEST_MAX + 1, path));
    return dt_run_text_compare(config, digest, path, setting);
}

dt_status dt_run_text_compare(const dt_config *config, const char *digest, const char *path,
                              const char *setting) {
    const char *wanted = config->train_digest;
    DT_REQUIRE(
        !wanted[0] || strcmp(wanted, digest) == 0, DT_ERR_DATA,
        "%s is not the text that the run learns from: that one has %.*s bytes and the XXH3 digest "
        "%s, and this one %.*s and %s; name the right file with --%s, or begin another run with "
        "--out DIR or --fresh",
        path, (int)strcspn(wanted, "-"), wanted,
        wanted + strcspn(wanted, "-") + (strchr(wanted, '-') != NULL), (int)strcspn(digest, "-"),
        digest, strchr(digest, '-') + 1, setting);
    return DT_OK;
}

dt_status dt_run_text_is_whole(const dt_text_file *file, const char *digest) {
    char size[32];
    snprintf(size, sizeof size, "%llu-", (unsigned long long)file->info.st_size);
    DT_REQUIRE(strncmp(size, digest, strlen(size)) == 0, DT_ERR_DATA,
               "%s is being written to; start again when it is complete", file->path);
    return DT_OK;
}

void dt_run_text_keep(dt_config *config, const char *digest) {
    memset(config->train_digest, 0, sizeof config->train_digest);
    memcpy(config->train_digest, digest, strlen(digest));
}
