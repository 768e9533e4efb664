/* Files in the folder of a run that dtrain did not write: it finds, distinguishes and keeps them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "dtrain/folder/foreign.h"
#include "fixture.h"

typedef struct {
    char folder[256], path[2 * DT_PATH_MAX];
    dt_foreign found;
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

static void store(scene *s, const char *name, const char *text) {
    fixture_store(in(s, name), text, strlen(text));
}

static void assert_holds(scene *s, const char *name, const char *text) {
    size_t size;
    unsigned char *bytes = fixture_load(&size, in(s, name));
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
    free(bytes);
}

static const dt_foreign *find(scene *s) {
    if (dt_foreign_find(&s->found, s->folder) != DT_OK) fail_msg("%s", dt_error_text());
    return &s->found;
}

/* ---- checkpoints ---- */

static void test_nothing(void **state) {
    scene *s = *state;
    assert_string_equal(find(s)->checkpoint, "");
    assert_int_equal(find(s)->settings, DT_SETTINGS_NONE);
    assert_false(find(s)->log);
    assert_int_equal(dt_foreign_find(&s->found, in(s, "not-there")), DT_OK);
    assert_string_equal(s->found.checkpoint, "");
}

/* Everything that a run itself writes, and other names. */
static void test_own_checkpoints(void **state) {
    scene *s = *state;
    static const char *const name[] = {
        "checkpoint-00000001.h5", "checkpoint-123456789.h5", "data.h5", "besten.txt", "best.txt",
        ".best.h5.tmp.host.12"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) store(s, name[i], "");
    assert_int_equal(symlink("checkpoint-00000001.h5", in(s, "latest.h5")), 0);
    assert_int_equal(symlink("checkpoint-00000009.h5", in(s, "best.h5")), 0); /* rotated away */
    assert_int_equal(symlink("nowhere", in(s, "best (2).h5")), 0);
    assert_int_equal(mkdir(in(s, "best (1).h5"), 0700), 0);
    assert_string_equal(find(s)->checkpoint, "");
    rmdir(in(s, "best (1).h5"));
}

static void test_copied_checkpoints(void **state) {
    static const char *const name[] = {"best.h5",          "latest.h5",
                                       "latest (1).h5",    "checkpoint-00000020 (1).h5",
                                       "checkpoint-20.h5", "best.h5.1"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        scene *s = *state;
        store(s, name[i], "");
        assert_string_equal(find(s)->checkpoint, name[i]);
        unlink(in(s, name[i]));
        /* The same with a link to another file. */
        char elsewhere[2 * DT_PATH_MAX];
        store(s, "model", "");
        snprintf(elsewhere, sizeof elsewhere, "%s", in(s, "model"));
        assert_int_equal(symlink(elsewhere, in(s, name[i])), 0);
        assert_string_equal(find(s)->checkpoint, name[i]);
        unlink(in(s, name[i]));
    }
    scene *s = *state;
    for (size_t i = sizeof name / sizeof *name; i-- > 0;) {
        store(s, name[i], "");
        assert_string_equal(find(s)->checkpoint,
                            i == 2 ? "best.h5.1" : name[i > 2 && i < 5 ? 5 : i]);
    }
}

/* ---- settings ---- */

static void store_own(scene *s, const char *from, const char *to) {
    dt_config config;
    char *ini;
    dt_config_defaults(&config);
    assert_int_equal(dt_config_format(&ini, &config, false), DT_OK);
    char *at = strstr(ini, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    store(s, "config.ini", ini);
    dt_memory_free(&ini);
}

static void test_own_settings(void **state) {
    scene *s = *state;
    store_own(s, "seed", "seed");
    assert_int_equal(find(s)->settings, DT_SETTINGS_OWN);
    store_own(s, "lr = 0.003", "lr = 0.002"); /* with other values, too */
    assert_int_equal(find(s)->settings, DT_SETTINGS_OWN);
    store_own(s, "seed = 1", "seed=1 ;");
    assert_int_equal(find(s)->settings, DT_SETTINGS_PERSON); /* a person wrote the comment */
    store_own(s, "[batch]", "# batch");
    assert_int_equal(find(s)->settings, DT_SETTINGS_FOREIGN); /* settings in the wrong section */
    assert_non_null(strstr(find(s)->why, "config.ini:"));
}

static void test_settings_of_people(void **state) {
    scene *s = *state;
    static const char *const of_people[] = {"", "[run]\nseed = 3\n", "# mine\n[run]\nseed = 3\n",
                                            "[run]\nout = x\n[checkpoints]\nkeep = 3\n",
                                            "[run]\r\nseed = 3\r\n"};
    static const char *const foreign[] = {"port = 80\n", "[server]\nport=80\n", "{\"a\": 1}\n",
                                          "[run]\nseed = x\n", "\177ELF"};
    for (size_t i = 0; i < sizeof of_people / sizeof *of_people; i++) {
        store(s, "config.ini", of_people[i]);
        assert_int_equal(find(s)->settings, DT_SETTINGS_PERSON);
        assert_string_equal(find(s)->why, "");
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        store(s, "config.ini", foreign[i]);
        assert_int_equal(find(s)->settings, DT_SETTINGS_FOREIGN);
        assert_string_not_equal(find(s)->why, "");
    }
    unlink(in(s, "config.ini"));
    assert_int_equal(symlink("nowhere", in(s, "config.ini")), 0);
    assert_int_equal(find(s)->settings, DT_SETTINGS_PERSON); /* the link has no target */
}

/* ---- logs ---- */

static void test_logs(void **state) {
    scene *s = *state;
    assert_int_equal(dt_run_append_log(s->folder, "{\"event\":\"step\",\"step\":1}"), DT_OK);
    assert_false(find(s)->log);
    store(s, "log.jsonl", "");
    assert_false(find(s)->log);
    store(s, "log.jsonl", "{\"level\":\"info\"}\n");
    assert_true(find(s)->log);
    store(s, "log.jsonl", "a");
    assert_true(find(s)->log);
}

/* ---- keeping files ---- */

static void test_set_aside(void **state) {
    scene *s = *state;
    char aside[3][DT_PATH_MAX], path[2 * DT_PATH_MAX];
    snprintf(path, sizeof path, "%s", in(s, "file"));
    for (int i = 0; i < 3; i++) { /* possibly within one second */
        const char text[] = {(char)('a' + i), '\0'};
        store(s, "file", text);
        assert_int_equal(dt_run_set_aside(aside[i], DT_PATH_MAX, path), DT_OK);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(strncmp(aside[i], path, strlen(path)), 0);
    }
    for (int i = 0; i < 3; i++) {
        const char text[] = {(char)('a' + i), '\0'};
        assert_holds(s, strrchr(aside[i], '/') + 1, text);
    }
    assert_int_equal(dt_run_set_aside(aside[0], DT_PATH_MAX, path), DT_ERR_CREATE);
    assert_int_equal(dt_run_set_aside(aside[0], strlen(path) + 3, path), DT_ERR_CREATE);
}

static void test_copy(void **state) {
    scene *s = *state;
    enum { SIZE = 200000 };
    char from[2 * DT_PATH_MAX];
    unsigned char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (unsigned char)(i * 31 >> 3);
    snprintf(from, sizeof from, "%s", in(s, "from"));
    fixture_store(from, bytes, SIZE);
    assert_int_equal(dt_file_copy(in(s, "to"), from), DT_OK);
    size_t size;
    unsigned char *copy = fixture_load(&size, in(s, "to"));
    assert_int_equal(size, SIZE);
    assert_memory_equal(copy, bytes, SIZE);
    free(copy);
    free(bytes);
    assert_int_equal(fixture_files(s->folder), 2);
    assert_int_equal(dt_file_copy(in(s, "to"), "/nowhere/at/all"), DT_ERR_NO_INPUT);
    assert_int_equal(dt_file_copy("/nowhere/at/all", from), DT_ERR_CREATE);
}

/* The only other file holds the earlier content. */
static void assert_kept(scene *s, const char *name, const char *text) {
    char path[DT_PATH_MAX];
    snprintf(path, sizeof path, "ls '%s' | grep -x '%s\\.[0-9]*-[0-9]*'", s->folder, name);
    FILE *list = popen(path, "r");
    assert_non_null(list);
    assert_non_null(fgets(path, sizeof path, list));
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    assert_holds(s, path, text);
}

/* A link replaces only a link or the copy of a checkpoint. */
static void test_links_keep_files(void **state) {
    scene *s = *state;
    store(s, "checkpoint-00000001.h5", "one");
    store(s, "checkpoint-00000002.h5", "two");
    store(s, "best.h5", "six");
    assert_int_equal(dt_run_links(s->folder, 2, 1), DT_OK);
    assert_holds(s, "best.h5", "one");
    assert_kept(s, "best.h5", "six");
    const size_t files = fixture_files(s->folder);
    unlink(in(s, "latest.h5"));
    store(s, "latest.h5", "one"); /* as in a copy of the folder that followed links */
    assert_int_equal(dt_run_links(s->folder, 2, 1), DT_OK);
    assert_holds(s, "latest.h5", "two");
    assert_int_equal(fixture_files(s->folder), files);
    unlink(in(s, "latest.h5"));
    store(s, "other", "else");
    assert_int_equal(symlink("other", in(s, "latest.h5")), 0);
    assert_int_equal(dt_run_links(s->folder, 2, 1), DT_OK);
    assert_holds(s, "latest.h5", "two");
    assert_kept(s, "latest.h5", "else");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),
        TEST(test_own_checkpoints),
        TEST(test_copied_checkpoints),
        TEST(test_own_settings),
        TEST(test_settings_of_people),
        TEST(test_logs),
        TEST(test_set_aside),
        TEST(test_copy),
        TEST(test_links_keep_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
