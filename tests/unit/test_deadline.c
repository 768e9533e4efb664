/* When a start has to end: the time limit, and the answer of Slurm, which a script on PATH
 * imitates. */
#include "dtrain/run/deadline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtrain/core/clock.h"

static char folder[64], asked[96];

/* squeue always runs this script text; the file `asked` gets its arguments. */
static void let_squeue_say(const char *text) {
    char path[96];
    snprintf(path, sizeof path, "%s/squeue", folder);
    FILE *script = fopen(path, "w");
    assert_non_null(script);
    fprintf(script, "#!/bin/sh\necho \"$*\" >%s\n%s\n", asked, text);
    assert_int_equal(fclose(script), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static void expect_asked(const char *wanted) {
    char text[256] = "";
    FILE *file = fopen(asked, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    assert_string_equal(text, wanted);
}

static void forget_slurm(void) {
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_JOB_END_TIME");
    unsetenv("SLURM_ARRAY_JOB_ID");
    unsetenv("SLURM_ARRAY_TASK_ID");
    unlink(asked);
}

static int begin(void **state) {
    (void)state;
    forget_slurm();
    return 0;
}

/* Seconds from now, minus those that the test itself may take. */
static void expect_left(const dt_deadline *d, double seconds, const char *what) {
    const double left = d->at - dt_seconds_now();
    assert_true(left <= seconds + 1);
    assert_true(left > seconds - 30);
    assert_string_equal(d->what, what);
}

static void without_slurm_the_limit_counts_from_the_start(void **state) {
    (void)state;
    const double start = dt_seconds_now() - 100;
    dt_deadline d = dt_deadline_find(start, 0);
    assert_true(isinf(d.at));
    d = dt_deadline_find(start, 150);
    assert_true(d.at == start + 150);
    assert_string_equal(d.what, "time limit");
    assert_int_not_equal(access(asked, F_OK), 0);
}

static void slurm_writes_times_in_these_ways(void **state) {
    (void)state;
    const struct {
        const char *text;
        double seconds; /* -1: no limit */
    } cases[] = {{"0:45", 45},
                 {"59:30", 59 * 60 + 30},
                 {"02:03:04", 2 * 3600 + 3 * 60 + 4},
                 {"1-02:03:04", 86400 + 2 * 3600 + 3 * 60 + 4},
                 {"365-00:00:00", 365 * 86400.0},
                 {"UNLIMITED", -1},
                 {"NOT_SET", -1},
                 {"INVALID", -1},
                 {"INFINITE", -1},
                 {"45", -1},
                 {"", -1}};
    setenv("SLURM_JOB_ID", "123", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[96];
        snprintf(command, sizeof command, "echo '%s'", cases[i].text);
        let_squeue_say(command);
        const dt_deadline d = dt_deadline_find(dt_seconds_now(), 0);
        if (cases[i].seconds < 0) {
            assert_true(isinf(d.at));
        } else {
            expect_left(&d, cases[i].seconds, "end of the Slurm allocation");
        }
    }
    expect_asked("-h -j 123 -o %L");
}

static void of_an_array_one_task_is_asked_for(void **state) {
    (void)state;
    let_squeue_say("echo 10:00");
    setenv("SLURM_JOB_ID", "130", 1);
    setenv("SLURM_ARRAY_JOB_ID", "128", 1);
    setenv("SLURM_ARRAY_TASK_ID", "2", 1);
    const dt_deadline d = dt_deadline_find(dt_seconds_now(), 0);
    expect_left(&d, 600, "end of the Slurm allocation");
    expect_asked("-h -j 128_2 -o %L");
}

static void the_environment_is_believed_first(void **state) {
    (void)state;
    char end[32];
    let_squeue_say("echo 10:00");
    snprintf(end, sizeof end, "%lld", (long long)time(NULL) + 300);
    setenv("SLURM_JOB_ID", "123", 1);
    setenv("SLURM_JOB_END_TIME", end, 1);
    const dt_deadline d = dt_deadline_find(dt_seconds_now(), 0);
    expect_left(&d, 300, "end of the Slurm allocation");
    assert_int_not_equal(access(asked, F_OK), 0);
    /* A text that is not a time is ignored. */
    setenv("SLURM_JOB_END_TIME", "soon", 1);
    const dt_deadline other = dt_deadline_find(dt_seconds_now(), 0);
    expect_left(&other, 600, "end of the Slurm allocation");
}

static void the_nearer_of_both_counts(void **state) {
    (void)state;
    let_squeue_say("echo 10:00");
    setenv("SLURM_JOB_ID", "123", 1);
    const dt_deadline slurm = dt_deadline_find(dt_seconds_now(), 3600);
    expect_left(&slurm, 600, "end of the Slurm allocation");
    const dt_deadline limit = dt_deadline_find(dt_seconds_now(), 60);
    expect_left(&limit, 60, "time limit");
}

/* The job's number becomes part of a command. */
static void what_is_no_number_is_not_asked_for(void **state) {
    (void)state;
    let_squeue_say("echo 10:00");
    const char *const bad[] = {"", "12a", "1; echo 5:00", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("SLURM_JOB_ID", bad[i], 1);
        assert_true(isinf(dt_deadline_find(dt_seconds_now(), 0).at));
    }
    assert_int_not_equal(access(asked, F_OK), 0);
}

static void a_squeue_that_fails_says_nothing(void **state) {
    (void)state;
    let_squeue_say("exit 1");
    setenv("SLURM_JOB_ID", "123", 1);
    assert_true(isinf(dt_deadline_find(dt_seconds_now(), 0).at));
}

/* Twice the step and the write, and a second. */
static void near_is_what_another_step_would_miss(void **state) {
    (void)state;
    const double now = dt_seconds_now();
    const dt_deadline d = {.at = now + 100}, none = {.at = INFINITY};
    assert_false(dt_deadline_near(&d, 20, 20));
    assert_true(dt_deadline_near(&d, 25, 25));
    assert_true(dt_deadline_near(&d, 50, 0));
    assert_true(dt_deadline_near(&d, 0, 50));
    assert_false(dt_deadline_near(&d, 0, 0));
    assert_false(dt_deadline_near(&none, 1e9, 1e9));
}

int main(void) {
    char path[4096];
    snprintf(folder, sizeof folder, "/tmp/dtrain-deadline.XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(asked, sizeof asked, "%s/asked", folder);
    snprintf(path, sizeof path, "%s:%s", folder, getenv("PATH"));
    setenv("PATH", path, 1);
#define TEST(function) cmocka_unit_test_setup(function, begin)
    const struct CMUnitTest tests[] = {
        TEST(without_slurm_the_limit_counts_from_the_start),
        TEST(slurm_writes_times_in_these_ways),
        TEST(of_an_array_one_task_is_asked_for),
        TEST(the_environment_is_believed_first),
        TEST(the_nearer_of_both_counts),
        TEST(what_is_no_number_is_not_asked_for),
        TEST(a_squeue_that_fails_says_nothing),
        TEST(near_is_what_another_step_would_miss),
    };
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(path, sizeof path, "%s/squeue", folder);
    unlink(path);
    unlink(asked);
    rmdir(folder);
    return failures;
}
