/* Copies text from pipes into files, which can be read more than once. */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/work.h"
#include "folders.h"

enum { BLOCK = 1 << 20 };

static bool is_pipe(const char *path) {
    struct stat info;
    return strcmp(path, "-") == 0 ||
           (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode));
}

/* A program that writes into a pipe takes its time: meanwhile whoever listens can end the start. */
static dt_status wait_for(int from, uint64_t done) {
    enum { TELL_MS = 1000 };
    struct pollfd reader = {.fd = from, .events = POLLIN};
    for (;;) {
        const int ready = poll(&reader, 1, TELL_MS);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return DT_OK; /* reading says what is wrong */
        DT_TRY(dt_work_tell("waiting for the pipe", done, 0));
    }
}

static dt_status copy(int to, int from, const char *path, const char *name) {
    char *block = NULL;
    uint64_t done = 0;
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&block, BLOCK, 1, "a block of a file"));
    for (;;) {
        DT_TRY_DONE(wait_for(from, done));
        const ssize_t got = read(from, block, BLOCK);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        DT_REQUIRE_DONE(got >= 0, DT_ERR_NO_INPUT, "cannot read %s: %s", name, strerror(errno));
        if (got == 0) break;
        const int error = dt_bytes_write(to, block, (size_t)got, done);
        DT_REQUIRE_DONE(!error, DT_ERR_IO, "%s cannot be written: %s", path, strerror(error));
        done += (uint64_t)got;
        DT_TRY_DONE(dt_work_tell("reading the pipe", done, 0));
    }
    DT_REQUIRE_DONE(fsync(to) == 0, DT_ERR_IO, "%s cannot be written: %s", path, strerror(errno));
done:
    dt_memory_free(&block);
    return status;
}

static dt_status copy_to(const char *path, int from, const char *name) {
    char temporary[DT_PATH_MAX + 16];
    snprintf(temporary, sizeof temporary, "%s.partial", path);
    const int to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    DT_REQUIRE(to >= 0, DT_ERR_CREATE, "cannot create %s: %s", path, strerror(errno));
    dt_status status = copy(to, from, path, name);
    if (close(to) != 0 && status == DT_OK)
        status = dt_error_raise(DT_ERR_IO, __FILE__, __LINE__, "%s cannot be written: %s", path,
                                strerror(errno));
    if (status == DT_OK && rename(temporary, path) != 0)
        status = dt_error_raise(DT_ERR_CREATE, __FILE__, __LINE__, "cannot create %s: %s", path,
                                strerror(errno));
    if (status != DT_OK) unlink(temporary);
    return status;
}

/* One pipe to a file. */
static dt_status spool(dt_spools *s, const char *path, const char *name) {
    const bool standard = strcmp(name, "-") == 0;
    /* Without O_NONBLOCK the opening of a named pipe would wait for somebody who writes. */
    const int from = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    DT_REQUIRE(from >= 0, DT_ERR_NO_INPUT, "cannot read %s: %s", name, strerror(errno));
    dt_status status = DT_OK;
    if (!dt_folders_make(&s->made[s->count], path)) {
        status = dt_error_raise(DT_ERR_CREATE, __FILE__, __LINE__,
                                "cannot create the folder of %s: %s", path, strerror(errno));
    }
    if (status == DT_OK) status = copy_to(path, from, standard ? "standard input" : name);
    if (status == DT_OK) {
        snprintf(s->path[s->count], DT_PATH_MAX, "%s", path);
        s->count++;
    } else {
        dt_folders_remove(path, s->made[s->count]);
    }
    if (!standard) close(from);
    return status;
}

/* The file of a pipe of a setting. */
static dt_status replace(char *path, dt_spools *s, size_t *number, const char *name,
                         const dt_config *config) {
    struct stat info;
    DT_REQUIRE(config->out[0], DT_ERR_ARG,
               "%s can be read only once, and there is no run that could keep it; give a file",
               name);
    DT_REQUIRE(*number < DT_SPOOLS_MAX, DT_ERR_ARG, "%s: %d pipes are the most", name,
               DT_SPOOLS_MAX);
    const int length = snprintf(path, DT_PATH_MAX, "%s/text-%zu.txt", config->out, ++*number);
    DT_REQUIRE(length <= DT_PATHS_EACH, DT_ERR_ARG, "%s: the name %s is too long", name, path);
    DT_REQUIRE(!strchr(path, ':'), DT_ERR_ARG,
               "%s: it is kept in %s, and a : stands between the names of several texts; give an "
               "--out without one",
               name, path);
    if (config->train_digest[0] && stat(path, &info) == 0) return DT_OK;
    return spool(s, path, name);
}

static dt_status spool_setting(char *list, dt_spools *s, size_t *number, const dt_config *config) {
    char replaced[2 * DT_PATH_MAX] = "";
    size_t used = 0;
    for (const char *at = list; *at;) {
        char name[DT_PATH_MAX];
        const size_t length = strcspn(at, ":");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (is_pipe(name)) {
            char path[DT_PATH_MAX];
            DT_TRY(replace(path, s, number, name, config));
            memcpy(name, path, sizeof name);
        }
        used += (size_t)snprintf(replaced + used, sizeof replaced - used, "%s%s", used ? ":" : "",
                                 name);
        DT_REQUIRE(used < DT_PATH_MAX, DT_ERR_ARG,
                   "the names of all texts have more than %d bytes in all; put the files into a "
                   "folder",
                   DT_PATH_MAX - 1);
        at += length + (at[length] == ':');
    }
    memset(list, 0, DT_PATH_MAX); /* configurations are compared as bytes */
    memcpy(list, replaced, used);
    return DT_OK;
}

dt_status dt_spool(dt_spools *spools, dt_config *config) {
    size_t number = 0;
    spools->count = 0;
    dt_status status = spool_setting(config->text, spools, &number, config);
    if (status == DT_OK) status = spool_setting(config->validation_text, spools, &number, config);
    if (status != DT_OK) dt_spools_discard(spools);
    return status;
}

void dt_spools_discard(dt_spools *spools) {
    while (spools->count > 0) {
        const size_t last = --spools->count;
        unlink(spools->path[last]);
        dt_folders_remove(spools->path[last], spools->made[last]);
    }
}
