/* Problems written as text, for the tests of formats. */
#include "written.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

dt_config config_of(const char *ops, int64_t digits, int64_t dividend_digits,
                    int64_t divisor_digits, dt_format format) {
    dt_config config = {.seed = 11,
                        .digits = digits,
                        .dividend_digits = dividend_digits,
                        .divisor_digits = divisor_digits,
                        .format = format};
    snprintf(config.ops, sizeof config.ops, "%s", ops);
    return config;
}

size_t write_phrased(char text[DT_PROBLEM_TEXT_MAX], const dt_problem *problem, dt_format format,
                     size_t phrasing) {
    size_t prompt = 0;
    assert_int_equal(
        dt_format_write_as(text, DT_PROBLEM_TEXT_MAX, &prompt, problem, format, phrasing), DT_OK);
    return prompt;
}

size_t write_problem(char text[DT_PROBLEM_TEXT_MAX], const dt_problem *problem, dt_format format) {
    const size_t phrasing = (problem->a.limb[0] ^ problem->b.limb[0]) % DT_PHRASINGS;
    return write_phrased(text, problem, format, phrasing);
}
