/* The lock of a run folder: two trainings in one folder would overwrite each other's files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/host.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "dtrain/folder/run_folder.h"

/*
 * The file .lock names the process that trains. The lock itself is flock's, which ends with the
 * process, also after a crash: nothing has to be cleaned up. Some file systems have no flock, or
 * only within one machine; there a change of the file, while one looks at it, shows that its owner
 * is alive, since the owner counts its beats in it. It is compared with itself, never with a
 * clock.
 */
#define LOCK_NAME ".lock"

enum {
    BEAT_MS = 2000,
    WATCH_MS = 4 * BEAT_MS, /* without a beat: the owner has ended */
    WAIT_MS = 5000,         /* for a process that is ending now */
    POLL_MS = 50,
    TEXT_MAX = 512,
};

struct dt_run_lock {
    char path[DT_PATH_MAX]; /* of the folder */
    char text[TEXT_MAX];    /* of the file, but for the beats */
    int folder, file;       /* -1: none open */
    unsigned long beats;
    bool beating, quit;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stop;
};

/* The owner of a lock, as named in the file. */
typedef struct {
    char host[DT_HOST_MAX], since[32];
    long process, ranks;
} owner;

static int64_t now_ms(void) { return (int64_t)(1e3 * dt_seconds_now()); }

static void pause_ms(long ms) {
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* ---- the file ---- */

static dt_status unlockable(const dt_run_lock *lock, int error) {
    char text[128];
    DT_RAISE(DT_ERR_CREATE, "the folder %s cannot be locked: " LOCK_NAME ": %s", lock->path,
             error == ELOOP ? "a symbolic link is in the way" : dt_file_reason(error, text));
}

static void write_owner(dt_run_lock *lock, size_t ranks) {
    char host[DT_HOST_MAX], since[32];
    dt_host_name(host);
    dt_utc_now(since, sizeof since);
    snprintf(lock->text, sizeof lock->text,
             "# dtrain trains here\nhost = %s\nprocess = %ld\nranks = %zu\nsince = %s\n", host,
             (long)getpid(), ranks, since);
}

/* From a file that others may have written: what is not as expected stays empty. */
static void read_owner(owner *who, int file) {
    char text[TEXT_MAX] = "";
    *who = (owner){.host = "", .since = "", .process = 0};
    const ssize_t size = pread(file, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *value = strstr(line, " = ");
        if (!value) continue;
        *value = '\0';
        value += strlen(" = ");
        for (char *c = value; *c; c++) {
            if ((unsigned char)*c <= ' ' || *c == 127) *c = '?';
        }
        if (strcmp(line, "host") == 0) snprintf(who->host, sizeof who->host, "%.63s", value);
        if (strcmp(line, "since") == 0) snprintf(who->since, sizeof who->since, "%.31s", value);
        if (strcmp(line, "process") == 0) who->process = strtol(value, NULL, 10);
        if (strcmp(line, "ranks") == 0) who->ranks = strtol(value, NULL, 10);
    }
}

/* Open the lock file; *created: it was not there. 0 or errno; ENOENT: it has just gone. */
static int open_file(int *file, bool *created, int folder) {
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    *file = openat(folder, LOCK_NAME, flags | O_CREAT | O_EXCL, 0666);
    *created = *file >= 0;
    if (!*created && errno == EEXIST) *file = openat(folder, LOCK_NAME, flags);
    if (*file < 0) return errno;
    struct stat info;
    if (fstat(*file, &info) == 0 && S_ISREG(info.st_mode)) return 0;
    close(*file);
    *file = -1;
    return EEXIST;
}

/* Whether the name still stands for this file. */
static bool is_current(int folder, int file) {
    struct stat named, open;
    return fstatat(folder, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(file, &open) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

/* ---- is its owner alive? ---- */

/* File systems of one machine, where flock is reliable. */
static bool is_local(int file) {
    static const unsigned long LOCAL[] = {0xEF53 /* ext4 */,      0x58465342 /* xfs */,
                                          0x9123683E /* btrfs */, 0x01021994 /* tmpfs */,
                                          0x2FC12FC1 /* zfs */,   0x794C7630 /* overlay */};
    struct statfs info;
    if (fstatfs(file, &info) != 0) return false;
    for (size_t i = 0; i < sizeof LOCAL / sizeof *LOCAL; i++) {
        if ((unsigned long)info.f_type == LOCAL[i]) return true;
    }
    return false;
}

/* What one look at the file shows. */
typedef struct {
    struct stat info;
    char text[TEXT_MAX];
} sight;

/* A network file system shows changes of other machines only after the file is opened again. */
static bool look(sight *s, int folder) {
    const int file = openat(folder, LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return false;
    *s = (sight){0};
    const bool seen = fstat(file, &s->info) == 0 && pread(file, s->text, sizeof s->text, 0) >= 0;
    close(file);
    return seen;
}

/* The text changes with each beat also where times are coarse, or the clock was set back. */
static bool is_same(const sight *x, const sight *y) {
    const struct timespec *a = &x->info.st_mtim, *b = &y->info.st_mtim;
    return x->info.st_ino == y->info.st_ino && x->info.st_size == y->info.st_size &&
           a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec &&
           memcmp(x->text, y->text, sizeof x->text) == 0;
}

/* Whether the file changes while it is watched. */
static bool is_beating(int folder) {
    sight first, now;
    const int64_t start = now_ms();
    if (!look(&first, folder)) return false;
    while (now_ms() - start < WATCH_MS) {
        pause_ms(POLL_MS);
        if (!look(&now, folder)) return false;
        if (!is_same(&first, &now)) return true;
    }
    return false;
}

/* ---- taking it ---- */

typedef enum { LOCK_TAKEN, LOCK_BUSY, LOCK_AGAIN } lock_result;

/* Without flock the file itself is the lock: the process that creates it holds the lock. */
static lock_result try_without_flock(dt_run_lock *lock, const owner *who, bool created) {
    char host[DT_HOST_MAX];
    if (created) return LOCK_TAKEN;
    dt_host_name(host);
    const bool dead = strcmp(who->host, host) == 0 && who->process > 0 &&
                      kill((pid_t)who->process, 0) != 0 && errno == ESRCH;
    if (!dead && is_beating(lock->folder)) return LOCK_BUSY;
    /* Another process may have found the same owner dead, and hold the lock by now. */
    if (is_current(lock->folder, lock->file)) unlinkat(lock->folder, LOCK_NAME, 0);
    return LOCK_AGAIN;
}

static lock_result try_file(dt_run_lock *lock, owner *who, bool created) {
    char host[DT_HOST_MAX];
    const int refused = flock(lock->file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    read_owner(who, lock->file);
    if (refused == EWOULDBLOCK || refused == EINTR) return LOCK_BUSY;
    if (refused) return try_without_flock(lock, who, created);
    if (!is_current(lock->folder, lock->file))
        return LOCK_AGAIN; /* its owner has removed the file */
    dt_host_name(host);
    /* Another machine's lock may be invisible here. */
    if (who->host[0] && strcmp(who->host, host) != 0 && !is_local(lock->file) &&
        is_beating(lock->folder)) {
        return LOCK_BUSY;
    }
    return LOCK_TAKEN;
}

static dt_status busy(const dt_run_lock *lock, const owner *who) {
    DT_REQUIRE(who->host[0], DT_ERR_CREATE,
               "another dtrain trains in the folder %s; wait for it, or give this one a folder of "
               "its own with --out DIR",
               lock->path);
    DT_RAISE(DT_ERR_CREATE,
             "another dtrain trains in the folder %s: process %ld on %s, %ld rank%s, since %s; "
             "stop that one (kill %ld on %s), or give this one a folder of its own with --out DIR",
             lock->path, who->process, who->host, who->ranks, who->ranks == 1 ? "" : "s",
             who->since, who->process, who->host);
}

static dt_status take(dt_run_lock *lock) {
    owner who = {.host = ""};
    bool told = false;
    const int64_t start = now_ms();
    for (;;) {
        bool created;
        const int error = open_file(&lock->file, &created, lock->folder);
        const int64_t waited = now_ms() - start;
        if (error && (error != ENOENT || waited >= WAIT_MS)) return unlockable(lock, error);
        const lock_result result = error ? LOCK_AGAIN : try_file(lock, &who, created);
        if (result == LOCK_TAKEN) return DT_OK;
        if (lock->file >= 0) close(lock->file);
        lock->file = -1;
        if (result == LOCK_BUSY && waited >= WAIT_MS) return busy(lock, &who);
        if (result == LOCK_BUSY && waited >= 1000 && !told) {
            dt_log_info("another dtrain trains in the folder %s: process %ld on %s; waiting, in "
                        "case it is about to end",
                        lock->path, who.process, who.host);
            told = true;
        }
        pause_ms(POLL_MS);
    }
}

/* ---- keeping it ---- */

/* Always of the same length, so that a beat needs no room on the disk. */
static int write_beat(const dt_run_lock *lock) {
    char text[TEXT_MAX + 32];
    const int length = snprintf(text, sizeof text, "%sbeat = %010lu\n", lock->text, lock->beats);
    return dt_file_write(lock->file, text, (size_t)length, 0);
}

/* Nothing may be left of the text before. */
static int write_text(const dt_run_lock *lock) {
    return ftruncate(lock->file, 0) == 0 ? write_beat(lock) : errno;
}

/* The folder was removed or renamed, and there is a new one of that name: it is locked as well. */
static void take_again(dt_run_lock *lock) {
    dt_run_lock next = {.folder = open(lock->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .file = -1};
    if (next.folder < 0) return;
    bool created = false;
    if (open_file(&next.file, &created, next.folder) == 0 && created) {
        flock(next.file, LOCK_EX | LOCK_NB);
        close(lock->folder);
        close(lock->file);
        lock->folder = next.folder;
        lock->file = next.file;
        write_text(lock);
        return;
    }
    if (next.file >= 0) close(next.file);
    close(next.folder);
}

static void beat(dt_run_lock *lock) {
    lock->beats++;
    if (write_beat(lock) != 0) futimens(lock->file, NULL);
    char path[DT_PATH_MAX + sizeof LOCK_NAME];
    struct stat named, open;
    snprintf(path, sizeof path, "%s/%s", lock->path, LOCK_NAME);
    if (lstat(path, &named) == 0 || errno != ENOENT) return;
    /* The folder, not only the file: a person may remove the file on purpose. */
    if (fstat(lock->folder, &open) == 0 && stat(lock->path, &named) == 0 &&
        (open.st_ino != named.st_ino || open.st_dev != named.st_dev)) {
        take_again(lock);
    }
}

static void *keep(void *argument) {
    dt_run_lock *lock = argument;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->quit) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += BEAT_MS / 1000;
        pthread_cond_timedwait(&lock->stop, &lock->mutex, &until);
        if (!lock->quit) beat(lock);
    }
    pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

/* The owner beats by a clock that nobody sets: one that is set back would make it stop for so long.
 */
static void prepare_beating(dt_run_lock *lock) {
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->stop, &steady);
    pthread_condattr_destroy(&steady);
}

/* Signals are for the other threads. Without this thread the lock still holds where flock does. */
static void start_beating(dt_run_lock *lock) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    lock->beating = pthread_create(&lock->thread, NULL, keep, lock) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

dt_status dt_run_lock_take(dt_run_lock **out, const char *folder, size_t ranks) {
    *out = NULL;
    dt_run_lock *lock;
    DT_TRY(dt_memory_alloc(&lock, 1, sizeof *lock, "the lock"));
    snprintf(lock->path, sizeof lock->path, "%s", folder);
    lock->file = -1;
    lock->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    prepare_beating(lock);
    dt_status status = lock->folder < 0 ? unlockable(lock, errno) : take(lock);
    if (status == DT_OK) {
        write_owner(lock, ranks);
        const int error = write_text(lock);
        if (error) status = unlockable(lock, error);
    }
    *out = lock;
    if (status == DT_OK) {
        start_beating(lock);
    } else {
        dt_run_lock_release(out);
    }
    return status;
}

void dt_run_lock_release(dt_run_lock **out) {
    dt_run_lock *lock = *out;
    if (!lock) return;
    if (lock->beating) {
        pthread_mutex_lock(&lock->mutex);
        lock->quit = true;
        pthread_cond_signal(&lock->stop);
        pthread_mutex_unlock(&lock->mutex);
        pthread_join(lock->thread, NULL);
    }
    /* Removed while the lock is still held: a process that waits for it sees that the file is not
     * the current one. */
    if (lock->file >= 0 && is_current(lock->folder, lock->file)) {
        unlinkat(lock->folder, LOCK_NAME, 0);
    }
    if (lock->file >= 0) close(lock->file);
    if (lock->folder >= 0) close(lock->folder);
    pthread_cond_destroy(&lock->stop);
    pthread_mutex_destroy(&lock->mutex);
    dt_memory_free(out);
}

bool dt_run_is_locked(const char *folder) {
    char path[DT_PATH_MAX + sizeof LOCK_NAME];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, LOCK_NAME);
    return lstat(path, &info) == 0;
}
