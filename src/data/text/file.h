/* A file of text that is read where it stands, and what keeps a run to it. Private to
 * src/data/text. */
#ifndef DTRAIN_TEXT_FILE_H
#define DTRAIN_TEXT_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "dtrain/core/config.h"
#include "dtrain/core/digest.h"

/* Bytes read at a time when looking through a file. */
enum { DT_TEXT_BLOCK = 1 << 20 };

typedef struct {
    char path[DT_PATH_MAX];
    int descriptor;   /* -1: closed */
    struct stat info; /* when it was known to hold what was looked through */
    dt_digest digest; /* of that: the owner sets it */
} dt_text_file;

/* parts: what of it is read, for people: "lines". DT_ERR_NO_INPUT. */
dt_status dt_text_file_open(dt_text_file *file, const char *path, const char *parts);
void dt_text_file_close(dt_text_file *file);

/* All that was asked for, unless the file ends before. DT_ERR_IO. */
dt_status dt_text_file_read(size_t *got, char *to, size_t size, const dt_text_file *file,
                            uint64_t offset);

/* Whether the file still holds what was looked through: DT_ERR_DATA if not. Reads all of it again
 * where its time is another one. */
dt_status dt_text_file_check(dt_text_file *file);

/* ---- the text of a run ---- */

/**
 * What the file holds, which must be what the run learns from.
 *
 * @param setting  which one names the file: "train-file"
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA: it is another text than that of train-digest
 */
dt_status dt_run_text_digest(char digest[DT_FILE_DIGEST_MAX + 1], const dt_config *config,
                             const char *path, const char *setting);

/* Whether a digest, "1234-0a1b…" of 1234 bytes, is that of train-digest: DT_ERR_DATA if not. */
dt_status dt_run_text_compare(const dt_config *config, const char *digest, const char *path,
                              const char *setting);

/* Whether what was opened is what the digest is of: DT_ERR_DATA if it is not. */
dt_status dt_run_text_is_whole(const dt_text_file *file, const char *digest);

/* Hold the run to a text. */
void dt_run_text_keep(dt_config *config, const char *digest);

#endif
