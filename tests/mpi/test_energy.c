/* The energy of ranks: two of a node have its counters once, by their share of the processors'
 * work. */
#include <math.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dtrain/core/clock.h"
#include "dtrain/run/energy.h"
#include "mpi_test.h"

static char folder[64];

/* Only rank 0 writes; the others read when it is done. */
static void put(const char *name, const char *format, double value) {
    if (dt_comm_rank(world) == 0) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        FILE *file = fopen(path, "w");
        if (!file) abort();
        fprintf(file, format, value);
        fclose(file);
    }
    CHECK(dt_comm_barrier(world) == DT_OK);
}

static void put_counters(double joules, double busy) {
    put("intel-rapl:0/energy_uj", "%.0f\n", 1e6 * joules);
    put("stat", "cpu  %.0f 0 0 1000 0 0 0 0 0 0\n", busy * (double)sysconf(_SC_CLK_TCK));
}

static int begin(void **state) {
    (void)state;
    if (start_ranks(state)) return 1;
    snprintf(folder, sizeof folder, "/tmp/dtrain-energy.XXXXXX");
    if (dt_comm_rank(world) == 0 && !mkdtemp(folder)) return 1;
    if (dt_comm_broadcast(world, folder, sizeof folder) != DT_OK) return 1;
    char path[128];
    snprintf(path, sizeof path, "%s/intel-rapl:0", folder);
    if (dt_comm_rank(world) == 0) mkdir(path, 0700);
    put("intel-rapl:0/name", "package-0\n", 0);
    put("intel-rapl:0/max_energy_range_uj", "%.0f\n", 1e12);
    put_counters(1000, 500);
    setenv("DTRAIN_POWERCAP", folder, 1);
    snprintf(path, sizeof path, "%s/stat", folder);
    setenv("DTRAIN_PROC_STAT", path, 1);
    return 0;
}

static int end(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (dt_comm_rank(world) == 0 && system(command) != 0) return 1;
    return end_ranks(state);
}

static double own_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double sum_of(double mine) {
    double all[64], sum = 0;
    CHECK(dt_comm_gather(world, all, mine) == DT_OK);
    for (size_t r = 0; r < dt_comm_size(world); r++) sum += all[r];
    return sum;
}

static void work(double seconds) {
    const double until = own_seconds() + seconds;
    while (own_seconds() < until) {
    }
}

/* 900 J in 40 s of all processors, of which the ranks had some tenths of a second each. */
static void check_share(size_t ranks_per_node) {
    dt_energy *energy;
    dt_energy_part sum;
    put_counters(1000, 500);
    CHECK(dt_comm_split_nodes(world, ranks_per_node) == DT_OK);
    CHECK(dt_energy_open(&energy, world, 0, dt_seconds_now()) == DT_OK);
    const double before = own_seconds();
    work(0.2 + 0.05 * (double)dt_comm_rank(world));
    dt_energy_note(energy); /* the counters are read once a second at most */
    put_counters(1900, 540);
    CHECK(dt_energy_finish(&sum, energy, false) == DT_OK);
    const double worked = sum_of(own_seconds() - before);
    CHECK(fabs(sum.joules / (900 * worked / 40) - 1) < 0.1);
    CHECK(sum.processor_seconds >= worked && sum.lost == 0);
    dt_history_row row = {.nodes = 1};
    dt_energy_enter(&row, energy, &sum);
    CHECK(strcmp(row.energy_source, "RAPL") == 0 && row.joules == sum.joules);
    dt_energy_close(&energy);
    CHECK(energy == NULL);
}

static void ranks_have_their_share_once(void **state) {
    (void)state;
    check_share(0);
    check_share(1); /* pretended nodes, which all read the same counters */
    CHECK(dt_comm_split_nodes(world, 0) == DT_OK);
}

/* The ranks cannot have had more than all: nothing is counted twice. */
static void the_share_is_at_most_all(void **state) {
    (void)state;
    dt_energy *energy;
    dt_energy_part sum;
    put_counters(1000, 500);
    CHECK(dt_energy_open(&energy, world, 0, dt_seconds_now()) == DT_OK);
    work(0.2);
    put_counters(1070, 500.1);
    CHECK(dt_energy_finish(&sum, energy, false) == DT_OK);
    CHECK(fabs(sum.joules - 70) < 1e-6);
    dt_energy_close(&energy);
}

static void lost_counters_are_said_or_replaced(void **state) {
    (void)state;
    for (int watts = 0; watts <= 10; watts += 10) {
        dt_energy *energy;
        dt_energy_part sum;
        put_counters(1000, 500);
        CHECK(dt_energy_open(&energy, world, watts, dt_seconds_now()) == DT_OK);
        put("intel-rapl:0/energy_uj", "gone\n", 0);
        work(0.1);
        CHECK(dt_energy_finish(&sum, energy, false) == DT_OK);
        CHECK(sum.lost == (double)dt_comm_nodes(world));
        const double before = sum.joules;
        work(0.1);
        CHECK(dt_energy_finish(&sum, energy, false) == DT_OK);
        CHECK(watts ? sum.joules - before >= 0.1 * watts : sum.joules == 0);
        dt_history_row row = {.nodes = 1};
        dt_energy_enter(&row, energy, &sum);
        CHECK(strcmp(row.energy_source, watts ? "RAPL, then processor time at 10 W a core"
                                              : "RAPL, then nothing") == 0);
        dt_energy_close(&energy);
    }
}

static void without_a_source_nothing_is_known(void **state) {
    (void)state;
    dt_energy *energy;
    dt_energy_part sum;
    setenv("DTRAIN_POWERCAP", "/nowhere/at/all", 1);
    CHECK(dt_energy_open(&energy, world, 0, dt_seconds_now()) == DT_OK);
    CHECK(dt_energy_finish(&sum, energy, false) == DT_OK);
    dt_history_row row = {.joules = 3};
    dt_energy_enter(&row, energy, &sum);
    CHECK(isnan(row.joules) && !row.energy_source[0] && row.processor_seconds > 0);
    dt_energy_close(&energy);

    CHECK(dt_energy_open(&energy, world, 12, dt_seconds_now()) == DT_OK);
    CHECK(dt_energy_finish(&sum, energy, false) == DT_OK);
    dt_energy_enter(&row, energy, &sum);
    CHECK(fabs(row.joules - 12 * sum.processor_seconds) < 1e-9);
    CHECK(strcmp(row.energy_source, "processor time at 12 W a core") == 0);
    dt_energy_close(&energy);
    setenv("DTRAIN_POWERCAP", folder, 1);
}

int main(void) {
    unsetenv("SLURM_JOB_ID");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_have_their_share_once),
        cmocka_unit_test(the_share_is_at_most_all),
        cmocka_unit_test(lost_counters_are_said_or_replaced),
        cmocka_unit_test(without_a_source_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
