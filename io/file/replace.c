/* Writes a temporary file next to the old one and renames it, so that a name always stands for a
 * whole file. */
#include "dtrain/file/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dtrain/core/host.h"

/* A temporary file of another machine counts as forgotten at this age: no write takes that long. */
enum { FORGOTTEN_SECONDS = 3600 };

const char *dt_file_reason(int error, char text[128]) {
    switch (error) {
    case ENOSPC: return "the disk is full; free some space or choose another folder";
    case EDQUOT: return "the disk quota is used up; free some space or choose another folder";
    case EFBIG: return "the file would be larger than is allowed (ulimit -f, or the file system)";
    case EACCES:
    case EPERM: return "no permission";
    case EROFS: return "the file system is read-only; choose another folder";
    case ENAMETOOLONG: return "the name is too long";
    case ENOTDIR: return "a part of the path is a file where a folder is needed";
    case EISDIR: return "a folder of that name is in the way";
    case ENOENT: return "the folder is not there";
    case ELOOP: return "symbolic links point to each other in a circle";
    case EMFILE:
    case ENFILE: return "too many files are open";
    case EIO: return "the disk reports an error";
    default: return strerror_r(error, text, 128) == 0 ? text : "unknown error";
    }
}

dt_status dt_file_folder(char *folder, size_t size, const char *path) {
    const char *slash = strrchr(path, '/');
    const int length = !slash          ? snprintf(folder, size, ".")
                       : slash == path ? snprintf(folder, size, "/")
                                       : snprintf(folder, size, "%.*s", (int)(slash - path), path);
    DT_REQUIRE(length >= 0 && (size_t)length < size, DT_ERR_CREATE,
               "cannot create %.80s…: the name is too long", path);
    return DT_OK;
}

static dt_status sync_folder(const char *folder) {
    char text[128];
    const int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DT_REQUIRE(file >= 0, DT_ERR_IO, "cannot flush the folder %s: %s", folder,
               dt_file_reason(errno, text));
    /* Some file systems cannot flush a folder. */
    const int failed = fsync(file) == 0 ? 0 : errno;
    const bool unknown = failed == EINVAL || failed == EOPNOTSUPP || failed == ENOSYS;
    const int error = unknown ? 0 : failed;
    close(file);
    DT_REQUIRE(!error, DT_ERR_IO, "cannot flush the folder %s: %s", folder,
               dt_file_reason(error, text));
    return DT_OK;
}

int dt_file_write(int file, const void *bytes, size_t size, uint64_t offset) {
    enum { MOST = 1 << 30 }; /* Linux writes at most 2 GiB in one call */
    const char *next = bytes;
    while (size > 0) {
        const ssize_t written = pwrite(file, next, size < MOST ? size : MOST, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        if (written == 0) return ENOSPC;
        next += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return 0;
}

dt_status dt_replacement_name(dt_replacement *replacement, const char *path) {
    *replacement = (dt_replacement){.file = -1};
    char folder[DT_PATH_MAX], host[DT_HOST_MAX];
    DT_TRY(dt_file_folder(folder, sizeof folder, path));
    dt_host_name(host);
    const char *slash = strrchr(path, '/');
    const int length =
        snprintf(replacement->temporary, sizeof replacement->temporary, "%s/.%s.tmp.%s.%ld", folder,
                 slash ? slash + 1 : path, host, (long)getpid());
    DT_REQUIRE(length >= 0 && (size_t)length < sizeof replacement->temporary, DT_ERR_CREATE,
               "cannot create %.80s…: the name is too long", path);
    snprintf(replacement->path, sizeof replacement->path, "%s", path);
    return DT_OK;
}

dt_status dt_replacement_open(dt_replacement *replacement, const char *path) {
    DT_TRY(dt_replacement_name(replacement, path));
    struct stat existing;
    DT_REQUIRE(stat(path, &existing) != 0 || !S_ISDIR(existing.st_mode), DT_ERR_CREATE,
               "cannot create %s: a folder of that name is in the way", path);
    /* It may be there from an old process of the same number; O_EXCL also avoids writing through a
     * link. */
    unlink(replacement->temporary);
    replacement->file =
        open(replacement->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    char text[128];
    DT_REQUIRE(replacement->file >= 0, DT_ERR_CREATE, "cannot create %s: %s", path,
               dt_file_reason(errno, text));
    /* For dt_replacement_clean: the lock ends with the process, even if its number is used again.
     */
    flock(replacement->file, LOCK_EX | LOCK_NB);
    return DT_OK;
}

dt_status dt_replacement_sync(const dt_replacement *replacement) {
    char text[128];
    DT_REQUIRE(fsync(replacement->file) == 0, DT_ERR_IO, "cannot flush %s to the disk: %s",
               replacement->path, dt_file_reason(errno, text));
    return DT_OK;
}

dt_status dt_replacement_commit(dt_replacement *replacement) {
    char text[128], folder[DT_PATH_MAX];
    if (replacement->file >= 0) {
        const int closed = close(replacement->file);
        replacement->file = -1;
        DT_REQUIRE(closed == 0, DT_ERR_IO, "cannot close %s: %s", replacement->path,
                   dt_file_reason(errno, text));
    }
    DT_REQUIRE(rename(replacement->temporary, replacement->path) == 0, DT_ERR_IO,
               "cannot rename %s to %s: %s", replacement->temporary, replacement->path,
               dt_file_reason(errno, text));
    replacement->temporary[0] = '\0';
    DT_TRY(dt_file_folder(folder, sizeof folder, replacement->path));
    return sync_folder(folder);
}

void dt_replacement_discard(dt_replacement *replacement) {
    if (replacement->file >= 0) close(replacement->file);
    replacement->file = -1;
    if (replacement->temporary[0]) unlink(replacement->temporary);
    replacement->temporary[0] = '\0';
}

/* Whether a process still has the file open for writing, by its lock. */
static bool is_locked(const char *path) {
    const int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return errno != ENOENT;
    const bool locked = flock(file, LOCK_EX | LOCK_NB) != 0;
    close(file);
    return locked;
}

/* Whether ".NAME.tmp.HOST.PID" is no longer being written. A process of this host has ended if its
   number is free; if the number is in use, it may belong to another process or to a zombie by now,
   and the lock decides. */
static bool is_forgotten(const char *folder, const char *name) {
    const char *mark = name;
    for (const char *next = name; (next = strstr(next, ".tmp.")); next++) mark = next;
    const char *dot = strrchr(name, '.');
    if (name[0] != '.' || mark == name || dot < mark + strlen(".tmp.") || !dot[1]) return false;
    char *end;
    const long process = strtol(dot + 1, &end, 10);
    if (*end || process <= 0) return false;

    char host[DT_HOST_MAX], path[2 * DT_PATH_MAX];
    dt_host_name(host);
    const char *owner = mark + strlen(".tmp.");
    const size_t length = (size_t)(dot - owner);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (strlen(host) == length && memcmp(host, owner, length) == 0) {
        if (process == (long)getpid()) return false;
        return (kill((pid_t)process, 0) != 0 && errno == ESRCH) || !is_locked(path);
    }
    struct stat info;
    return lstat(path, &info) == 0 && time(NULL) - info.st_mtime > FORGOTTEN_SECONDS;
}

void dt_replacement_clean(const char *folder) {
    DIR *entries = opendir(folder);
    if (!entries) return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (is_forgotten(folder, entry->d_name)) unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
}

static dt_status copy_bytes(int to, int from, const char *path, const char *from_path) {
    char block[1 << 16], text[128];
    for (uint64_t offset = 0;;) {
        const ssize_t got = pread(from, block, sizeof block, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        DT_REQUIRE(got >= 0, DT_ERR_IO, "cannot copy %s to %s: %s", from_path, path,
                   dt_file_reason(errno, text));
        if (got == 0) return DT_OK;
        const int error = dt_file_write(to, block, (size_t)got, offset);
        DT_REQUIRE(!error, DT_ERR_IO, "cannot copy %s to %s: %s", from_path, path,
                   dt_file_reason(error, text));
        offset += (uint64_t)got;
    }
}

dt_status dt_file_copy(const char *path, const char *from) {
    dt_replacement replacement = {.file = -1};
    dt_status status;
    char text[128];
    const int file = open(from, O_RDONLY | O_CLOEXEC);
    DT_REQUIRE(file >= 0, DT_ERR_NO_INPUT, "cannot read %s: %s", from, dt_file_reason(errno, text));
    DT_TRY_DONE(dt_replacement_open(&replacement, path));
    DT_TRY_DONE(copy_bytes(replacement.file, file, path, from));
    DT_TRY_DONE(dt_replacement_sync(&replacement));
    DT_TRY_DONE(dt_replacement_commit(&replacement));
done:
    dt_replacement_discard(&replacement);
    close(file);
    return status;
}
