/* What tests of settings have in common. */
#ifndef DTRAIN_TEST_SETTINGS_H
#define DTRAIN_TEST_SETTINGS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "dtrain/core/config.h"

static inline void assert_error(dt_status status, dt_status expected, const char *text) {
    assert_int_equal(status, expected);
    assert_string_equal(dt_error_text(), text);
}

/* Set a setting as the command line does. */
static inline dt_status set(dt_config *config, const char *name, const char *text) {
    char where[64];
    snprintf(where, sizeof where, "--%s", name);
    const dt_setting *setting = dt_setting_find(name);
    assert_non_null(setting);
    return dt_config_set(config, setting, text, where);
}

#endif
