/* Event files hold what was measured, each step once; what is lost is written again. The log of a
 * run is read back. */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/arithmetic/problem.h"
#include "dtrain/core/config.h"
#include "dtrain/core/json_read.h"
#include "dtrain/core/memory.h"
#include "dtrain/picture/events.h"
#include "dtrain/picture/run_log.h"
#include "dtrain/protobuf/message.h"
#include "fixture.h"
#include "record.h"

enum { BEGINNING = 200 };

static int set_up(void **state) {
    static char folder[256];
    fixture_folder(folder);
    *state = folder;
    return 0;
}

static int tear_down(void **state) {
    fixture_remove(*state);
    return 0;
}

/* ---- checksums and numbers ---- */

/* Source: RFC 3720, appendix B.4, and the usual check value. */
static void checksums_are_castagnoli(void **state) {
    (void)state;
    unsigned char bytes[32] = {0};
    assert_int_equal(dt_crc32c("", 0), 0);
    assert_int_equal(dt_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(dt_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(dt_crc32c(bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(dt_crc32c(bytes, 32), 0x46dd794e);
}

/* Source: the encoding of 150 and of "testing" in the guide to Protocol Buffers. */
static void messages_are_encoded(void **state) {
    (void)state;
    dt_text message = {0};
    assert_int_equal(dt_message_whole(&message, 1, 150), DT_OK);
    assert_int_equal(dt_message_bytes(&message, 2, "testing", 7), DT_OK);
    assert_int_equal(message.length, 12);
    assert_memory_equal(message.bytes, "\x08\x96\x01\x12\x07testing", 12);
    assert_int_equal(dt_message_double(&message, 3, 1), DT_OK);
    assert_int_equal(dt_message_float(&message, 4, 1), DT_OK);
    assert_int_equal(dt_message_whole(&message, 5, -1), DT_OK);
    const unsigned char *bytes = (const unsigned char *)message.bytes;
    assert_int_equal(dt_message_find(bytes, message.length, 1), 150);
    assert_true(dt_message_find(bytes, message.length, 5) == UINT64_MAX);
    assert_int_equal(dt_message_find(bytes, message.length, 6), 0);
    /* Nothing behind the end is read. */
    for (size_t count = 0; count < message.length; count++)
        assert_int_equal(dt_message_find(bytes, count, 5), 0);
    dt_text_destroy(&message);
}

/* ---- files ---- */

static void events_path(char *path, const char *folder, const char *number) {
    snprintf(path, DT_PATH_MAX, "%s/events.out.tfevents.%s", folder, number);
}

/* The newest event file of a folder: the last by its name. */
static void newest(char path[DT_PATH_MAX], const char *folder) {
    char command[2 * DT_PATH_MAX];
    snprintf(command, sizeof command, "ls %s/events.* | sort | tail -n 1", folder);
    FILE *list = popen(command, "re");
    assert_non_null(list);
    assert_non_null(fgets(path, DT_PATH_MAX, list));
    path[strcspn(path, "\n")] = '\0';
    pclose(list);
}

/* The steps of the events of a file, and all of their beginnings one after another. */
static size_t read_events(int64_t *step, size_t most, char *text, size_t size, const char *path) {
    unsigned char beginning[BEGINNING];
    size_t count, events = 0, used = 0;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (dt_record_next(file, beginning, sizeof beginning, &count)) {
        assert_true(events < most && used + count < size);
        step[events++] = (int64_t)dt_message_find(beginning, count, 2);
        memcpy(text + used, beginning, count);
        used += count;
    }
    fclose(file);
    return events;
}

static void assert_steps(const char *path, const int64_t *expected, size_t count) {
    static char text[1 << 16];
    int64_t step[64];
    assert_int_equal(read_events(step, 64, text, sizeof text, path), count);
    for (size_t i = 0; i < count; i++) assert_int_equal(step[i], expected[i]);
}
#define ASSERT_STEPS(path, ...)                                                                    \
    do {                                                                                           \
        const int64_t wanted[] = {__VA_ARGS__};                                                    \
        assert_steps((path), wanted, sizeof wanted / sizeof *wanted);                              \
    } while (0)

static dt_train_row trained(int64_t step) {
    return (dt_train_row){.step = step, .loss = 1, .lr = 1e-3, .tokens = 5, .seconds = 2};
}

/* A start that goes on from `done` steps to `until`, with a validation every fourth step. */
static void train(const char *folder, dt_metrics *m, int64_t done, int64_t until) {
    dt_events *events;
    while (m->train_count > (size_t)done) m->train_count--;
    while (m->validation_count > 0 && m->validation[m->validation_count - 1].step > done)
        m->validation_count--;
    const dt_events_begin begin = {folder, done, m, dt_operation_kind, DT_OPERATIONS, false};
    assert_int_equal(dt_events_open(&events, &begin), DT_OK);
    for (int64_t step = done; step < until; step++) {
        const dt_train_row row = trained(step);
        assert_int_equal(dt_metrics_add_train(m, &row), DT_OK);
        assert_int_equal(dt_events_step(events, &row), DT_OK);
        if ((step + 1) % 4 != 0) continue;
        const dt_validation_row validation = {.step = step + 1, .exact_match_of = {1, NAN, NAN, 1}};
        assert_int_equal(dt_metrics_add_validation(m, &validation), DT_OK);
        assert_int_equal(dt_events_validation(events, &validation), DT_OK);
    }
    dt_events_close(&events);
}

static void each_start_goes_on_where_the_run_does(void **state) {
    const char *folder = *state;
    char path[DT_PATH_MAX];
    dt_metrics m = {0};
    /* The version, the start, the steps; step 4 is followed by its validation. */
    train(folder, &m, 0, 6);
    newest(path, folder);
    ASSERT_STEPS(path, 0, 0, 1, 2, 3, 4, 4, 5, 6);
    train(folder, &m, 6, 7);
    newest(path, folder);
    ASSERT_STEPS(path, 0, 6, 6, 7);
    /* An older checkpoint, which has the validation of its step. */
    train(folder, &m, 4, 6);
    newest(path, folder);
    ASSERT_STEPS(path, 0, 5, 5, 6);
    /* Another one, which has not: if earlier files have it, it is dropped. */
    m.validation_count = 0;
    train(folder, &m, 4, 5);
    newest(path, folder);
    ASSERT_STEPS(path, 0, 4, 4, 5);
    dt_metrics_clear(&m);
}

static void what_was_lost_is_written_again(void **state) {
    const char *folder = *state;
    char path[DT_PATH_MAX];
    dt_metrics m = {0};
    train(folder, &m, 0, 8);
    newest(path, folder);
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    /* The last record, of a validation, is not whole. */
    assert_int_equal(ftruncate(fileno(file), ftell(file) - 1), 0);
    fclose(file);
    train(folder, &m, 8, 9);
    newest(path, folder);
    ASSERT_STEPS(path, 0, 8, 8, 8, 9);
    assert_int_equal(truncate(path, 0), 0);
    train(folder, &m, 9, 10);
    newest(path, folder);
    ASSERT_STEPS(path, 0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10);
    dt_metrics_clear(&m);
}

/* TensorBoard reads files in the order of their names, whatever the clocks of hosts say. */
static void later_files_have_higher_numbers(void **state) {
    const char *folder = *state;
    char path[DT_PATH_MAX], expected[DT_PATH_MAX];
    dt_metrics m = {0};
    events_path(path, folder, "4102444800.another.host");
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
    train(folder, &m, 0, 1);
    newest(path, folder);
    events_path(expected, folder, "4102444801.");
    assert_memory_equal(path, expected, strlen(expected));
    dt_metrics_clear(&m);
}

static void texts_are_quoted(void **state) {
    const char *folder = *state;
    static char text[1 << 12];
    char path[DT_PATH_MAX];
    int64_t step[8] = {0};
    dt_events *events;
    const dt_metrics m = {0};
    const dt_events_begin begin = {folder, 0, &m, NULL, 0, false};
    assert_int_equal(dt_events_open(&events, &begin), DT_OK);
    assert_int_equal(dt_events_text(events, "samples", 300, "a\n\n\xe6\x9d\xb1\xff"), DT_OK);
    dt_events_close(&events);
    newest(path, folder);
    assert_int_equal(read_events(step, 8, text, sizeof text, path), 3);
    assert_int_equal(step[2], 300);
    static const char QUOTED[] = "    a\n    \n    \xe6\x9d\xb1\xef\xbf\xbd";
    assert_non_null(memmem(text, sizeof text, QUOTED, strlen(QUOTED)));
    assert_non_null(memmem(text, sizeof text, "samples", strlen("samples")));
}

static void a_folder_that_is_not_there_is_an_error(void **state) {
    (void)state;
    dt_events *events;
    const dt_metrics m = {0};
    const dt_events_begin begin = {"/nowhere/run", 0, &m, NULL, 0, false};
    assert_int_equal(dt_events_open(&events, &begin), DT_ERR_CREATE);
    assert_null(events);
}

/* ---- the log ---- */

static void texts_of_json_are_read(void **state) {
    (void)state;
    static const struct {
        const char *json, *text;
    } CASE[] = {
        {"\"\"", ""},
        {"\"a\\n\\t\\\"\\\\\\/b\"", "a\n\t\"\\/b"},
        {"\"\\u00e4\\u6771\\ud83d\\ude00\"", "\xc3\xa4\xe6\x9d\xb1\xf0\x9f\x98\x80"},
        {"\"\\ud83d.\\ude00\\u0000\"", "\xef\xbf\xbd.\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ud83d\\u12\\uzz00\"", "\xef\xbf\xbd\xef\xbf\xbd"
                                    "12\xef\xbf\xbdzz00"},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        dt_json json;
        char *text;
        assert_int_equal(dt_json_parse(&json, CASE[i].json, "test"), DT_OK);
        assert_int_equal(dt_json_text(&text, json.value), DT_OK);
        assert_string_equal(text, CASE[i].text);
        dt_memory_free(&text);
        dt_json_destroy(&json);
    }
}

/* The only escape that is shorter than what it means. */
static void texts_of_json_have_room_for_all_that_is_unknown(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    dt_text source = {0};
    dt_json json;
    char *text;
    assert_int_equal(dt_text_append(&source, "\"", 1), DT_OK);
    for (size_t i = 0; i < COUNT; i++) assert_int_equal(dt_text_append(&source, "\\u", 2), DT_OK);
    assert_int_equal(dt_text_append(&source, "\"", 1), DT_OK);
    assert_int_equal(dt_json_parse(&json, source.bytes, "test"), DT_OK);
    assert_int_equal(dt_json_text(&text, json.value), DT_OK);
    assert_int_equal(strlen(text), 3 * COUNT);
    dt_memory_free(&text);
    dt_json_destroy(&json);
    dt_text_destroy(&source);
}

static void the_log_is_read_as_the_run_went(void **state) {
    const char *folder = *state;
    char path[DT_PATH_MAX];
    dt_run_log log;
    dt_metrics m = {0};
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    for (int64_t step = 10; step <= 40; step += 10) {
        const dt_validation_row row = {.step = step, .loss = 2};
        assert_int_equal(dt_metrics_add_validation(&m, &row), DT_OK);
    }
    /* None is no error. */
    assert_int_equal(dt_run_log_read(&log, &m, folder, 40), DT_OK);
    assert_int_equal(log.samples, 0);
    FILE *file = fopen(path, "we");
    fputs("{\"event\":\"step\",\"step\":1,\"loss\":3}\n"
          "{\"event\":\"sample\",\"step\":10,\"text\":\"one\"}\n"
          "{\"event\":\"sample\",\"step\":20,\"text\":\"given up\"}\n"
          "{\"event\":\"validation\",\"step\":20,\"loss\":2.5,\"bits_per_byte\":9}\n"
          "{\"event\":\"sample\",\"step\":30,\"text\":\"given up\"}\n"
          "{\"event\":\"sample\",\"ste\n"
          "{\"event\":\"sample\",\"step\":20,\"text\":\"two\"}\n"
          "{\"event\":\"validation\",\"step\":20,\"loss\":2,\"bits_per_byte\":1.5}\n"
          "{\"event\":\"validation\",\"step\":30,\"loss\":2,\"bits_per_byte\":null}\n"
          "{\"event\":\"sample\",\"step\":50,\"text\":\"after the checkpoint\"}\n"
          "{\"event\":\"sample\",\"step\":\"x\",\"text\":1}\n[]\n{\"event\":\"sample\"",
          file);
    fclose(file);
    assert_int_equal(dt_run_log_read(&log, &m, folder, 40), DT_OK);
    assert_int_equal(log.samples, 2);
    assert_int_equal(log.sample[0].step, 10);
    assert_string_equal(log.sample[0].text, "one");
    assert_int_equal(log.sample[1].step, 20);
    assert_string_equal(log.sample[1].text, "two");
    assert_true(m.validation[1].bits_per_byte == 1.5);
    assert_true(isnan(m.validation[0].bits_per_byte) && isnan(m.validation[2].bits_per_byte));
    dt_run_log_destroy(&log);
    dt_metrics_clear(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_castagnoli),
        cmocka_unit_test(messages_are_encoded),
        cmocka_unit_test_setup_teardown(each_start_goes_on_where_the_run_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_lost_is_written_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_files_have_higher_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_are_quoted, set_up, tear_down),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
        cmocka_unit_test(texts_of_json_are_read),
        cmocka_unit_test(texts_of_json_have_room_for_all_that_is_unknown),
        cmocka_unit_test_setup_teardown(the_log_is_read_as_the_run_went, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
