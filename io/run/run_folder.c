/* The folder of a run: its checkpoints by step, the links to the latest and the best, its logs. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "dtrain/folder/foreign.h"
#include "dtrain/folder/run_folder.h"

static dt_status join(char *path, size_t size, const char *folder, const char *name) {
    const int length = snprintf(path, size, "%s/%s", folder, name);
    DT_REQUIRE(length >= 0 && (size_t)length < size, DT_ERR_CREATE,
               "the name %.80s…/%.80s is too long (%zu bytes at most)", folder, name, size - 1);
    return DT_OK;
}

bool dt_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

dt_status dt_run_folder_of(char *folder, size_t size, const char *path) {
    return dt_file_folder(folder, size, path);
}

/* ---- names of checkpoints ---- */

enum { NAME_SIZE = 48 };

static void checkpoint_name(char name[NAME_SIZE], int64_t step) {
    snprintf(name, NAME_SIZE, "checkpoint-%08" PRId64 ".h5", step);
}

/* The step in a name as checkpoint_name writes it; -1: not such a name. */
static int64_t step_of(const char *name) {
    char again[NAME_SIZE];
    const char *digits = name + strlen("checkpoint-");
    if (strncmp(name, "checkpoint-", strlen("checkpoint-")) != 0) return -1;
    if (!isdigit((unsigned char)*digits)) return -1;
    errno = 0;
    const int64_t step = strtoll(digits, NULL, 10);
    if (errno == ERANGE) return -1;
    checkpoint_name(again, step);
    return strcmp(name, again) == 0 ? step : -1;
}

dt_status dt_run_checkpoint_path(char *path, size_t size, const char *folder, int64_t step) {
    char name[NAME_SIZE];
    DT_REQUIRE(step >= 0, DT_ERR_INTERNAL, "there is no checkpoint of step %" PRId64, step);
    checkpoint_name(name, step);
    return join(path, size, folder, name);
}

/* ---- making the folder ---- */

/* One folder; it may be there already. */
static dt_status make_folder(const char *folder) {
    struct stat info;
    char text[128];
    if (mkdir(folder, 0777) == 0) return DT_OK;
    const int error = errno;
    if (stat(folder, &info) == 0) {
        DT_REQUIRE(S_ISDIR(info.st_mode), DT_ERR_CREATE,
                   "cannot create the folder %s: a file of that name is in the way", folder);
        return DT_OK;
    }
    DT_REQUIRE(error != EEXIST || lstat(folder, &info) != 0 || !S_ISLNK(info.st_mode),
               DT_ERR_CREATE,
               "cannot create the folder %s: it is a link to something that is not there", folder);
    DT_RAISE(DT_ERR_CREATE, "cannot create the folder %s: %s", folder, dt_file_reason(error, text));
}

dt_status dt_run_folder_open(const char *folder) {
    char part[DT_PATH_MAX], probe[DT_PATH_MAX];
    const size_t length = strlen(folder);
    DT_REQUIRE(length > 0, DT_ERR_CREATE, "the name of the run's folder is empty");
    DT_REQUIRE(length < sizeof part, DT_ERR_CREATE,
               "cannot create the folder %.80s…: the name is too long", folder);
    memcpy(part, folder, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (folder[i] != '/' || folder[i - 1] == '/') continue;
        part[i] = '\0';
        DT_TRY(make_folder(part));
        part[i] = '/';
    }
    DT_TRY(make_folder(folder));

    /* Permissions are not enough: a file system may be read-only or full. */
    dt_replacement replacement = {.file = -1};
    DT_TRY(join(probe, sizeof probe, folder, "write-test"));
    const dt_status status = dt_replacement_open(&replacement, probe);
    dt_replacement_discard(&replacement);
    DT_REQUIRE(status == DT_OK, status, "the folder %s cannot be written to: %s", folder,
               dt_error_text());
    dt_replacement_clean(folder);
    return DT_OK;
}

void dt_run_folder_discard(const char *folder) {
    const int not_empty = rmdir(folder);
    (void)not_empty;
}

/* ---- which checkpoints there are ---- */

static int newest_first(const void *x, const void *y) {
    int64_t a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, y, sizeof b);
    return a < b ? 1 : a > b ? -1 : 0;
}

/* Whether a name stands for a file: folders and dangling links are no checkpoints. */
static bool is_file(const char *folder, const char *name) {
    char path[DT_PATH_MAX];
    struct stat info;
    const int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && stat(path, &info) == 0 &&
           S_ISREG(info.st_mode);
}

dt_status dt_run_checkpoints(int64_t **steps, size_t *count, const char *folder) {
    dt_status status = DT_OK;
    size_t capacity = 0;
    char text[128];
    *steps = NULL;
    *count = 0;
    DIR *entries = opendir(folder);
    if (!entries && errno == ENOENT) return DT_OK;
    DT_REQUIRE(entries, DT_ERR_NO_INPUT, "cannot look into the folder %s: %s", folder,
               dt_file_reason(errno, text));
    for (struct dirent *entry; (entry = readdir(entries));) {
        const int64_t step = step_of(entry->d_name);
        if (step < 0 || !is_file(folder, entry->d_name)) continue;
        DT_TRY_DONE(dt_memory_grow(steps, &capacity, *count + 1, sizeof **steps,
                                   "the list of checkpoints"));
        (*steps)[(*count)++] = step;
    }
    if (*count) qsort(*steps, *count, sizeof **steps, newest_first);
done:
    closedir(entries);
    if (status != DT_OK) dt_memory_free(steps);
    if (status != DT_OK) *count = 0;
    return status;
}

/* ---- links, and the texts that stand for them ---- */

/* Some file systems have no symbolic links (exFAT, some network mounts). There FOLDER/latest.txt
 * holds the name of the checkpoint that latest.h5 would point to. */

static bool has_no_links(int error) {
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EROFS ||
           error == EPROTO || error == EINVAL;
}

/* "best.h5" -> "best.txt"; false: no such name. */
static bool text_name(char text[NAME_SIZE], const char *link) {
    const size_t length = strlen(link), stem = length - strlen(".h5");
    if (length <= strlen(".h5") || length + 2 > NAME_SIZE || strcmp(link + stem, ".h5") != 0) {
        return false;
    }
    snprintf(text, NAME_SIZE, "%.*s.txt", (int)stem, link);
    return true;
}

/* The step of the checkpoint that a link of a folder points to; -1: no link, or not to a
 * checkpoint. */
static int64_t linked_step(int folder, const char *link) {
    char target[DT_PATH_MAX];
    const ssize_t got = readlinkat(folder, link, target, sizeof target - 1);
    if (got <= 0) return -1;
    target[got] = '\0';
    const char *slash = strrchr(target, '/');
    return step_of(slash ? slash + 1 : target);
}

/* The step of the checkpoint that a text of a folder names; -1: no such text. */
static int64_t named_step(int folder, const char *text) {
    char name[NAME_SIZE];
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    const int file = openat(folder, text, flags);
    if (file < 0) return -1;
    struct stat info;
    const bool regular = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
    const ssize_t got = regular ? read(file, name, sizeof name - 1) : -1;
    close(file);
    name[got > 0 ? got : 0] = '\0';
    name[strcspn(name, " \t\r\n")] = '\0';
    return step_of(name);
}

bool dt_run_links_work(const char *folder) {
    dt_replacement probe = {.file = -1};
    char path[DT_PATH_MAX];
    if (join(path, sizeof path, folder, "link-test") != DT_OK ||
        dt_replacement_name(&probe, path) != DT_OK) {
        dt_error_clear();
        return true;
    }
    const bool works = symlink("nowhere", probe.temporary) == 0 || !has_no_links(errno);
    dt_replacement_discard(&probe);
    return works;
}

/* Whether a text of the folder stands for a link. */
static bool names_checkpoint(const char *folder, const char *text) {
    const int entries = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool names = entries >= 0 && named_step(entries, text) >= 0;
    if (entries >= 0) close(entries);
    return names;
}

bool dt_run_owns(const char *folder, const char *name) {
    char path[DT_PATH_MAX], target[NAME_SIZE] = "";
    if (step_of(name) >= 0) return true;
    const int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    const ssize_t got =
        length > 0 && (size_t)length < sizeof path ? readlink(path, target, sizeof target - 1) : -1;
    target[got > 0 ? got : 0] = '\0';
    return step_of(target) >= 0;
}

/* ---- what dtrain did not make ---- */

static bool same_bytes(FILE *x, FILE *y) {
    char x_block[1 << 14], y_block[1 << 14];
    for (;;) {
        const size_t got = fread(x_block, 1, sizeof x_block, x);
        if (fread(y_block, 1, sizeof y_block, y) != got || memcmp(x_block, y_block, got) != 0)
            return false;
        if (got < sizeof x_block) return !ferror(x) && !ferror(y);
    }
}

static bool are_equal(const char *path, const char *other) {
    struct stat info, other_info;
    if (stat(path, &info) != 0 || stat(other, &other_info) != 0) return false;
    if (info.st_size != other_info.st_size) return false;
    FILE *x = fopen(path, "rbe"), *y = fopen(other, "rbe");
    const bool equal = x && y && same_bytes(x, y);
    if (x) fclose(x);
    if (y) fclose(y);
    return equal;
}

/* A copy of a folder that follows links has files in their place. */
static dt_status is_copy(bool *copy, const char *folder, const char *path) {
    int64_t *steps;
    size_t count;
    char checkpoint[DT_PATH_MAX];
    dt_status status = DT_OK;
    *copy = false;
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    for (size_t i = 0; i < count && !*copy; i++) {
        DT_TRY_DONE(dt_run_checkpoint_path(checkpoint, sizeof checkpoint, folder, steps[i]));
        *copy = are_equal(path, checkpoint);
    }
done:
    dt_memory_free(&steps);
    return status;
}

/* What a person has put in the place of a link, or of the text that stands for it, is kept. */
static dt_status make_room(const char *folder, const char *name) {
    char path[DT_PATH_MAX], aside[DT_PATH_MAX + 64];
    struct stat info;
    bool copy = false;
    DT_TRY(join(path, sizeof path, folder, name));
    if (lstat(path, &info) != 0 || dt_run_owns(folder, name) || names_checkpoint(folder, name))
        return DT_OK;
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) return DT_OK; /* nor can it be replaced */
    if (S_ISREG(info.st_mode)) DT_TRY(is_copy(&copy, folder, path));
    if (copy) return DT_OK;
    DT_TRY(dt_run_set_aside(aside, sizeof aside, path));
    dt_log_warn("%s was none of the run's: it is now %s", path, aside);
    return DT_OK;
}

/* ---- making links ---- */

static dt_status write_mark(const char *folder, const char *link, const char *target) {
    char text[NAME_SIZE], line[NAME_SIZE + 1];
    DT_REQUIRE(text_name(text, link), DT_ERR_INTERNAL, "%s is no name of a link", link);
    DT_TRY(make_room(folder, text));
    snprintf(line, sizeof line, "%s\n", target);
    return dt_run_write_text(folder, text, line);
}

static void remove_mark(const char *folder, const char *link) {
    char text[NAME_SIZE], path[DT_PATH_MAX];
    if (!text_name(text, link) || !names_checkpoint(folder, text)) return;
    const int length = snprintf(path, sizeof path, "%s/%s", folder, text);
    if (length > 0 && (size_t)length < sizeof path) unlink(path);
}

dt_status dt_run_link(const char *folder, const char *name, int64_t step) {
    dt_replacement replacement = {.file = -1};
    dt_status status = DT_OK;
    char path[DT_PATH_MAX], target[NAME_SIZE], text[128];
    checkpoint_name(target, step);
    DT_REQUIRE(is_file(folder, target), DT_ERR_IO,
               "cannot let %s/%s point to %s: there is no such file", folder, name, target);
    DT_TRY(make_room(folder, name));
    DT_TRY(join(path, sizeof path, folder, name));
    DT_TRY(dt_replacement_name(&replacement, path));
    unlink(replacement.temporary); /* of an old process of the same number */
    if (symlink(target, replacement.temporary) != 0) {
        const int error = errno;
        replacement.temporary[0] = '\0';
        if (has_no_links(error)) return write_mark(folder, name, target);
        DT_RAISE(DT_ERR_IO, "cannot make the link %s: %s", path, dt_file_reason(error, text));
    }
    DT_TRY_DONE(dt_replacement_commit(&replacement));
    remove_mark(folder, name);
done:
    dt_replacement_discard(&replacement);
    return status;
}

/* What a name such as "best.h5" stands for in a folder. */
typedef struct {
    bool link, file;        /* there is a link of this name; the name leads to a file */
    char target[NAME_SIZE]; /* what the link holds, or the text; "": none */
} mark;

static mark find_mark(const char *folder, const char *name) {
    mark found = {.file = is_file(folder, name)};
    char text[NAME_SIZE];
    const int entries = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (entries < 0) return found;
    const ssize_t got = readlinkat(entries, name, found.target, sizeof found.target - 1);
    found.link = got >= 0;
    found.target[got > 0 ? got : 0] = '\0';
    if (!found.link && text_name(text, name)) {
        const int64_t step = named_step(entries, text);
        if (step >= 0) checkpoint_name(found.target, step);
    }
    close(entries);
    return found;
}

dt_status dt_run_unlink(const char *folder, const char *name) {
    char path[DT_PATH_MAX], text[128];
    remove_mark(folder, name);
    if (!find_mark(folder, name).link) return DT_OK;
    DT_TRY(join(path, sizeof path, folder, name));
    DT_REQUIRE(unlink(path) == 0 || errno == ENOENT, DT_ERR_IO, "cannot remove the link %s: %s",
               path, dt_file_reason(errno, text));
    return DT_OK;
}

bool dt_run_find(char *path, size_t size, const char *folder, const char *name) {
    const mark m = find_mark(folder, name);
    /* A copy of a folder may hold a file of this name instead of the link: then the text is newer.
     */
    const bool by_text = !m.link && m.target[0] && is_file(folder, m.target);
    if (!by_text && !m.file) return false;
    const int length = snprintf(path, size, "%s/%s", folder, by_text ? m.target : name);
    return length > 0 && (size_t)length < size;
}

bool dt_run_dangles(const char *folder, const char *name) {
    const mark m = find_mark(folder, name);
    return m.link ? !m.file : m.target[0] && !is_file(folder, m.target);
}

/* Whether the name stands for the checkpoint of a step of this folder. */
static bool stands_for(const char *folder, const char *name, int64_t step) {
    char wanted[NAME_SIZE];
    checkpoint_name(wanted, step);
    return strcmp(find_mark(folder, name).target, wanted) == 0;
}

/* Whether a link or a text of the folder stands for the checkpoint of a step. */
static bool is_marked(const char *folder, int64_t step) {
    DIR *entries = opendir(folder);
    if (!entries) return true; /* if the folder cannot be read, nothing is removed */
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(entries));) {
        const char *dot = strrchr(entry->d_name, '.');
        found =
            linked_step(dirfd(entries), entry->d_name) == step ||
            (dot && strcmp(dot, ".txt") == 0 && named_step(dirfd(entries), entry->d_name) == step);
    }
    closedir(entries);
    return found;
}

dt_status dt_run_rotate(const char *folder, int64_t keep) {
    if (keep <= 0) return DT_OK;
    int64_t *steps;
    size_t count;
    dt_status status = DT_OK;
    char path[DT_PATH_MAX], text[128];
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    for (size_t i = (size_t)keep; i < count; i++) {
        if (is_marked(folder, steps[i])) continue;
        DT_TRY_DONE(dt_run_checkpoint_path(path, sizeof path, folder, steps[i]));
        DT_REQUIRE_DONE(unlink(path) == 0 || errno == ENOENT, DT_ERR_IO, "cannot remove %s: %s",
                        path, dt_file_reason(errno, text));
    }
done:
    dt_memory_free(&steps);
    return status;
}

dt_status dt_run_links(const char *folder, int64_t latest, int64_t best) {
    char name[NAME_SIZE];
    if (!stands_for(folder, "latest.h5", latest)) DT_TRY(dt_run_link(folder, "latest.h5", latest));
    if (best < 0 || stands_for(folder, "best.h5", best)) return DT_OK;
    checkpoint_name(name, best);
    return is_file(folder, name) ? dt_run_link(folder, "best.h5", best) : DT_OK;
}

dt_status dt_run_bring(const char *folder, int64_t step, const char *from) {
    char path[DT_PATH_MAX];
    DT_TRY(dt_run_checkpoint_path(path, sizeof path, folder, step));
    return dt_file_copy(path, from);
}

void dt_run_uncache(const char *folder) {
    char path[DT_PATH_MAX];
    if (!dt_run_find(path, sizeof path, folder, "latest.h5")) return;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return;
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
}

/* ---- names given by people ---- */

static dt_status resolve_folder(char *path, size_t size, const char *folder) {
    if (dt_run_find(path, size, folder, "best.h5")) return DT_OK;
    int64_t *steps;
    size_t count;
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    const int64_t newest = count ? steps[0] : -1;
    dt_memory_free(&steps);
    DT_REQUIRE(newest >= 0, DT_ERR_NO_INPUT,
               "the folder %s has no checkpoint: looked for best.h5 and checkpoint-*.h5", folder);
    return dt_run_checkpoint_path(path, size, folder, newest);
}

/* FOLDER/best.h5 where best.txt stands for it. */
static bool resolve_mark(char *path, size_t size, const char *name) {
    char folder[DT_PATH_MAX];
    const char *slash = strrchr(name, '/');
    if (dt_file_folder(folder, sizeof folder, name) == DT_OK &&
        dt_run_find(path, size, folder, slash ? slash + 1 : name)) {
        return true;
    }
    dt_error_clear();
    return false;
}

dt_status dt_run_resolve(char *path, size_t size, const char *name) {
    struct stat info;
    char text[128];
    if (stat(name, &info) != 0) {
        if (errno == ENOENT && resolve_mark(path, size, name)) return DT_OK;
        stat(name, &info);
        const int error = errno;
        const bool dangling = error == ENOENT && lstat(name, &info) == 0;
        DT_RAISE(DT_ERR_NO_INPUT, "cannot read %s: %s", name,
                 dangling          ? "it is a link to something that is not there"
                 : error == ENOENT ? "there is no such checkpoint or run folder"
                                   : dt_file_reason(error, text));
    }
    if (S_ISDIR(info.st_mode)) return resolve_folder(path, size, name);
    DT_REQUIRE(S_ISREG(info.st_mode), DT_ERR_NO_INPUT,
               "cannot read %s: it is neither a checkpoint nor a run folder", name);
    const size_t length = strlen(name);
    DT_REQUIRE(length < size, DT_ERR_NO_INPUT, "cannot read %.80s…: the name is too long", name);
    memcpy(path, name, length + 1);
    return DT_OK;
}

/* ---- texts ---- */

dt_status dt_run_write_text(const char *folder, const char *name, const char *text) {
    dt_replacement replacement = {.file = -1};
    dt_status status = DT_OK;
    char path[DT_PATH_MAX], reason[128];
    DT_TRY(join(path, sizeof path, folder, name));
    DT_TRY_DONE(dt_replacement_open(&replacement, path));
    const int error = dt_file_write(replacement.file, text, strlen(text), 0);
    DT_REQUIRE_DONE(!error, DT_ERR_IO, "cannot write %s: %s", path, dt_file_reason(error, reason));
    DT_TRY_DONE(dt_replacement_sync(&replacement));
    DT_TRY_DONE(dt_replacement_commit(&replacement));
done:
    dt_replacement_discard(&replacement);
    return status;
}

/* One write, so that a line is never mixed with another; a line that fits only in part is removed
 * again. `line` begins with a newline, for a line that a killed process has left unfinished. */
static int append_line(int file, const char *line, size_t length) {
    const off_t before = lseek(file, 0, SEEK_END);
    char last = '\n';
    if (before > 0 && pread(file, &last, 1, before - 1) < 0) return errno;
    if (last == '\n') line++, length--;
    ssize_t written;
    do {
        written = write(file, line, length);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)length) return 0;
    const int error = written < 0 ? errno : ENOSPC;
    if (before >= 0 && ftruncate(file, before) != 0) return errno;
    return error;
}

void dt_run_log_last(double *value, const char *folder, const char *key) {
    enum { TAIL = 1 << 16 };
    char path[DT_PATH_MAX], word[64], *text = NULL;
    *value = NAN;
    snprintf(word, sizeof word, "\"%s\":", key);
    if (join(path, sizeof path, folder, "log.jsonl") == DT_OK &&
        dt_memory_alloc(&text, TAIL + 1, 1, "the end of the log") == DT_OK) {
        FILE *file = fopen(path, "re");
        if (file && fseek(file, -TAIL, SEEK_END) != 0) rewind(file);
        const size_t length = file ? fread(text, 1, TAIL, file) : 0;
        text[length] = '\0';
        if (file) fclose(file);
    }
    for (const char *found = text; found && (found = strstr(found, word)) != NULL;) {
        found += strlen(word);
        char *end;
        const double number = strtod(found, &end);
        /* A line that was cut off may have only part of its number. */
        if (end != found && strchr(",}", *end) && *end) *value = number;
    }
    dt_memory_free(&text);
    dt_error_clear();
}

dt_status dt_run_append_log(const char *folder, const char *line) {
    char path[DT_PATH_MAX], reason[128], *text = NULL;
    const size_t length = strlen(line);
    DT_TRY(join(path, sizeof path, folder, "log.jsonl"));
    const int file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    DT_REQUIRE(file >= 0, DT_ERR_CREATE, "cannot write %s: %s", path,
               dt_file_reason(errno, reason));
    dt_status status = dt_memory_alloc(&text, length + 3, 1, "a line of the log");
    if (status == DT_OK) {
        text[0] = '\n';
        memcpy(text + 1, line, length);
        text[length + 1] = '\n';
        const int error = append_line(file, text, length + 2);
        if (error) {
            status = dt_error_raise(DT_ERR_IO, __FILE__, __LINE__, "cannot write %s: %s", path,
                                    dt_file_reason(error, reason));
        }
    }
    dt_memory_free(&text);
    if (close(file) != 0 && status == DT_OK) {
        status = dt_error_raise(DT_ERR_IO, __FILE__, __LINE__, "cannot write %s: %s", path,
                                dt_file_reason(errno, reason));
    }
    return status;
}
