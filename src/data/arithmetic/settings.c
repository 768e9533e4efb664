/* What the settings of arithmetic say together. */
#include <string.h>

#include "dtrain/arithmetic/problem.h"

/* Products in expressions have rows of their own, so that they may be longer. */
static dt_status check_digits(const dt_config *config, int64_t digits, const char *name) {
    DT_REQUIRE(digits <= DT_PRODUCT_DIGITS_MAX || !strchr(config->ops, '*') ||
                   config->format == DT_FORMAT_EXPRESSION,
               DT_ERR_ARG,
               "--%s %lld: operands of products have at most %d digits; lower it, or leave * out "
               "of --ops",
               name, (long long)digits, DT_PRODUCT_DIGITS_MAX);
    return DT_OK;
}

dt_status dt_arithmetic_check(const dt_config *config) {
    DT_REQUIRE(config->ops[0] && !config->ops[strspn(config->ops, "+-*/")], DT_ERR_ARG,
               "--ops \"%s\": use one or more of + - * and /", config->ops);
    DT_TRY(check_digits(config, config->digits, "digits"));
    DT_TRY(check_digits(config, config->eval_digits, "eval-digits"));
    DT_REQUIRE(
        config->marks == DT_MARKS_NONE || config->positions != DT_POSITIONS_INDEX, DT_ERR_ARG,
        "--marks start: with --positions index, digits and marks have no places; leave one of "
        "them out");
    return DT_OK;
}
