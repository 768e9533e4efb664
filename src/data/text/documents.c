/* Reads the files of a running text in their order, and tells where documents and parts begin. */
#define _GNU_SOURCE /* memmem */
#include "documents.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/line.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/tokenizer.h"

/* Bytes read at a time. */
enum { BLOCK = 1 << 20 };

/* Of all bytes: for validation, and as many for tests. */
enum { HELD_OUT = 20 };

/* Bytes of a character behind the first, at most. */
enum { CONTINUATION = 3 };

typedef struct {
    char *path;
    uint64_t size, begin; /* begin: in all bytes */
    struct timespec time; /* when it was last written to */
} text_file;

struct dt_documents {
    text_file *file; /* (files) */
    size_t files, capacity;
    uint64_t bytes;
    bool characters;
    uint64_t end[DT_SPLITS]; /* of the parts, in all bytes */
    /* where reading has come to */
    size_t number; /* of the file */
    int descriptor;
    uint64_t offset; /* of the block in that file */
    char *block;
    size_t got, at, split; /* bytes in it, and how many of them are done; part */
    bool begins, ended;    /* a document begins here; the file ends with this block */
    char before;           /* the byte before */
    dt_digester *digester;
};

/* ---- files ---- */

static dt_status add_file(dt_documents *d, const char *path) {
    struct stat info;
    DT_REQUIRE(stat(path, &info) == 0, DT_ERR_NO_INPUT, "cannot read %s: %s", path,
               strerror(errno));
    DT_REQUIRE(S_ISREG(info.st_mode), DT_ERR_NO_INPUT, "cannot read %s: it is no regular file",
               path);
    DT_TRY(dt_memory_grow(&d->file, &d->capacity, d->files + 1, sizeof *d->file,
                          "the files of a text"));
    text_file *file = &d->file[d->files];
    *file = (text_file){.size = (uint64_t)info.st_size, .begin = d->bytes, .time = info.st_mtim};
    const size_t length = strlen(path);
    DT_TRY(dt_memory_alloc(&file->path, length + 1, 1, "the files of a text"));
    memcpy(file->path, path, length);
    d->files++;
    d->bytes += file->size;
    return DT_OK;
}

static void lay_out_parts(dt_documents *d) {
    const uint64_t held_out = d->bytes / HELD_OUT;
    d->end[DT_TRAIN] = d->bytes - 2 * held_out;
    d->end[DT_VALIDATION] = d->bytes - held_out;
    d->end[DT_TEST] = d->bytes;
}

dt_status dt_documents_open(dt_documents **documents, const dt_config *config, bool characters) {
    dt_documents *d = NULL;
    dt_status status;
    *documents = NULL;
    DT_TRY_DONE(dt_memory_alloc(&d, 1, sizeof *d, "the files of a text"));
    d->descriptor = -1;
    d->characters = characters;
    DT_TRY_DONE(add_file(d, config->text));
    lay_out_parts(d);
    DT_TRY_DONE(dt_memory_alloc(&d->block, BLOCK, 1, "a block of a file"));
    DT_TRY_DONE(dt_digester_create(&d->digester));
    DT_TRY_DONE(dt_documents_rewind(d));
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

dt_status dt_documents_rewind(dt_documents *d) {
    close_file(d);
    d->number = d->split = 0;
    d->got = d->at = 0;
    d->offset = 0;
    d->ended = true;
    dt_digester_start(d->digester);
    return DT_OK;
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

static dt_status read_whole(size_t *got, char *to, size_t size, int descriptor, const char *path,
                            uint64_t offset) {
    *got = 0;
    while (*got < size) {
        const ssize_t n = pread(descriptor, to + *got, size - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR) continue;
        DT_REQUIRE(n >= 0, DT_ERR_IO, "%s cannot be read: %s", path, strerror(errno));
        if (n == 0) break;
        *got += (size_t)n;
    }
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
    DT_TRY(read_whole(&more, d->block + kept, BLOCK - kept, d->descriptor, file->path,
                      d->offset + kept));
    dt_digester_add(d->digester, d->block + kept, more);
    d->got = kept + more;
    d->ended = d->got < BLOCK;
    DT_REQUIRE(!d->ended || d->offset + d->got == file->size, DT_ERR_DATA,
               "%s is being written to; start again when it is complete", file->path);
    return DT_OK;
}

/* Bytes of the line's end at a byte of the block; 0: there is none. */
static size_t line_end(const dt_documents *d, size_t at) {
    if (at < d->got && d->block[at] == '\n') return 1;
    return at + 1 < d->got && d->block[at] == '\r' && d->block[at + 1] == '\n' ? 2 : 0;
}

/* Whether the line that begins at a byte of the block ends a document; *length: of it. */
static bool ends_document(size_t *length, const dt_documents *d, size_t at) {
    static const size_t count = sizeof DT_END_OF_DOCUMENT - 1;
    const char previous = at > d->at ? d->block[at - 1] : d->before;
    if (previous != '\n' || d->got - at < count) return false;
    if (memcmp(d->block + at, DT_END_OF_DOCUMENT, count) != 0) return false;
    const size_t end = line_end(d, at + count);
    *length = count + end;
    return end > 0 || (d->ended && at + count == d->got);
}

/* The next line that ends a document, from d->at on to `limit`; limit: there is none. */
static size_t find_end(size_t *length, const dt_documents *d, size_t limit) {
    static const size_t count = sizeof DT_END_OF_DOCUMENT - 1;
    const char *at = d->block + d->at, *end = d->block + d->got;
    while ((at = memmem(at, (size_t)(end - at), DT_END_OF_DOCUMENT, count))) {
        const size_t offset = (size_t)(at - d->block);
        if (offset >= limit) break;
        if (ends_document(length, d, offset)) return offset;
        at++;
    }
    return limit;
}

static bool goes_on(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

/* The last bytes of a block are looked at together with the next one. */
static size_t sure_bytes(const dt_documents *d) {
    const size_t open = sizeof DT_END_OF_DOCUMENT + 1 + CONTINUATION;
    return d->ended ? d->got : d->got - open;
}

/* Up to where the current part reaches in the block; parts that are over are left. */
static size_t end_of_part(dt_documents *d, size_t limit) {
    const uint64_t begin = d->file[d->number].begin + d->offset;
    while (d->split + 1 < DT_SPLITS) {
        const uint64_t end = d->end[d->split];
        if (begin + limit <= end) return limit;
        size_t at = end > begin ? (size_t)(end - begin) : 0;
        for (size_t i = 0; d->characters && i < CONTINUATION && at < d->got; i++)
            at += goes_on(d->block[at]);
        if (at > d->at) return dt_min_size(at, limit);
        d->split++;
    }
    return limit;
}

/* Take bytes up to `end`. */
static void take(dt_document_piece *piece, dt_documents *d, size_t end) {
    *piece = (dt_document_piece){.bytes = d->block + d->at,
                                 .count = end - d->at,
                                 .split = (dt_split)d->split,
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

dt_status dt_documents_raise_byte(const dt_documents *d, const char *path, uint64_t offset,
                                  const char *what) {
    char block[1 << 14], byte = 0;
    uint64_t lines = 1, begin = 0;
    (void)d;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    for (uint64_t at = 0; file >= 0 && at <= offset;) {
        size_t got = 0;
        if (read_whole(&got, block, sizeof block, file, path, at) != DT_OK || got == 0) break;
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
