/* Signals that ask for a stop, and the wait for them, which no change of the time of day makes
 * longer. */
#include "dtrain/run/signals.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* The linker replaces this call: somebody sets the clock back by an hour after every look at it. */
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time) {
    const int result = __real_clock_gettime(clock, time);
    if (clock == CLOCK_REALTIME) time->tv_sec += 3600;
    return result;
}

static double seconds_now(void) {
    struct timespec now;
    __real_clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void a_wait_ends_by_the_clock_that_nobody_sets(void **state) {
    (void)state;
    alarm(60);
    const double start = seconds_now();
    dt_signals_wait(0.2);
    assert_true(seconds_now() - start >= 0.15);
    alarm(0);
}

static void a_wake_up_before_the_wait_counts(void **state) {
    (void)state;
    const double start = seconds_now();
    dt_signals_wake();
    dt_signals_wake();
    dt_signals_wait(50);
    assert_true(seconds_now() - start < 40);
}

static void the_limit_of_processor_time_is_a_stop(void **state) {
    (void)state;
    assert_int_equal(dt_signals_stop(), 0);
    const double start = seconds_now();
    raise(SIGXCPU);
    dt_signals_wait(50);
    assert_true(seconds_now() - start < 40);
    assert_int_equal(dt_signals_stop(), SIGXCPU);
    assert_string_equal(dt_signals_name(SIGXCPU), "signal XCPU");
}

int main(void) {
    dt_signals_catch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_by_the_clock_that_nobody_sets),
        cmocka_unit_test(a_wake_up_before_the_wait_counts),
        cmocka_unit_test(the_limit_of_processor_time_is_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
