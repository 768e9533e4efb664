/* The row of a start in the history: its kernels after its hosts. */
#include "dtrain/run/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void what_is_appended_is_found(void **state) {
    (void)state;
    char host[256] = "n1*2,n2*2; 1 CPU per rank";
    assert_string_equal(dt_kernels_of(host), ""); /* rows of older programs */
    dt_kernels_append(host, sizeof host, "cpu", "OpenBLAS 0.3.21, Haswell; kernels");
    assert_string_equal(host, "n1*2,n2*2; 1 CPU per rank; cpu: OpenBLAS 0.3.21, Haswell; kernels");
    assert_string_equal(dt_kernels_of(host), "cpu: OpenBLAS 0.3.21, Haswell; kernels");
    assert_string_equal(dt_kernels_of(""), "");
}

static void a_long_description_is_cut_alike_every_time(void **state) {
    (void)state;
    char few[256] = "n*1; 1 CPU per rank", many[256] = "", description[300] = "";
    memset(description, 'x', sizeof description - 1);
    memset(many, 'n', sizeof many - DT_KERNELS_MAX - 20);
    strcat(many, "; 1 CPU per rank");
    dt_kernels_append(few, sizeof few, "opencl", description);
    dt_kernels_append(many, sizeof many, "opencl", description);
    assert_true(strlen(many) < sizeof many);
    assert_string_equal(dt_kernels_of(few), dt_kernels_of(many));
    assert_int_equal(strlen(dt_kernels_of(few)), DT_KERNELS_MAX - 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_found),
        cmocka_unit_test(a_long_description_is_cut_alike_every_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
