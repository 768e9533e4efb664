/* The table of backends: the setting --backend names them all, auto chooses by priority, and a
 * backend that lacks an operation is not opened. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/backend/registry.h"
#include "dtrain/core/config.h"
#include "dtrain/core/memory.h"

/* Each choice except auto is an entry, and each entry is a choice. */
static void the_setting_names_the_entries(void **state) {
    (void)state;
    const dt_setting *setting = dt_setting_find("backend");
    dt_config config;
    dt_config_defaults(&config);
    size_t named = 0;
    char choices[200], *rest = NULL;
    snprintf(choices, sizeof choices, "%s", setting->choices);
    for (char *name = strtok_r(choices, "|", &rest); name; name = strtok_r(NULL, "|", &rest)) {
        if (strcmp(name, "auto") == 0) continue;
        assert_non_null(dt_backend_find(name));
        named++;
    }
    assert_int_equal(named, dt_backend_count());
    for (size_t i = 0; i < dt_backend_count(); i++) {
        const dt_backend_entry *entry = dt_backend_at(i);
        assert_true(dt_config_set(&config, setting, entry->name, "--backend") == DT_OK);
        assert_ptr_equal(dt_backend_find(entry->name), entry);
        assert_non_null(strstr(setting->help, entry->name));
        assert_true(entry->help && *entry->help && entry->probe && entry->open);
    }
    assert_null(dt_backend_find("auto"));
    assert_null(dt_backend_find("cp"));
}

static void auto_goes_by_priority(void **state) {
    (void)state;
    const char *const order[] = {"opencl", "cpu"};
    int below = INT_MAX;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const dt_backend_entry *entry = dt_backend_next(below);
        assert_non_null(entry);
        assert_string_equal(entry->name, order[i]);
        below = entry->priority;
    }
    assert_null(dt_backend_next(below));
    assert_string_equal(dt_backend_host()->name, "cpu");
    bool usable = false;
    char why[128];
    assert_true(dt_backend_host()->probe(&usable, why, sizeof why) == DT_OK);
    assert_true(usable);
}

static void expect_lack(const dt_backend *backend, const char *text) {
    assert_true(dt_backend_check(backend, true) == DT_ERR_INTERNAL);
    assert_non_null(strstr(dt_error_text(), text));
    dt_error_clear();
}

static void what_a_backend_lacks_is_named(void **state) {
    (void)state;
    dt_backend *backend;
    assert_true(dt_backend_open(&backend, dt_backend_host(), 0) == DT_OK);
    assert_true(dt_backend_check(backend, true) == DT_OK);
    dt_backend_table table = *backend->op;
    dt_update_table update = *backend->update;
    dt_backend doctored = {.op = &table, .update = &update};
    table.norm_backward = NULL;
    expect_lack(&doctored, "the backend cpu lacks norm_backward");
    table.norm_backward = backend->op->norm_backward;
    table.attention_decode = NULL;
    expect_lack(&doctored, "the backend cpu lacks attention_decode");
    table.attention_decode = backend->op->attention_decode;
    update.muon = NULL;
    expect_lack(&doctored, "the backend cpu lacks muon");
    assert_true(dt_backend_check(&doctored, false) == DT_OK);
    doctored.update = NULL;
    expect_lack(&doctored, "the backend cpu lacks updates of weights");
    backend->op->close(&backend);
}

static bool closed;

static void close_doctored(dt_backend **backend) {
    closed = true;
    *backend = NULL;
}

static dt_status open_doctored(dt_backend **backend, size_t local_rank) {
    static const dt_backend_table TABLE = {.name = "doctored", .close = close_doctored};
    static dt_backend doctored = {.op = &TABLE};
    (void)local_rank;
    *backend = &doctored;
    return DT_OK;
}

static void it_is_not_opened(void **state) {
    (void)state;
    const dt_backend_entry entry = {.name = "doctored", .open = open_doctored};
    dt_backend *backend;
    assert_true(dt_backend_open(&backend, &entry, 0) == DT_ERR_INTERNAL);
    assert_non_null(strstr(dt_error_text(), "doctored lacks buffer_create"));
    assert_true(closed);
    assert_null(backend);
    dt_error_clear();
}

/* The host backend has exactly one device, and every device has a name. */
static void devices_have_names(void **state) {
    (void)state;
    for (size_t i = 0; i < dt_backend_count(); i++) {
        const dt_backend_entry *entry = dt_backend_at(i);
        dt_device *device = NULL;
        size_t count = 0;
        if (!entry->devices) continue;
        assert_true(entry->devices(&device, &count) == DT_OK);
        if (entry->host) assert_int_equal(count, 1);
        for (size_t d = 0; d < count; d++) assert_true(*device[d].name);
        dt_memory_free(&device);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_setting_names_the_entries),
        cmocka_unit_test(auto_goes_by_priority),
        cmocka_unit_test(what_a_backend_lacks_is_named),
        cmocka_unit_test(it_is_not_opened),
        cmocka_unit_test(devices_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
