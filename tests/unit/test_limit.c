/* The memory limits of control groups, versions 1 and 2, at any depth, in the kernel's file
 * formats. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "dtrain/core/limit.h"
#include "kernel_files.h"

static char base[] = "/tmp/dtrain-limit.XXXXXX";

static void store(const char *folder, const char *name, const char *text) {
    kernel_file_put(base, folder, name, text);
}

static double left(const char *groups) {
    char path[512];
    store(".", "groups", groups);
    snprintf(path, sizeof path, "%s/groups", base);
    return dt_limit_cgroup(path, base);
}

static void test_version2(void **state) {
    (void)state;
    assert_true(isinf(left("0::/job/step\n"))); /* no files at all */
    store("job", "memory.max", "1000000\n");
    store("job", "memory.current", "700000\n");
    store("job", "memory.stat", "anon 1\nactive_file 100000\ninactive_file 200000\nfile 9\n");
    assert_true(left("0::/job\n") == 600000); /* memory of the page cache counts as free */
    store("job/step", "memory.max", "max\n");
    store("job/step", "memory.current", "5\n");
    assert_true(left("0::/job/step\n") == 600000); /* the limit of the parent group */
    store("job/step", "memory.max", "5000\n");
    assert_true(left("0::/job/step\n") == 4995);
    store("job/step", "memory.current", "6000\n");
    assert_true(left("0::/job/step\n") == 0);
    assert_true(left("0::/elsewhere/deep\n") == INFINITY); /* not visible here */
    store(".", "memory.max", "300\n");                     /* the limit of the container itself */
    assert_true(left("0::/elsewhere/deep\n") == 300);
    assert_true(left("1:name=systemd:/\n") == INFINITY);
}

static void test_version1(void **state) {
    (void)state;
    store("memory", "memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    assert_true(isinf(left("4:memory:/\n")));
    store("memory/job", "memory.limit_in_bytes", "1000000\n");
    store("memory/job", "memory.usage_in_bytes", "400000\n");
    store("memory/job", "memory.stat", "inactive_file 1\ntotal_inactive_file 50000\n");
    assert_true(left("9:cpu,cpuacct:/job\n4:memory:/job\n") == 650000);
    assert_true(left("4:hugetlb,memory:/job\n") == 650000);
    assert_true(isinf(left("4:nomemory:/job\n")));
    assert_true(dt_limit_cgroup("/nowhere/groups", base) == INFINITY);
}

#ifndef __SANITIZE_ADDRESS__ /* which maps terabytes */
static void test_address_space(void **state) {
    (void)state;
    const struct rlimit open = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit before, tight = {0};
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    if (before.rlim_max != open.rlim_max) skip();
    assert_true(dt_limit_allows((size_t)1 << 30));
    tight.rlim_max = before.rlim_max;
    tight.rlim_cur = (rlim_t)1 << 28;
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    const double space = dt_limit_address_space();
    const bool fits = dt_limit_allows((size_t)1 << 20),
               too_large = dt_limit_allows((size_t)1 << 30);
    char limited[DT_LIMIT_TEXT], unlimited[DT_LIMIT_TEXT];
    dt_limit_text(limited);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_true(space > 0 && space < 268435456.0);
    assert_true(fits && !too_large);
    assert_non_null(strstr(limited, " MB; raise it (ulimit -v)"));
    if (before.rlim_cur == open.rlim_cur)
        assert_non_null(strstr(dt_limit_text(unlimited), "overcommit"));
}
#endif

int main(void) {
    if (!mkdtemp(base)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version1),
        cmocka_unit_test(test_version2),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_address_space),
#endif
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command) == 0 ? failed : 1;
}
