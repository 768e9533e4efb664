/* The lock of a run folder: one training at a time on every file system, and a dead owner never
 * blocks it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

/* ---- the linker replaces calls, to imitate other machines and file systems, and a person who sets
 * the clock back after every look at it ---- */

static bool no_flock, network, elsewhere, set_back, coarse;

int __real_flock(int file, int operation);
int __wrap_flock(int file, int operation);
int __real_fstatfs(int file, struct statfs *info);
int __wrap_fstatfs(int file, struct statfs *info);
int __real_gethostname(char *name, size_t size);
int __wrap_gethostname(char *name, size_t size);
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_fstat(int file, struct stat *info);
int __wrap_fstat(int file, struct stat *info);

int __wrap_flock(int file, int operation) {
    if (!no_flock) return __real_flock(file, operation);
    errno = ENOLCK;
    return -1;
}

int __wrap_fstatfs(int file, struct statfs *info) {
    const int result = __real_fstatfs(file, info);
    if (network) info->f_type = 0x6969; /* NFS */
    return result;
}

int __wrap_gethostname(char *name, size_t size) {
    if (!elsewhere) return __real_gethostname(name, size);
    snprintf(name, size, "elsewhere");
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time) {
    const int result = __real_clock_gettime(clock, time);
    if (set_back && clock == CLOCK_REALTIME) time->tv_sec += 3600;
    return result;
}

/* The times of such a file system do not tell one beat from the next. */
int __wrap_fstat(int file, struct stat *info) {
    const int result = __real_fstat(file, info);
    if (coarse) info->st_mtim = (struct timespec){0};
    return result;
}

/* ---- scenes ---- */

typedef struct {
    char folder[256], lock[300];
} scene;

static int set_up(void **state) {
    scene *s = calloc(1, sizeof *s);
    fixture_folder(s->folder);
    snprintf(s->lock, sizeof s->lock, "%s/.lock", s->folder);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    fixture_remove(s->folder);
    free(s);
    return 0;
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Starts another process that takes the lock and keeps it; returns when it has the lock. */
static pid_t start_holder(const scene *s) {
    int ready[2];
    char byte;
    fflush(NULL);
    if (pipe(ready) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
        dt_run_lock *lock;
        if (dt_run_lock_take(&lock, s->folder, 4) != DT_OK) _exit(1);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    const bool held = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    return held ? child : -1;
}

static void end_holder(pid_t holder) {
    if (holder <= 0) return; /* kill(-1) would end every process there is */
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
}

/* Whether the lock can be taken, and after how many seconds. */
static bool can_take(const scene *s, double *seconds) {
    dt_run_lock *lock;
    const double start = seconds_now();
    const dt_status status = dt_run_lock_take(&lock, s->folder, 1);
    *seconds = seconds_now() - start;
    dt_run_lock_release(&lock);
    return status == DT_OK;
}

/* ---- quick tests ---- */

static void test_file(void **state) {
    scene *s = *state;
    char expected[128], host[64];
    dt_run_lock *lock;
    assert_false(dt_run_is_locked(s->folder));
    assert_int_equal(dt_run_lock_take(&lock, s->folder, 3), DT_OK);
    assert_true(dt_run_is_locked(s->folder));
    size_t size;
    unsigned char *text = fixture_load(&size, s->lock);
    text[size] = '\0';
    gethostname(host, sizeof host);
    snprintf(expected, sizeof expected, "host = %s\nprocess = %ld\nranks = 3\nsince = 20", host,
             (long)getpid());
    assert_non_null(strstr((char *)text, expected));
    free(text);
    dt_run_lock_release(&lock);
    assert_null(lock);
    assert_int_equal(fixture_files(s->folder), 0);
    dt_run_lock_release(&lock);
}

static void test_crash(void **state) {
    const scene *s = *state;
    double seconds;
    for (int k = 0; k < 2; k++) {
        no_flock = k == 1;
        const pid_t holder = start_holder(s);
        assert_true(holder > 0);
        end_holder(holder);
        assert_true(dt_run_is_locked(s->folder));
        assert_true(can_take(s, &seconds));
        assert_true(seconds < 1);
        assert_false(dt_run_is_locked(s->folder));
    }
    no_flock = false;
}

/* The content of the file is used only in the message. */
static void test_strange_texts(void **state) {
    const scene *s = *state;
    double seconds;
    char long_text[10000];
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "host = ", 7);
    fixture_store(s->lock, long_text, sizeof long_text);
    assert_true(can_take(s, &seconds));
    const char *const text[] = {"", "\n\n = \n=", "process = 99999999999999999999999",
                                "host = \x1b[2J", "host = elsewhere\nprocess = -1\n"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        fixture_store(s->lock, text[i], strlen(text[i]));
        assert_true(can_take(s, &seconds));
        assert_true(seconds < 1);
    }
}

static void test_in_the_way(void **state) {
    const scene *s = *state;
    dt_run_lock *lock;
    assert_int_equal(mkdir(s->lock, 0700), 0);
    assert_int_equal(dt_run_lock_take(&lock, s->folder, 1), DT_ERR_CREATE);
    assert_non_null(strstr(dt_error_text(), "a folder of that name"));
    assert_null(lock);
    rmdir(s->lock);
    assert_int_equal(symlink("nowhere", s->lock), 0);
    assert_int_equal(dt_run_lock_take(&lock, s->folder, 1), DT_ERR_CREATE);
    assert_non_null(strstr(dt_error_text(), "a symbolic link"));
    unlink(s->lock);
    assert_int_equal(mkfifo(s->lock, 0600), 0);
    assert_int_equal(dt_run_lock_take(&lock, s->folder, 1), DT_ERR_CREATE);
    unlink(s->lock);
    assert_int_equal(dt_run_lock_take(&lock, "/none/at/all", 1), DT_ERR_CREATE);
}

/* A person removes the file. */
static void test_removed(void **state) {
    const scene *s = *state;
    double seconds;
    const pid_t holder = start_holder(s);
    assert_true(holder > 0);
    unlink(s->lock);
    assert_true(can_take(s, &seconds));
    end_holder(holder);
    /* An owner whose file was replaced by another's does not touch that file. */
    dt_run_lock *lock;
    assert_int_equal(dt_run_lock_take(&lock, s->folder, 1), DT_OK);
    unlink(s->lock);
    fixture_store(s->lock, "host = other\n", 13);
    dt_run_lock_release(&lock);
    assert_true(dt_run_is_locked(s->folder));
}

/* ---- slow tests, at the same time: each in its own process and folder ---- */

static const char *busy_message(pid_t holder) {
    char words[64];
    snprintf(words, sizeof words, "process %ld on ", (long)holder);
    if (!strstr(dt_error_text(), words)) return "it does not name the process";
    if (!strstr(dt_error_text(), "4 ranks, since 20")) return "it does not name the ranks";
    return NULL;
}

static const char no_holder[] = "the other process could not take it";

/* A living owner, on a file system with flock or without, on this machine or another. */
static const char *refused(const scene *s, bool without, bool away) {
    double seconds;
    no_flock = without;
    network = away;
    const pid_t holder = start_holder(s);
    if (holder <= 0) return no_holder;
    elsewhere = away;
    const bool taken = can_take(s, &seconds);
    end_holder(holder);
    return taken          ? "it could be taken"
           : seconds > 15 ? "it took too long to refuse"
                          : busy_message(holder);
}

static const char *refused_here(const scene *s) { return refused(s, false, false); }
static const char *refused_without_flock(const scene *s) { return refused(s, true, false); }
static const char *refused_away(const scene *s) { return refused(s, true, true); }

/* Only the heartbeat shows that the owner lives. */
static const char *refused_after_the_clock_was_set_back(const scene *s) {
    set_back = true;
    return refused(s, true, true);
}

static const char *refused_where_times_are_coarse(const scene *s) {
    coarse = true;
    return refused(s, true, true);
}

/* A dead owner on another machine: only the missing heartbeat shows it. */
static const char *taken_over(const scene *s, bool without) {
    double seconds;
    no_flock = without;
    network = true;
    const pid_t holder = start_holder(s);
    if (holder <= 0) return no_holder;
    end_holder(holder);
    elsewhere = true;
    if (!can_take(s, &seconds)) return "it could not be taken";
    return seconds > 6 && seconds < 15 ? NULL : "it was not watched for long enough";
}

static const char *taken_over_away(const scene *s) { return taken_over(s, true); }
static const char *taken_over_with_local_flock(const scene *s) { return taken_over(s, false); }

/* The owner ends while another process waits. */
static const char *waited_for(const scene *s) {
    double seconds;
    const pid_t holder = start_holder(s);
    if (holder <= 0) return no_holder;
    const pid_t killer = fork();
    if (killer == 0) {
        sleep(2);
        kill(holder, SIGKILL);
        _exit(0);
    }
    const bool taken = can_take(s, &seconds);
    waitpid(holder, NULL, 0);
    waitpid(killer, NULL, 0);
    return taken && seconds > 1 && seconds < 4 ? NULL : "it was not waited for";
}

/* The folder is renamed, and another process creates it again. */
static const char *taken_again(const scene *s) {
    char moved[300];
    double seconds;
    snprintf(moved, sizeof moved, "%s.moved", s->folder);
    const pid_t holder = start_holder(s);
    if (holder <= 0) return no_holder;
    if (rename(s->folder, moved) != 0 || mkdir(s->folder, 0700) != 0) return "cannot be moved";
    for (int i = 0; i < 80 && !dt_run_is_locked(s->folder); i++) usleep(50000);
    const bool taken = can_take(s, &seconds);
    end_holder(holder);
    fixture_remove(moved);
    return taken ? "the new folder was not locked" : NULL;
}

static void test_side_by_side(void **state) {
    static const struct {
        const char *name;
        const char *(*run)(const scene *);
    } story[] = {
        {"refused_here", refused_here},
        {"refused_without_flock", refused_without_flock},
        {"refused_away", refused_away},
        {"refused_after_the_clock_was_set_back", refused_after_the_clock_was_set_back},
        {"refused_where_times_are_coarse", refused_where_times_are_coarse},
        {"taken_over_away", taken_over_away},
        {"taken_over_with_local_flock", taken_over_with_local_flock},
        {"waited_for", waited_for},
        {"taken_again", taken_again},
    };
    enum { STORIES = sizeof story / sizeof *story };
    (void)state;
    pid_t child[STORIES];
    fflush(NULL);
    for (size_t i = 0; i < STORIES; i++) {
        child[i] = fork();
        if (child[i] != 0) continue;
        void *own = NULL;
        set_up(&own);
        const char *wrong = story[i].run(own);
        tear_down(&own);
        if (wrong) fprintf(stderr, "%s: %s; %s\n", story[i].name, wrong, dt_error_text());
        _exit(wrong != NULL);
    }
    int failed = 0;
    for (size_t i = 0; i < STORIES; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        failed += status != 0;
    }
    assert_int_equal(failed, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_file),       TEST(test_crash),   TEST(test_strange_texts),
        TEST(test_in_the_way), TEST(test_removed), cmocka_unit_test(test_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
