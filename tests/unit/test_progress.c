/* The texts that a run shows while it goes on. */
#include "../../src/app/progress.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void durations_are_as_people_write_them(void **state) {
    (void)state;
    const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},     {59.4, "0:59"},     {59.6, "1:00"},      {245, "4:05"},
                 {3599, "59:59"}, {3600, "1:00:00"},  {93784, "26:03:04"}, {-1, "--:--"},
                 {NAN, "--:--"},  {INFINITY, "--:--"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        progress_duration(text, sizeof text, cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

static void bar_shows_the_share(void **state) {
    (void)state;
    char text[256];
    progress_bar(text, sizeof text, 200, 0, 100, "");
    assert_string_equal(text, "[>                             ] 0/100");
    progress_bar(text, sizeof text, 200, 50, 100, "  x");
    assert_string_equal(text, "[===============>              ] 50/100  x");
    progress_bar(text, sizeof text, 200, 100, 100, "");
    assert_string_equal(text, "[==============================] 100/100");
}

/* A line that is wider than the terminal would wrap, and could not be taken back. */
static void bar_stays_within_every_width(void **state) {
    (void)state;
    const char *rest = "  loss 0.1234  12345 tokens/s  compute 97% comm 1% wait 2%  1:02:03 left";
    for (size_t width = 1; width <= 250; width++) {
        for (int64_t step = 0; step <= 12; step++) {
            char text[160];
            memset(text, 'x', sizeof text);
            progress_bar(text, sizeof text, width, step, 12, rest);
            assert_non_null(memchr(text, 0, sizeof text));
            assert_true(strlen(text) <= width);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_as_people_write_them),
        cmocka_unit_test(bar_shows_the_share),
        cmocka_unit_test(bar_stays_within_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
