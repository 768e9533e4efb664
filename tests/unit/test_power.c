/* Counters of energy: a simulated folder of them, with counters that begin again, parts of
 * packages, some that cannot be read and some that vanish. */
#include "dtrain/run/power.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel_files.h"

#define assert_near(x, y, most) assert_true(fabs((x) - (y)) <= (most))

static char folder[64];

static void put(const char *domain, const char *name, const char *text) {
    kernel_file_put(folder, domain, name, text);
}

static void put_domain(const char *domain, const char *name, const char *energy,
                       const char *range) {
    put(domain, "name", name);
    put(domain, "energy_uj", energy);
    put(domain, "max_energy_range_uj", range);
}

static int begin(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dtrain-power.XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int end(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void packages_are_added_up_and_their_parts_are_not(void **state) {
    (void)state;
    dt_power power;
    put_domain("intel-rapl:0", "package-0\n", "1000000\n", "262143328850\n");
    put_domain("intel-rapl:0:0", "core\n", "500000\n", "262143328850\n");
    put_domain("intel-rapl:0:1", "dram\n", "500000\n", "65712999613\n");
    put_domain("intel-rapl:1", "package-1\n", "7000000\n", "262143328850\n");
    put_domain("intel-rapl:2", "psys\n", "1000000\n", "262143328850\n");
    put_domain("intel-rapl-mmio:0", "package-0\n", "1000000\n", "262143328850\n");
    put("dtpm", "uevent", "");
    assert_true(dt_power_open(&power, folder));
    assert_int_equal(power.packages, 2);
    assert_true(power.joules == 0);
    put("intel-rapl:0", "energy_uj", "3500000\n");
    put("intel-rapl-mmio:0", "energy_uj", "3500000\n"); /* the same counter once more */
    put("intel-rapl:0:0", "energy_uj", "9000000\n");
    put("intel-rapl:1", "energy_uj", "8000000\n");
    put("intel-rapl:2", "energy_uj", "99000000\n");
    dt_power_read(&power);
    assert_near(power.joules, 2.5 + 1, 1e-9);
    dt_power_read(&power);
    assert_near(power.joules, 3.5, 1e-9);
    assert_false(power.lost);
}

static void a_counter_that_begins_again_goes_on(void **state) {
    (void)state;
    dt_power power;
    put_domain("intel-rapl:0", "package-0\n", "9000000\n", "10000000\n");
    assert_true(dt_power_open(&power, folder));
    put("intel-rapl:0", "energy_uj", "2000000\n");
    dt_power_read(&power);
    assert_near(power.joules, 3, 1e-9);
    put("intel-rapl:0", "energy_uj", "1000000\n");
    dt_power_read(&power);
    assert_near(power.joules, 12, 1e-9);
}

static void what_cannot_be_read_is_no_source(void **state) {
    (void)state;
    dt_power power;
    assert_false(dt_power_open(&power, "/nowhere/at/all"));
    assert_non_null(strstr(power.why, "/nowhere/at/all: No such file"));
    assert_false(dt_power_open(&power, folder));
    assert_non_null(strstr(power.why, "has no counter of a processor package"));
    put_domain("intel-rapl:0", "package-0\n", "1\n", "10\n");
    assert_true(dt_power_open(&power, folder));
    /* One package of two is not the machine. */
    put_domain("intel-rapl:1", "package-1\n", "1\n", "10\n");
    char path[128];
    snprintf(path, sizeof path, "%s/intel-rapl:1/energy_uj", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(folder, path), 0); /* nobody can read a folder as a file */
    assert_false(dt_power_open(&power, folder));
    assert_non_null(strstr(power.why, "intel-rapl:1/energy_uj: "));
    unlink(path);
    static const char *const bad[] = {"", "\n", "nothing\n", "-3\n", "12x\n", "inf\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("intel-rapl:1", "energy_uj", bad[i]);
        assert_false(dt_power_open(&power, folder));
    }
}

static void a_counter_that_vanishes_is_lost_and_never_zero(void **state) {
    (void)state;
    dt_power power;
    put_domain("intel-rapl:0", "package-0\n", "1000000\n", "10000000\n");
    put_domain("intel-rapl:1", "package-1\n", "1000000\n", "10000000\n");
    assert_true(dt_power_open(&power, folder));
    put("intel-rapl:0", "energy_uj", "3000000\n");
    dt_power_read(&power);
    assert_near(power.joules, 2, 1e-9);
    char path[128];
    snprintf(path, sizeof path, "%s/intel-rapl:1/energy_uj", folder);
    assert_int_equal(unlink(path), 0);
    put("intel-rapl:0", "energy_uj", "4000000\n");
    dt_power_read(&power);
    assert_true(power.lost);
    assert_non_null(strstr(power.why, "intel-rapl:1/energy_uj: No such file"));
    assert_near(power.joules, 2, 1e-9);
    put("intel-rapl:1", "energy_uj", "2000000\n"); /* what it counted meanwhile is not known */
    dt_power_read(&power);
    assert_true(power.lost && fabs(power.joules - 2) < 1e-9);
}

static void busy_time_leaves_out_waiting_and_other_machines(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/x/stat", folder);
    /* user nice system idle iowait irq softirq steal guest guest_nice */
    put("x", "stat", "cpu  100 20 30 99999 777 4 6 5555 50 0\ncpu0 1 2 3 4\n");
    assert_near(dt_power_busy_seconds(path), 160.0 / (double)sysconf(_SC_CLK_TCK), 1e-9);
    put("x", "stat", "cpu  100 20\n");
    assert_true(isnan(dt_power_busy_seconds(path)));
    put("x", "stat", "intr 1 2 3\n");
    assert_true(isnan(dt_power_busy_seconds(path)));
    assert_true(isnan(dt_power_busy_seconds("/nowhere")));
    assert_true(dt_power_busy_seconds("/proc/stat") > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(packages_are_added_up_and_their_parts_are_not, begin, end),
        cmocka_unit_test_setup_teardown(a_counter_that_begins_again_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_no_source, begin, end),
        cmocka_unit_test_setup_teardown(a_counter_that_vanishes_is_lost_and_never_zero, begin, end),
        cmocka_unit_test_setup_teardown(busy_time_leaves_out_waiting_and_other_machines, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
