/* Publishing a checkpoint in the folder of its run: the file, the links to it, and which files are
 * kept. */
#include "dtrain/run/publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

typedef struct {
    char folder[256], path[2 * DT_PATH_MAX], target[DT_PATH_MAX];
    dt_checkpoint checkpoint;
} scene;

static int set_up(void **state) {
    scene *s = calloc(1, sizeof *s);
    fixture_folder(s->folder);
    fixture_create(&s->checkpoint, FIXTURE_SMALL);
    snprintf(s->checkpoint.config.out, sizeof s->checkpoint.config.out, "%s", s->folder);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    dt_checkpoint_destroy(&s->checkpoint);
    fixture_remove(s->folder);
    free(s);
    return 0;
}

static const char *in(scene *s, const char *name) {
    snprintf(s->path, sizeof s->path, "%s/%s", s->folder, name);
    return s->path;
}

static bool is_there(scene *s, const char *name) { return access(in(s, name), F_OK) == 0; }

static const char *link_of(scene *s, const char *name) {
    const ssize_t length = readlink(in(s, name), s->target, sizeof s->target - 1);
    s->target[length > 0 ? length : 0] = '\0';
    return s->target;
}

static dt_status publish(scene *s, int64_t step, int64_t best_step, int64_t keep) {
    s->checkpoint.state.step = step;
    s->checkpoint.state.best_step = best_step;
    s->checkpoint.config.keep = keep;
    return dt_publish_checkpoint(&s->checkpoint, NULL);
}

static void links_point_to_the_newest_and_the_best(void **state) {
    scene *s = *state;
    assert_int_equal(publish(s, 12, -1, 3), DT_OK);
    assert_string_equal(link_of(s, "latest.h5"), "checkpoint-00000012.h5");
    assert_false(is_there(s, "best.h5"));
    assert_int_equal(publish(s, 13, 13, 3), DT_OK);
    assert_int_equal(publish(s, 14, 13, 3), DT_OK);
    assert_string_equal(link_of(s, "latest.h5"), "checkpoint-00000014.h5");
    assert_string_equal(link_of(s, "best.h5"), "checkpoint-00000013.h5");
}

/* With one file to keep, the one before it also stays: the newest may be from a diverged run. */
static void old_files_go_but_for_the_best_and_the_one_before(void **state) {
    scene *s = *state;
    for (int64_t step = 12; step <= 16; step++) {
        assert_int_equal(publish(s, step, 12, 1), DT_OK);
    }
    assert_true(is_there(s, "checkpoint-00000012.h5"));
    assert_false(is_there(s, "checkpoint-00000013.h5"));
    assert_false(is_there(s, "checkpoint-00000014.h5"));
    assert_true(is_there(s, "checkpoint-00000015.h5"));
    assert_true(is_there(s, "checkpoint-00000016.h5"));
    assert_int_equal(publish(s, 17, 12, 3), DT_OK);
    assert_true(is_there(s, "checkpoint-00000015.h5"));
    assert_int_equal(publish(s, 18, 12, 3), DT_OK);
    assert_false(is_there(s, "checkpoint-00000015.h5"));
}

static void a_folder_that_was_removed_is_made_again(void **state) {
    scene *s = *state;
    assert_int_equal(publish(s, 12, 12, 3), DT_OK);
    fixture_remove(s->folder);
    assert_int_equal(publish(s, 13, 12, 3), DT_OK);
    assert_true(is_there(s, "checkpoint-00000013.h5"));
    assert_true(is_there(s, "config.ini"));
    assert_string_equal(link_of(s, "latest.h5"), "checkpoint-00000013.h5");
}

static bool always(void) { return true; }

static void what_is_needless_leaves_nothing(void **state) {
    scene *s = *state;
    assert_int_equal(publish(s, 12, -1, 3), DT_OK);
    s->checkpoint.state.step = 13;
    assert_int_equal(dt_publish_checkpoint(&s->checkpoint, always), DT_ERR_STOPPED);
    assert_false(is_there(s, "checkpoint-00000013.h5"));
    assert_string_equal(link_of(s, "latest.h5"), "checkpoint-00000012.h5");
    assert_int_equal(fixture_files(s->folder), 2);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(links_point_to_the_newest_and_the_best),
        TEST(old_files_go_but_for_the_best_and_the_one_before),
        TEST(a_folder_that_was_removed_is_made_again),
        TEST(what_is_needless_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
