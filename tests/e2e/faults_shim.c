/* Preloaded into dtrain: lets one chosen operation on a folder fail, or ends the process there.
 *
 * FAULT_UNDER  the folder: operations on files in it are counted, from 1
 * FAULT_AT     which of them is hit; 0: none
 * FAULT_KIND   enospc, eio     it fails so, without effect (close closes)
 *              full            so do all later ones that need room
 *              short           a write takes only half; other operations fail with EIO
 *              kill            the process ends before it
 *              torn            the process ends in the middle of a write, or after another
 *                              operation
 * FAULT_LOG    a file with one line per operation: its number, what it is, and on which file
 * FAULT_LINKS  the errno with which every symbolic link fails, as where a file system has none
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Which operations need room on the disk. */
typedef enum { NEEDS_ROOM, NEEDS_NONE } need;

typedef enum { FAULT_NONE, FAULT_FAIL, FAULT_SHORT, FAULT_TORN } verdict;

/* Number and note of an operation belong together: a process that another thread ends in between
 * would leave out the line. */
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static int counter;
static atomic_bool full;

static bool is_under(const char *path) {
    const char *under = getenv("FAULT_UNDER");
    const size_t length = under ? strlen(under) : 0;
    return length > 0 && path && strncmp(path, under, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

/* The path of an open file, until the next call; "": unknown. */
static const char *path_of(int file) {
    static _Thread_local char path[4096];
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    const ssize_t size = readlink(name, path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    return path;
}

static bool is_file_under(int file) { return is_under(path_of(file)); }

/* The owner of a folder counts in its lock every two seconds: such a write depends on the machine,
 * and is not counted. */
static bool is_beat(int file, off_t offset) {
    struct stat info;
    const char *slash = strrchr(path_of(file), '/');
    return slash && strcmp(slash, "/.lock") == 0 && offset == 0 && fstat(file, &info) == 0 &&
           info.st_size > 0;
}

static bool is_at_under(int folder, const char *path) {
    return path[0] == '/' || folder == AT_FDCWD ? is_under(path) : is_file_under(folder);
}

/* By system calls: what is intercepted must not be used here. */
static void note(int number, const char *operation, const char *path) {
    const char *log = getenv("FAULT_LOG"), *slash = strrchr(path, '/');
    if (!log) return;
    char line[4200];
    const int length =
        snprintf(line, sizeof line, "%d %s %s\n", number, operation, slash ? slash + 1 : path);
    const int file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    syscall(SYS_write, file, line, (size_t)length);
    syscall(SYS_close, file);
}

static _Noreturn void end_here(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* What happens to the next operation; sets errno for a failure. */
static verdict judge(const char *operation, need need, const char *path) {
    const char *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
    pthread_mutex_lock(&counting);
    const int number = ++counter;
    note(number, operation, path);
    pthread_mutex_unlock(&counting);
    if (!at || !kind) return FAULT_NONE;
    if (atomic_load(&full) && need == NEEDS_ROOM) {
        errno = ENOSPC;
        return FAULT_FAIL;
    }
    if (number != atoi(at)) return FAULT_NONE;
    errno = EIO;
    if (strcmp(kind, "kill") == 0) end_here();
    if (strcmp(kind, "torn") == 0) return FAULT_TORN;
    if (strcmp(kind, "short") == 0) return FAULT_SHORT;
    if (strcmp(kind, "full") == 0) {
        atomic_store(&full, true);
        if (need == NEEDS_NONE) return FAULT_NONE;
    }
    if (strcmp(kind, "eio") != 0) errno = ENOSPC;
    return FAULT_FAIL;
}

/* For operations that are done or not: `call` is the system call. */
#define ALL_OR_NOTHING(concerns, operation, need, path, call)                                      \
    do {                                                                                           \
        if (!(concerns)) return (int)(call);                                                       \
        const verdict v = judge(operation, need, path);                                            \
        if (v == FAULT_FAIL || v == FAULT_SHORT) return -1;                                        \
        const int result = (int)(call);                                                            \
        if (v == FAULT_TORN) end_here();                                                           \
        return result;                                                                             \
    } while (0)

int openat(int folder, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    ALL_OR_NOTHING(is_at_under(folder, path), flags & O_CREAT ? "create" : "open",
                   flags & O_CREAT ? NEEDS_ROOM : NEEDS_NONE, path,
                   syscall(SYS_openat, folder, path, flags, mode));
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return openat(AT_FDCWD, path, flags, mode);
}

int close(int file) {
    if (!is_file_under(file)) return (int)syscall(SYS_close, file);
    const verdict v = judge("close", NEEDS_ROOM, path_of(file));
    const int error = errno, result = (int)syscall(SYS_close, file);
    if (v == FAULT_TORN) end_here();
    if (v == FAULT_NONE) return result;
    errno = error;
    return -1;
}

static ssize_t put(int file, const void *bytes, size_t size, off_t offset, bool placed,
                   const char *operation) {
    const bool counts = is_file_under(file) && !is_beat(file, offset);
    const verdict v = counts ? judge(operation, NEEDS_ROOM, path_of(file)) : FAULT_NONE;
    if (v == FAULT_FAIL) return -1;
    const size_t part = v == FAULT_NONE || size < 2 ? size : size / 2;
    const ssize_t done = placed ? syscall(SYS_pwrite64, file, bytes, part, offset)
                                : syscall(SYS_write, file, bytes, part);
    if (v == FAULT_TORN) end_here();
    return done;
}

ssize_t write(int file, const void *bytes, size_t size) {
    return put(file, bytes, size, 0, false, "write");
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) {
    return put(file, bytes, size, offset, true, "pwrite");
}

int fsync(int file) {
    ALL_OR_NOTHING(is_file_under(file), "fsync", NEEDS_ROOM, path_of(file),
                   syscall(SYS_fsync, file));
}

int fdatasync(int file) {
    ALL_OR_NOTHING(is_file_under(file), "fsync", NEEDS_ROOM, path_of(file),
                   syscall(SYS_fdatasync, file));
}

int ftruncate(int file, off_t size) {
    ALL_OR_NOTHING(is_file_under(file), "ftruncate", NEEDS_NONE, path_of(file),
                   syscall(SYS_ftruncate, file, size));
}

int rename(const char *from, const char *to) {
    ALL_OR_NOTHING(is_under(to), "rename", NEEDS_ROOM, to,
                   syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int unlink(const char *path) {
    ALL_OR_NOTHING(is_under(path), "unlink", NEEDS_NONE, path,
                   syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int unlinkat(int folder, const char *path, int flags) {
    ALL_OR_NOTHING(is_at_under(folder, path), "unlink", NEEDS_NONE, path,
                   syscall(SYS_unlinkat, folder, path, flags));
}

int symlink(const char *target, const char *path) {
    if (getenv("FAULT_LINKS") && is_under(path)) {
        errno = atoi(getenv("FAULT_LINKS"));
        return -1;
    }
    ALL_OR_NOTHING(is_under(path), "symlink", NEEDS_ROOM, path,
                   syscall(SYS_symlinkat, target, AT_FDCWD, path));
}

int mkdir(const char *path, mode_t mode) {
    ALL_OR_NOTHING(is_under(path), "mkdir", NEEDS_ROOM, path,
                   syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int flock(int file, int operation) {
    ALL_OR_NOTHING(is_file_under(file), "flock", NEEDS_NONE, path_of(file),
                   syscall(SYS_flock, file, operation));
}

/* The names that programs built for large files use. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int folder, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int file, const void *bytes, size_t size, off_t offset)
    __attribute__((alias("pwrite")));
int ftruncate64(int file, off_t size) __attribute__((alias("ftruncate")));
