/* The folder of a run: it is created; checkpoints are found, linked and rotated; odd file names do
 * no harm. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtrain/core/memory.h"
#include "fixture.h"

typedef struct {
    char folder[256], path[2 * DT_PATH_MAX];
} scene;

static int set_up(void **state) {
    scene *s = calloc(1, sizeof *s);
    fixture_folder(s->folder);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    fixture_remove(s->folder);
    free(s);
    return 0;
}

static const char *in(scene *s, const char *name) {
    snprintf(s->path, sizeof s->path, "%s/%s", s->folder, name);
    return s->path;
}

static void store(scene *s, const char *name) { fixture_store(in(s, name), name, strlen(name)); }

static bool is_there(scene *s, const char *name) {
    struct stat info;
    return lstat(in(s, name), &info) == 0;
}

static void assert_says(const char *words) {
    if (!strstr(dt_error_text(), words))
        fail_msg("\"%s\" does not say \"%s\"", dt_error_text(), words);
}

/* ---- creating it ---- */

static void test_open(void **state) {
    scene *s = *state;
    assert_int_equal(dt_run_folder_open(in(s, "a")), DT_OK);
    assert_int_equal(dt_run_folder_open(in(s, "a/b//c/")), DT_OK);
    assert_int_equal(dt_run_folder_open(in(s, "a/b//c/")), DT_OK);
    assert_true(is_there(s, "a/b/c"));
    assert_int_equal(fixture_files(in(s, "a/b/c")), 0);
    rmdir(in(s, "a/b/c"));
    rmdir(in(s, "a/b"));
}

static void test_open_in_the_way(void **state) {
    scene *s = *state;
    store(s, "file");
    assert_int_equal(symlink("nowhere", in(s, "link")), 0);
    assert_int_equal(dt_run_folder_open(in(s, "file")), DT_ERR_CREATE);
    assert_says("a file of that name is in the way");
    assert_int_equal(dt_run_folder_open(in(s, "file/below")), DT_ERR_CREATE);
    assert_says("a file of that name is in the way");
    assert_int_equal(dt_run_folder_open(in(s, "link")), DT_ERR_CREATE);
    assert_says("a link to something that is not there");
    assert_int_equal(dt_run_folder_open(""), DT_ERR_CREATE);
    assert_says("empty");
    memset(s->path, 'x', 300);
    s->path[300] = '\0';
    assert_int_equal(dt_run_folder_open(s->path), DT_ERR_CREATE);
    assert_says("too long");
    memset(s->path, 'x', sizeof s->path - 1);
    s->path[sizeof s->path - 1] = '\0';
    assert_int_equal(dt_run_folder_open(s->path), DT_ERR_CREATE);
    assert_says("too long");
    assert_int_equal(dt_run_folder_open("/proc/dtrain"), DT_ERR_CREATE);
}

static void test_open_unwritable(void **state) {
    scene *s = *state;
    assert_int_equal(chmod(s->folder, 0555), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(9);
        if (dt_run_folder_open(s->folder) != DT_ERR_CREATE ||
            !strstr(dt_error_text(), "cannot be written to"))
            _exit(1);
        if (dt_run_folder_open(in(s, "new")) != DT_ERR_CREATE ||
            !strstr(dt_error_text(), "no permission"))
            _exit(2);
        if (dt_run_append_log(s->folder, "{}") != DT_ERR_CREATE) _exit(3);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    chmod(s->folder, 0700);
    assert_int_equal(status, 0);
}

/* Temporary files of killed processes are deleted; those that a living process or another machine
 * is writing are kept. */
static void test_forgotten_files(void **state) {
    scene *s = *state;
    char host[64] = "", name[3][160];
    gethostname(host, sizeof host - 1);
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
    snprintf(name[0], sizeof name[0], ".checkpoint-00000001.h5.tmp.%s.%ld", host, (long)child);
    snprintf(name[1], sizeof name[1], ".checkpoint-00000001.h5.tmp.%s.%ld", host, (long)getppid());
    snprintf(name[2], sizeof name[2], ".checkpoint-00000001.h5.tmp.other.host.%ld", (long)child);
    for (size_t i = 0; i < 3; i++) store(s, name[i]);
    const char *const kept[] = {".tmp.", ".x.tmp.", "a.tmp.b.1", ".x.tmp.host.1x",
                                "checkpoint-00000001.h5"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) store(s, kept[i]);
    const int file = open(in(s, name[1]), O_RDWR);
    assert_int_equal(flock(file, LOCK_EX), 0);
    assert_int_equal(dt_run_folder_open(s->folder), DT_OK);
    assert_false(is_there(s, name[0]));
    assert_true(is_there(s, name[1]));
    assert_true(is_there(s, name[2]));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) assert_true(is_there(s, kept[i]));
    const struct timeval old[2] = {{1000000000, 0}, {1000000000, 0}};
    utimes(in(s, name[2]), old);
    close(file); /* a process with that number lives, but it no longer writes the file */
    assert_int_equal(dt_run_folder_open(s->folder), DT_OK);
    assert_false(is_there(s, name[1]));
    assert_false(is_there(s, name[2]));
}

/* ---- checkpoints in it ---- */

static void test_paths(void **state) {
    scene *s = *state;
    char path[64];
    assert_int_equal(dt_run_checkpoint_path(path, sizeof path, "runs/x", 1200), DT_OK);
    assert_string_equal(path, "runs/x/checkpoint-00001200.h5");
    assert_int_equal(dt_run_checkpoint_path(path, sizeof path, "runs/x", 123456789012), DT_OK);
    assert_string_equal(path, "runs/x/checkpoint-123456789012.h5");
    assert_int_equal(dt_run_checkpoint_path(path, 20, "runs/x", 1), DT_ERR_CREATE);
    assert_int_equal(dt_run_checkpoint_path(path, sizeof path, s->folder, -1), DT_ERR_INTERNAL);
}

static void assert_steps(const scene *s, size_t count, const int64_t *expected) {
    int64_t *steps;
    size_t found;
    assert_int_equal(dt_run_checkpoints(&steps, &found, s->folder), DT_OK);
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(steps[i], expected[i]);
    dt_memory_free(&steps);
}

static void test_list(void **state) {
    scene *s = *state;
    assert_steps(s, 0, NULL);
    const char *const name[] = {"checkpoint-00000007.h5",
                                "checkpoint-00000100.h5",
                                "checkpoint-123456789.h5",
                                "checkpoint-7.h5",
                                "checkpoint-0000000a.h5",
                                "checkpoint--0000001.h5",
                                "checkpoint-00000008.h5x",
                                ".checkpoint-00000009.h5.tmp.host.1",
                                "checkpoint-99999999999999999999999.h5"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) store(s, name[i]);
    assert_int_equal(mkdir(in(s, "checkpoint-00000500.h5"), 0700), 0);
    assert_int_equal(symlink("nowhere", in(s, "checkpoint-00000600.h5")), 0);
    assert_steps(s, 3, (int64_t[]){123456789, 100, 7});

    int64_t *steps;
    size_t count;
    assert_int_equal(dt_run_checkpoints(&steps, &count, in(s, "none")), DT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(dt_run_checkpoints(&steps, &count, in(s, name[0])), DT_ERR_NO_INPUT);
    assert_says("a file where a folder is needed");
}

static void store_steps(scene *s, int64_t last) {
    char name[48];
    for (int64_t step = 1; step <= last; step++) {
        snprintf(name, sizeof name, "checkpoint-%08lld.h5", (long long)step);
        store(s, name);
    }
}

static void assert_target(scene *s, const char *link, const char *expected) {
    char target[128] = "";
    assert_true(readlink(in(s, link), target, sizeof target - 1) > 0);
    assert_string_equal(target, expected);
}

static void test_links(void **state) {
    scene *s = *state;
    store_steps(s, 3);
    assert_int_equal(dt_run_link(s->folder, "latest.h5", 1), DT_OK);
    assert_target(s, "latest.h5", "checkpoint-00000001.h5"); /* relative: the folder may be moved */
    assert_int_equal(dt_run_link(s->folder, "latest.h5", 3), DT_OK);
    assert_target(s, "latest.h5", "checkpoint-00000003.h5");
    assert_int_equal(fixture_files(s->folder), 4);
    assert_int_equal(dt_run_links(s->folder, 2, 7), DT_OK); /* 7 is of another folder */
    assert_target(s, "latest.h5", "checkpoint-00000002.h5");
    assert_false(is_there(s, "best.h5"));
    assert_int_equal(dt_run_links(s->folder, 3, 1), DT_OK);
    assert_target(s, "best.h5", "checkpoint-00000001.h5");
    assert_int_equal(dt_run_links(s->folder, 3, -1), DT_OK);
    assert_target(s, "best.h5", "checkpoint-00000001.h5");
    assert_int_equal(unlink(in(s, "best.h5")), 0);
    assert_int_equal(dt_run_link(s->folder, "latest.h5", 9), DT_ERR_IO);
    assert_says("there is no such file");
    assert_target(s, "latest.h5", "checkpoint-00000003.h5");
    assert_int_equal(mkdir(in(s, "best.h5"), 0700), 0);
    assert_int_equal(dt_run_link(s->folder, "best.h5", 3), DT_ERR_IO);
    assert_says("folder of that name is in the way");
    assert_int_equal(fixture_files(s->folder), 5);
}

/* Without support for links, text files replace them; e2e.disk tests how they are written. */
static void test_marks(void **state) {
    scene *s = *state;
    char path[DT_PATH_MAX];
    store_steps(s, 4);
    assert_true(dt_run_links_work(s->folder));
    assert_int_equal(fixture_files(s->folder), 4);
    assert_false(dt_run_find(path, sizeof path, s->folder, "best.h5"));
    assert_false(dt_run_dangles(s->folder, "best.h5"));
    fixture_store(in(s, "best.txt"), "checkpoint-00000002.h5\r\n", 24);
    assert_true(dt_run_find(path, sizeof path, s->folder, "best.h5"));
    assert_string_equal(path, in(s, "checkpoint-00000002.h5"));
    assert_int_equal(dt_run_resolve(path, sizeof path, s->folder), DT_OK);
    assert_string_equal(path, in(s, "checkpoint-00000002.h5"));
    assert_int_equal(dt_run_resolve(path, sizeof path, in(s, "best.h5")), DT_OK);
    assert_string_equal(path, in(s, "checkpoint-00000002.h5"));
    assert_int_equal(dt_run_rotate(s->folder, 1), DT_OK);
    assert_steps(s, 2, (int64_t[]){4, 2});
    store(s, "best.h5"); /* a copy from elsewhere: this run wrote the text */
    assert_true(dt_run_find(path, sizeof path, s->folder, "best.h5"));
    assert_string_equal(path, in(s, "checkpoint-00000002.h5"));
    unlink(in(s, "checkpoint-00000002.h5"));
    assert_true(dt_run_dangles(s->folder, "best.h5"));
    assert_true(dt_run_find(path, sizeof path, s->folder, "best.h5"));
    assert_string_equal(path, in(s, "best.h5"));
    assert_int_equal(dt_run_link(s->folder, "best.h5", 4), DT_OK);
    assert_false(is_there(s, "best.txt"));
    assert_target(s, "best.h5", "checkpoint-00000004.h5");
    fixture_store(in(s, "best.txt"), "not a name", 10);
    assert_false(dt_run_dangles(s->folder, "best.h5"));
    assert_int_equal(dt_run_link(s->folder, "best.h5", 4), DT_OK);
    assert_int_equal(dt_run_unlink(s->folder, "best.h5"), DT_OK);
    assert_true(is_there(s, "best.txt")); /* a person wrote it */
    assert_false(is_there(s, "best.h5"));
    assert_int_equal(dt_run_unlink(s->folder, "best.h5"), DT_OK);
}

static void test_rotate(void **state) {
    scene *s = *state;
    store_steps(s, 9);
    assert_int_equal(dt_run_link(s->folder, "best.h5", 2), DT_OK);
    assert_int_equal(dt_run_link(s->folder, "latest.h5", 4), DT_OK);
    assert_int_equal(dt_run_rotate(s->folder, 0), DT_OK);
    assert_steps(s, 9, (int64_t[]){9, 8, 7, 6, 5, 4, 3, 2, 1});
    assert_int_equal(dt_run_rotate(s->folder, 3), DT_OK);
    assert_steps(s, 5, (int64_t[]){9, 8, 7, 4, 2});
    assert_int_equal(dt_run_link(s->folder, "latest.h5", 9), DT_OK);
    assert_int_equal(dt_run_rotate(s->folder, 1), DT_OK);
    assert_steps(s, 2, (int64_t[]){9, 2});
    store_steps(s, 8);
    assert_int_equal(symlink("./checkpoint-00000005.h5", in(s, "pinned-by-hand")), 0);
    assert_int_equal(dt_run_rotate(s->folder, 1), DT_OK);
    assert_steps(s, 3, (int64_t[]){9, 5, 2});
    assert_true(is_there(s, "best.h5"));
}

/* ---- resolving what a person names ---- */

static void assert_resolves(scene *s, const char *name, const char *expected) {
    char path[DT_PATH_MAX], wanted[DT_PATH_MAX];
    snprintf(wanted, sizeof wanted, "%s/%s", s->folder, expected);
    assert_int_equal(dt_run_resolve(path, sizeof path, name), DT_OK);
    assert_string_equal(path, wanted);
}

static void test_resolve(void **state) {
    scene *s = *state;
    char path[DT_PATH_MAX];
    assert_int_equal(dt_run_resolve(path, sizeof path, s->folder), DT_ERR_NO_INPUT);
    assert_says("looked for best.h5 and checkpoint-*.h5");
    store_steps(s, 3);
    assert_resolves(s, s->folder, "checkpoint-00000003.h5");
    assert_int_equal(dt_run_link(s->folder, "best.h5", 2), DT_OK);
    assert_resolves(s, s->folder, "best.h5");
    assert_resolves(s, in(s, "checkpoint-00000001.h5"), "checkpoint-00000001.h5");
    assert_resolves(s, in(s, "best.h5"), "best.h5");
    unlink(in(s, "checkpoint-00000002.h5"));
    assert_resolves(s, s->folder, "checkpoint-00000003.h5");
    assert_int_equal(dt_run_resolve(path, sizeof path, in(s, "best.h5")), DT_ERR_NO_INPUT);
    assert_says("a link to something that is not there");
    assert_int_equal(dt_run_resolve(path, sizeof path, in(s, "none")), DT_ERR_NO_INPUT);
    assert_says("no such checkpoint or run folder");
    assert_int_equal(dt_run_resolve(path, sizeof path, "/dev/null"), DT_ERR_NO_INPUT);
    assert_says("neither a checkpoint nor a run folder");
    assert_int_equal(dt_run_resolve(path, 8, in(s, "checkpoint-00000001.h5")), DT_ERR_NO_INPUT);
    assert_says("too long");
}

/* ---- texts ---- */

static void assert_contents(scene *s, const char *name, const char *expected) {
    size_t size;
    unsigned char *bytes = fixture_load(&size, in(s, name));
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(bytes, expected, size);
    free(bytes);
}

static void test_texts(void **state) {
    scene *s = *state;
    assert_int_equal(dt_run_write_text(s->folder, "config.ini", "a long first text\n"), DT_OK);
    assert_int_equal(dt_run_write_text(s->folder, "config.ini", "short\n"), DT_OK);
    assert_contents(s, "config.ini", "short\n");
    assert_int_equal(dt_run_append_log(s->folder, "{\"step\": 1}"), DT_OK);
    assert_int_equal(dt_run_append_log(s->folder, "{\"step\": 2}"), DT_OK);
    assert_contents(s, "log.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
    fixture_store(in(s, "log.jsonl"), "{\"ste", 5); /* the writer was killed */
    assert_int_equal(dt_run_append_log(s->folder, "{}"), DT_OK);
    assert_contents(s, "log.jsonl", "{\"ste\n{}\n");
    assert_int_equal(fixture_files(s->folder), 2);
    assert_int_equal(dt_run_write_text(in(s, "none"), "config.ini", ""), DT_ERR_CREATE);
    assert_says("the folder is not there");
    assert_int_equal(mkdir(in(s, "taken"), 0700), 0);
    assert_int_equal(dt_run_write_text(s->folder, "taken", ""), DT_ERR_CREATE);
    assert_says("a folder of that name is in the way");
}

/* The number of a file's pages in the page cache. */
static size_t cached_pages(const char *path, size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page;
    unsigned char *resident = calloc(pages, 1);
    const int file = open(path, O_RDONLY);
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mincore(map, bytes, resident), 0);
    munmap(map, bytes);
    close(file);
    size_t cached = 0;
    for (size_t i = 0; i < pages; i++) cached += resident[i] & 1;
    free(resident);
    return cached;
}

static void test_uncache(void **state) {
    enum { BYTES = 1 << 20, MEMORY_ONLY = 0x01021994 }; /* the magic number of tmpfs */
    scene *s = *state;
    struct statfs system;
    dt_run_uncache(s->folder); /* no checkpoint is there: not an error */
    char *bytes = calloc(BYTES, 1);
    const char *newest = "checkpoint-00000002.h5", *older = "checkpoint-00000001.h5";
    fixture_store(in(s, older), bytes, BYTES);
    fixture_store(in(s, newest), bytes, BYTES);
    free(bytes);
    assert_int_equal(dt_run_link(s->folder, "latest.h5", 2), DT_OK);
    const int file = open(in(s, newest), O_RDONLY); /* pages not yet on the disk stay */
    assert_int_equal(fsync(file), 0);
    close(file);
    assert_true(cached_pages(in(s, newest), BYTES) > 0);
    dt_run_uncache(s->folder);
    assert_int_equal(statfs(s->folder, &system), 0);
    if (system.f_type == MEMORY_ONLY) {
        print_message("SKIPPED: needs ability disk\n");
        skip();
    }
    assert_int_equal(cached_pages(in(s, newest), BYTES), 0);
    assert_true(cached_pages(in(s, older), BYTES) > 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_open),    TEST(test_open_in_the_way), TEST(test_open_unwritable),
        TEST(test_paths),   TEST(test_forgotten_files), TEST(test_list),
        TEST(test_links),   TEST(test_marks),           TEST(test_rotate),
        TEST(test_resolve), TEST(test_texts),           TEST(test_uncache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
