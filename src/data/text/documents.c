/* Reads the files of a running text in their order, and tells where documents and parts begin. */
#define _GNU_SOURCE /* memmem */
#include "documents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "dtrain/core/line.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/work.h"
#include "dtrain/data/tokenizer.h"

/* Bytes read at a time. */
enum { BLOCK = 1 << 20 };

/* Bytes of a character behind the first, at most. */
enum { CONTINUATION = 3 };

typedef struct {
    char *path;
    uint64_t size, begin; /* begin: in all bytes */
    struct timespec time; /* when it was last written to */
} text_file;

/* Bytes of the whole that are learned, validated on, or for tests. */
typedef struct {
    dt_split split;
    uint64_t end;
} text_part;

struct dt_documents {
    text_file *file; /* (files) */
    size_t files, capacity;
    size_t text; /* files of --text; behind them come those of --validation-text */
    uint64_t bytes;
    bool characters;
    text_part part[DT_SPLITS]; /* in their order */
    const char *separator[2];  /* lines that end a document; NULL: only the first */
    size_t longest;            /* bytes of the longer one */
    /* where reading has come to */
    const char *what;
    size_t number; /* of the file */
    int descriptor;
    uint64_t offset; /* of the block in that file */
    char *block;
    size_t got, at;     /* bytes in it, and how many of them are done */
    size_t now;         /* the part */
    bool begins, ended; /* a document begins here; the file ends with this block */
    char before;        /* the byte before */
    dt_digester *digester;
};

/* ---- files ---- */

static dt_status add_file(dt_documents *d, const char *path, const struct stat *info) {
    DT_TRY(dt_memory_grow(&d->file, &d->capacity, d->files + 1, sizeof *d->file,
                          "the files of a text"));
    text_file *file = &d->file[d->files];
    *file = (text_file){.size = (uint64_t)info->st_size, .begin = d->bytes, .time = info->st_mtim};
    const size_t length = strlen(path);
    DT_TRY(dt_memory_alloc(&file->path, length + 1, 1, "the files of a text"));
    memcpy(file->path, path, length);
    d->files++;
    d->bytes += file->size;
    return DT_OK;
}

static int is_shown(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int compare_names(const struct dirent **x, const struct dirent **y) {
    return strcmp((*x)->d_name, (*y)->d_name);
}

static bool is_folder_of(const struct stat *info, const char *out) {
    struct stat other;
    return *out && stat(out, &other) == 0 && other.st_dev == info->st_dev &&
           other.st_ino == info->st_ino;
}

static dt_status add_path(dt_documents *d, const char *path, const char *out, bool named);

static dt_status add_folder(dt_documents *d, const char *folder, const char *out) {
    struct dirent **entry = NULL;
    const int count = scandir(folder, &entry, is_shown, compare_names);
    DT_REQUIRE(count >= 0, DT_ERR_NO_INPUT, "cannot look into the folder %s: %s", folder,
               strerror(errno));
    dt_status status = DT_OK;
    for (int i = 0; i < count; i++) {
        char path[DT_PATH_MAX];
        const int length = snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        free(entry[i]);
        if (status != DT_OK) continue;
        if (length < (int)sizeof path) {
            status = add_path(d, path, out, false);
        } else {
            status = dt_error_raise(DT_ERR_NO_INPUT, __FILE__, __LINE__,
                                    "cannot read %.80s…: the name is too long", path);
        }
    }
    free(entry);
    return status;
}

/* named: by the settings; of what is found in a folder, only files and folders count. */
static dt_status add_path(dt_documents *d, const char *path, const char *out, bool named) {
    struct stat info;
    /* A link to a folder may lead in a circle. */
    if (!named && lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && stat(path, &info) == 0 &&
        S_ISDIR(info.st_mode))
        return DT_OK;
    DT_REQUIRE(stat(path, &info) == 0, DT_ERR_NO_INPUT, "cannot read %s: %s", path,
               strerror(errno));
    if (S_ISDIR(info.st_mode)) return is_folder_of(&info, out) ? DT_OK : add_folder(d, path, out);
    if (S_ISREG(info.st_mode)) return add_file(d, path, &info);
    DT_REQUIRE(!named, DT_ERR_NO_INPUT, "cannot read %s: it is neither a file nor a folder", path);
    return DT_OK;
}

/* All paths of a setting. */
static dt_status add_paths(dt_documents *d, const char *list, const char *out) {
    for (const char *at = list; *at;) {
        char path[DT_PATH_MAX];
        const size_t length = strcspn(at, ":"), before = d->files;
        snprintf(path, sizeof path, "%.*s", (int)length, at);
        DT_TRY(add_path(d, path, out, true));
        DT_REQUIRE(d->files > before, DT_ERR_NO_INPUT, "the folder %s has no file to read", path);
        at += length + (at[length] == ':');
    }
    return DT_OK;
}

/* text: bytes without those of --validation-text. */
static void lay_out_parts(dt_documents *d, const dt_config *config, uint64_t text) {
    const uint64_t tests = (uint64_t)((double)text * config->test_share);
    const uint64_t validation = (uint64_t)((double)text * config->validation_share);
    if (d->bytes > text || config->validation_text[0]) {
        d->part[0] = (text_part){DT_TRAIN, text - tests};
        d->part[1] = (text_part){DT_TEST, text};
        d->part[2] = (text_part){DT_VALIDATION, d->bytes};
    } else {
        d->part[0] = (text_part){DT_TRAIN, text - tests - validation};
        d->part[1] = (text_part){DT_VALIDATION, text - tests};
        d->part[2] = (text_part){DT_TEST, text};
    }
}

static dt_status find_files(dt_documents *d, const dt_config *config) {
    DT_TRY(add_paths(d, config->text, config->out));
    const uint64_t text = d->bytes;
    d->text = d->files;
    DT_TRY(add_paths(d, config->validation_text, config->out));
    lay_out_parts(d, config, text);
    d->separator[0] = DT_END_OF_DOCUMENT;
    if (config->document_separator[0]) d->separator[1] = config->document_separator;
    for (size_t i = 0; i < 2 && d->separator[i]; i++)
        d->longest = dt_max_size(d->longest, strlen(d->separator[i]));
    return DT_OK;
}

dt_status dt_documents_open(dt_documents **documents, const dt_config *config, bool characters) {
    dt_documents *d = NULL;
    dt_status status;
    *documents = NULL;
    DT_TRY_DONE(dt_memory_alloc(&d, 1, sizeof *d, "the files of a text"));
    d->descriptor = -1;
    d->characters = characters;
    DT_TRY_DONE(find_files(d, config));
    DT_TRY_DONE(dt_memory_alloc(&d->block, BLOCK, 1, "a block of a file"));
    DT_TRY_DONE(dt_digester_create(&d->digester));
    *documents = d;
    d = NULL;
done:
    dt_documents_close(&d);
    return status;
}

static void close_file(dt_documents *d) {
    if (d->descriptor >= 0) close(d->descriptor);
    d->descriptor = -1;
}

void dt_documents_close(dt_documents **documents) {
    dt_documents *d = *documents;
    if (!d) return;
    close_file(d);
    for (size_t i = 0; i < d->files; i++) dt_memory_free(&d->file[i].path);
    dt_memory_free(&d->file);
    dt_memory_free(&d->block);
    dt_digester_destroy(&d->digester);
    dt_memory_free(documents);
}

uint64_t dt_documents_bytes(const dt_documents *d) { return d->bytes; }

dt_digest dt_documents_stamp(const dt_documents *d) {
    dt_digest stamp = {""};
    for (size_t i = 0; i < d->files; i++) {
        char line[256];
        const text_file *file = &d->file[i];
        snprintf(line, sizeof line, "%s %" PRIu64 " %lld %ld", stamp.text, file->size,
                 (long long)file->time.tv_sec, file->time.tv_nsec);
        stamp = dt_digest_of(line, strlen(line));
    }
    return stamp;
}

void dt_documents_digest(char digest[DT_FILE_DIGEST_MAX + 1], const dt_documents *d) {
    snprintf(digest, DT_FILE_DIGEST_MAX + 1, "%" PRIu64 "-%s", d->bytes,
             dt_digester_finish(d->digester).text);
}

/* ---- reading ---- */

void dt_documents_rewind(dt_documents *d, const char *what) {
    d->what = what;
    close_file(d);
    d->number = d->now = 0;
    d->got = d->at = 0;
    d->offset = 0;
    d->ended = true;
    dt_digester_start(d->digester);
}

/* Of the file before, so that the same bytes in other files are another text. */
static void add_size(dt_documents *d) {
    char size[64];
    const int length = snprintf(size, sizeof size, "\n%" PRIu64 "%s\n", d->file[d->number - 1].size,
                                d->number == d->text ? " validation" : "");
    dt_digester_add(d->digester, size, (size_t)length);
}

static dt_status open_file(dt_documents *d) {
    const text_file *file = &d->file[d->number];
    d->descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    DT_REQUIRE(d->descriptor >= 0, DT_ERR_NO_INPUT, "cannot read %s: %s", file->path,
               strerror(errno));
    d->offset = 0;
    d->got = d->at = 0;
    d->begins = true;
    d->before = '\n';
    d->ended = false;
    return DT_OK;
}

/* Move what is not done to the beginning of the block, and fill it. */
static dt_status fill_block(dt_documents *d) {
    const text_file *file = &d->file[d->number];
    size_t more;
    const size_t kept = d->got - d->at;
    memmove(d->block, d->block + d->at, kept);
    d->offset += d->at;
    d->at = 0;
    const int error =
        dt_bytes_read(&more, d->block + kept, BLOCK - kept, d->descriptor, d->offset + kept);
    DT_REQUIRE(!error, DT_ERR_IO, "%s cannot be read: %s", file->path, strerror(error));
    dt_digester_add(d->digester, d->block + kept, more);
    d->got = kept + more;
    d->ended = d->got < BLOCK;
    DT_TRY(dt_work_tell(d->what, file->begin + d->offset + d->got, d->bytes));
    DT_REQUIRE(!d->ended || d->offset + d->got == file->size, DT_ERR_DATA,
               "%s is being written to; start again when it is complete", file->path);
    return DT_OK;
}

/* Bytes of the line's end at a byte of the block; 0: there is none. */
static size_t line_end(const dt_documents *d, size_t at) {
    if (at < d->got && d->block[at] == '\n') return 1;
    return at + 1 < d->got && d->block[at] == '\r' && d->block[at + 1] == '\n' ? 2 : 0;
}

/* Whether the line that begins at a byte of the block is this separator; *length: of it. */
static bool is_separator(size_t *length, const dt_documents *d, size_t at, const char *separator) {
    const size_t count = strlen(separator);
    const char previous = at > d->at ? d->block[at - 1] : d->before;
    if (previous != '\n' || d->got - at < count) return false;
    const size_t end = line_end(d, at + count);
    *length = count + end;
    return end > 0 || (d->ended && at + count == d->got);
}

/* The next line that is this separator, from d->at on to `limit`; limit: there is none. */
static size_t find_separator(size_t *length, const dt_documents *d, const char *separator,
                             size_t limit) {
    const char *at = d->block + d->at, *end = d->block + d->got;
    while ((at = memmem(at, (size_t)(end - at), separator, strlen(separator)))) {
        const size_t offset = (size_t)(at - d->block);
        if (offset >= limit) break;
        if (is_separator(length, d, offset, separator)) return offset;
        at++;
    }
    return limit;
}

/* The next line that ends a document; *length: 0: there is none before `limit`. */
static size_t find_end(size_t *length, const dt_documents *d, size_t limit) {
    size_t first = limit;
    *length = 0;
    for (size_t i = 0; i < 2 && d->separator[i]; i++) {
        size_t own;
        const size_t at = find_separator(&own, d, d->separator[i], first);
        if (at == first) continue;
        first = at;
        *length = own;
    }
    return first;
}

static bool goes_on(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

/* The last bytes of a block are looked at together with the next one. */
static size_t sure_bytes(const dt_documents *d) {
    const size_t open = d->longest + 2 + CONTINUATION; /* with the end of the line */
    return d->ended ? d->got : d->got - open;
}

/* Up to where the current part reaches in the block; parts that are over are left. */
static size_t end_of_part(dt_documents *d, size_t limit) {
    const uint64_t begin = d->file[d->number].begin + d->offset;
    while (d->now + 1 < DT_SPLITS) {
        const uint64_t end = d->part[d->now].end;
        if (begin + limit <= end) return limit;
        size_t at = end > begin ? (size_t)(end - begin) : 0;
        for (size_t i = 0; d->characters && i < CONTINUATION && at < d->got; i++)
            at += goes_on(d->block[at]);
        if (at > d->at) return dt_min_size(at, limit);
        d->now++;
    }
    return limit;
}

/* Take bytes up to `end`. */
static void take(dt_document_piece *piece, dt_documents *d, size_t end) {
    *piece = (dt_document_piece){.bytes = d->block + d->at,
                                 .count = end - d->at,
                                 .split = d->part[d->now].split,
                                 .begins = d->begins,
                                 .path = d->file[d->number].path,
                                 .offset = d->offset + d->at};
    d->begins = false;
    d->before = d->block[end - 1];
    d->at = end;
}

dt_status dt_documents_next(dt_document_piece *piece, bool *found, dt_documents *d) {
    *found = false;
    for (;;) {
        if (d->descriptor < 0) {
            if (d->number == d->files) return DT_OK;
            if (d->number > 0) add_size(d);
            DT_TRY(open_file(d));
            DT_TRY(fill_block(d));
            d->at = dt_line_mark(d->block, d->got);
        }
        size_t length = 0, end = sure_bytes(d);
        if (d->at >= end && d->ended) {
            close_file(d);
            d->number++;
            continue;
        }
        if (d->at >= end) {
            DT_TRY(fill_block(d));
            continue;
        }
        const size_t line = find_end(&length, d, end);
        if (line == d->at && length > 0) {
            d->at += length;
            d->begins = true;
            d->before = '\n';
            continue;
        }
        end = end_of_part(d, line);
        take(piece, d, end);
        *found = true;
        return DT_OK;
    }
}

/* ---- bad bytes ---- */

dt_status dt_documents_raise_byte(const char *path, uint64_t offset, const char *what) {
    char block[1 << 14], byte = 0;
    uint64_t lines = 1, begin = 0;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    for (uint64_t at = 0; file >= 0 && at <= offset;) {
        size_t got = 0;
        if (dt_bytes_read(&got, block, sizeof block, file, at) != 0 || got == 0) break;
        for (size_t i = 0; i < got && at + i <= offset; i++) {
            byte = block[i];
            if (byte != '\n' || at + i == offset) continue;
            lines++;
            begin = at + i + 1;
        }
        at += got;
    }
    if (file >= 0) close(file);
    DT_RAISE(DT_ERR_DATA, "%s:%" PRIu64 ": byte %" PRIu64 " (0x%02x) %s", path, lines,
             offset - begin + 1, (unsigned)(unsigned char)byte, what);
}
