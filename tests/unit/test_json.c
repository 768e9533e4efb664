/* Texts and numbers become valid JSON, whatever bytes a name contains. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/core/json.h"

static void assert_written(const char *text, const char *expected) {
    char found[256] = "";
    FILE *file = tmpfile();
    assert_non_null(file);
    dt_json_write_text(file, text);
    rewind(file);
    const size_t length = fread(found, 1, sizeof found - 1, file);
    found[length] = '\0';
    fclose(file);
    assert_string_equal(found, expected);
}

static void test_texts(void **state) {
    (void)state;
    assert_written("", "\"\"");
    assert_written("runs/\"a\\b\"", "\"runs/\\\"a\\\\b\\\"\"");
    assert_written("a\tb\x1b\x7f", "\"a\\u0009b\\u001b\\u007f\"");
    assert_written("gr\xc3\xb6\xc3\x9f"
                   "e \xe2\x82\xac \xf0\x9f\x98\x80",
                   "\"gr\xc3\xb6\xc3\x9f"
                   "e \xe2\x82\xac \xf0\x9f\x98\x80\"");
    assert_written("gr\xf6\xdf"
                   "e",
                   "\"gr\\ufffd\\ufffd"
                   "e\"");                            /* Latin-1 */
    assert_written("\xe2\x82", "\"\\ufffd\\ufffd\""); /* cut off */
    assert_written("\xc0\xaf\xed\xa0\x80",
                   "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""); /* overlong, surrogate */
}

static void test_numbers(void **state) {
    (void)state;
    char text[DT_JSON_NUMBER];
    assert_string_equal(dt_json_number(text, 9, 0.25), "0.25");
    assert_string_equal(dt_json_number(text, 3, 1.12345e73), "1.12e+73");
    assert_string_equal(dt_json_number(text, 9, INFINITY), "null");
    assert_string_equal(dt_json_number(text, 9, -INFINITY), "null");
    assert_string_equal(dt_json_number(text, 9, NAN), "null");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
