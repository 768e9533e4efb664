/* Opens a checkpoint's HDF5 file, reads its bytes within bounds, and keeps what is wrong with it.
 */
#include "hdf5_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "hdf5_bytes.h"
#include "hdf5_others.h"

/* A model of a thousand layers takes a few hundred thousand: a hostile file must not keep the
 * reader busy for longer. */
enum { READS_MAX = 1 << 22 };

/* ---- faults ---- */

static void remember(const dt_hdf5_file *in, const char *part, const char *text) {
    if (!in->notes) return;
    dt_fault *last = &in->notes->last;
    last->others = false;
    snprintf(last->part, sizeof last->part, "%s", part);
    snprintf(last->what, sizeof last->what, "%s", text);
}

dt_status dt_hdf5_unusable(const dt_hdf5_file *in, const char *part, const char *source, int line,
                           const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    remember(in, part, text);
    return dt_error_raise(DT_ERR_DATA, source, line, "%s cannot be used: %s: %s", in->path, part,
                          text);
}

bool dt_hdf5_refused(const dt_hdf5_file *in) {
    return in->notes && dt_verdict_refusal(in->notes->verdict) != NULL;
}

/* The same part is looked at several times, and is always wrong in the same way. */
static bool is_noted(const dt_verdict *verdict, const dt_fault *fault) {
    for (size_t i = 0; i < verdict->faults; i++) {
        if (strcmp(verdict->fault[i].part, fault->part) == 0 &&
            strcmp(verdict->fault[i].what, fault->what) == 0 &&
            verdict->fault[i].others == fault->others) {
            return true;
        }
    }
    return false;
}

/* In a full list a fault for which dtrain refuses the file takes the place of one for others.
 * False: there is none to give way. */
static bool replace_last(dt_verdict *verdict, const dt_fault *fault) {
    dt_fault *last = &verdict->fault[DT_FAULTS_MAX - 1];
    if (fault->others) return true;
    if (!last->others) return false;
    *last = *fault;
    return true;
}

dt_status dt_hdf5_note(const dt_hdf5_file *in, dt_status status) {
    if (!in->notes || (status != DT_ERR_DATA && status != DT_ERR_IO)) return status;
    dt_verdict *verdict = in->notes->verdict;
    const dt_fault *fault = &in->notes->last;
    if (!is_noted(verdict, fault)) {
        if (verdict->faults == DT_FAULTS_MAX) {
            if (!replace_last(verdict, fault)) return status;
        } else {
            DT_TRY(dt_memory_grow(&verdict->fault, &verdict->fault_capacity, verdict->faults + 1,
                                  sizeof *verdict->fault, "the list of faults"));
            verdict->fault[verdict->faults++] = *fault;
        }
    }
    dt_error_clear();
    return DT_OK;
}

dt_status dt_hdf5_remark(const dt_hdf5_file *in, const char *part, const char *what) {
    if (!in->notes || in->notes->verdict->remarks == DT_FAULTS_MAX) return DT_OK;
    dt_verdict *verdict = in->notes->verdict;
    DT_TRY(dt_memory_grow(&verdict->remark, &verdict->remark_capacity, verdict->remarks + 1,
                          sizeof *verdict->remark, "the list of remarks"));
    dt_fault *remark = &verdict->remark[verdict->remarks++];
    snprintf(remark->part, sizeof remark->part, "%s", part);
    snprintf(remark->what, sizeof remark->what, "%s", what);
    return DT_OK;
}

/* ---- bytes ---- */

dt_status dt_hdf5_read_at(void *bytes, const dt_hdf5_file *in, uint64_t offset, size_t size,
                          const char *part) {
    char *next = bytes;
    while (size > 0) {
        const ssize_t got = pread(in->file, next, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            char text[128];
            const char *reason = dt_file_reason(errno, text);
            remember(in, part, reason);
            DT_RAISE(DT_ERR_IO, "cannot read %s: %s", in->path, reason);
        }
        DT_USABLE(got > 0, in, part, "the file has become shorter while it was read");
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return DT_OK;
}

dt_status dt_hdf5_metadata(void *bytes, dt_hdf5_file *in, uint64_t offset, size_t size,
                           const char *part) {
    DT_USABLE(offset <= in->size && size <= in->size - offset, in, part,
              "its header points beyond the end of the file (%zu bytes at %llu)", size,
              (unsigned long long)offset);
    DT_USABLE(size <= in->unread, in, part, "parts of the file overlap");
    DT_USABLE(in->reads++ < READS_MAX, in, part, "more objects than a checkpoint has");
    in->unread -= size;
    return dt_hdf5_read_at(bytes, in, offset, size, part);
}

/* ---- opening ---- */

static dt_status read_superblock(dt_hdf5_file *in, uint64_t *root) {
    static const unsigned char signature[8] = "\211HDF\r\n\032\n";
    enum { SUPERBLOCK = 96, VERSIONS = 8, END = 40, ROOT_LINK = 56, ROOT = 64 };
    unsigned char bytes[SUPERBLOCK] = {0};
    const size_t size = in->size < SUPERBLOCK ? (size_t)in->size : SUPERBLOCK;
    DT_USABLE(size > 0, in, "its start", "the file is empty");
    DT_TRY(dt_hdf5_metadata(bytes, in, 0, size, "its start"));
    DT_USABLE(memcmp(bytes, signature, dt_min_size(size, sizeof signature)) == 0, in, "its start",
              "not an HDF5 file");
    DT_USABLE(size == SUPERBLOCK, in, "its start", "the file is cut off after %zu bytes", size);
    DT_USABLE(bytes[VERSIONS] == 0, in, "its start",
              "an HDF5 file that dtrain did not write (superblock version %u)", bytes[VERSIONS]);
    /* Versions of the parts, and 8 bytes for offsets and lengths; the file begins at its start. */
    static const unsigned char expected[7] = {0, 0, 0, 0, 0, 8, 8};
    DT_USABLE(memcmp(bytes + VERSIONS, expected, sizeof expected) == 0 && load64(bytes + 24) == 0,
              in, "its start", "an HDF5 file that dtrain did not write, or damaged");
    const uint64_t end = load64(bytes + END);
    DT_USABLE(end == in->size, in, "its end",
              "the file %s: it has %llu bytes, and should have %llu",
              end > in->size ? "is cut off" : "goes on after its end", (unsigned long long)in->size,
              (unsigned long long)end);
    *root = load64(bytes + ROOT);
    memcpy(in->root_link, bytes + ROOT_LINK, sizeof in->root_link);
    return dt_hdf5_others_start(in, bytes);
}

static dt_status start(dt_hdf5_file *in, uint64_t *root) {
    struct stat info;
    char text[128];
    DT_REQUIRE(fstat(in->file, &info) == 0, DT_ERR_NO_INPUT, "cannot read %s: %s", in->path,
               dt_file_reason(errno, text));
    DT_REQUIRE(S_ISREG(info.st_mode), DT_ERR_NO_INPUT, "cannot read %s: it is %s", in->path,
               S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
    in->size = in->unread = (uint64_t)info.st_size;
    return read_superblock(in, root);
}

dt_status dt_hdf5_file_open(dt_hdf5_file *in, uint64_t *root, const char *path,
                            dt_fault_notes *notes) {
    /* Without O_NONBLOCK, opening a FIFO would wait for a writer. */
    *in = (dt_hdf5_file){
        .path = path, .file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .notes = notes};
    char text[128];
    DT_REQUIRE(in->file >= 0, DT_ERR_NO_INPUT, "cannot read %s: %s", path,
               errno == ENOENT ? "there is no such file" : dt_file_reason(errno, text));
    return start(in, root);
}

void dt_hdf5_close(dt_hdf5_file *in) {
    for (size_t i = 0; i < in->blocks; i++) dt_memory_free(&in->block[i]);
    dt_memory_free(&in->block);
    dt_memory_free(&in->object);
    dt_memory_free(&in->attribute);
    if (in->file >= 0) close(in->file);
    *in = (dt_hdf5_file){.file = -1};
}
