/* Errors as values: complete, per thread, with the right exit code; and the form of log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/log.h"
#include "dtrain/core/status.h"

static void exit_codes_follow_sysexits(void **state) {
    (void)state;
    static const int code[] = {
        [DT_OK] = 0,
        [DT_ERR_ARG] = 64,
        [DT_ERR_DATA] = 65,
        [DT_ERR_NO_INPUT] = 66,
        [DT_ERR_UNAVAILABLE] = 69,
        [DT_ERR_INTERNAL] = 70,
        [DT_ERR_MEMORY] = 71,
        [DT_ERR_CREATE] = 73,
        [DT_ERR_IO] = 74,
        [DT_ERR_STOPPED] = 75,
        [DT_ERR_COMM] = 71,
        [DT_ERR_DEVICE] = 69,
    };
    for (size_t i = 0; i < sizeof code / sizeof *code; i++) {
        assert_int_equal(dt_status_exit_code((dt_status)i), code[i]);
    }
    assert_int_equal(dt_status_exit_code((dt_status)99), 70);
}

static dt_status fail_with(int value) {
    DT_REQUIRE(value < 3, DT_ERR_ARG, "value %d is not below %d", value, 3);
    return DT_OK;
}

static dt_status pass_on(int value, int *reached) {
    DT_TRY(fail_with(value));
    *reached = 1;
    return DT_OK;
}

static dt_status give_back_first(int value, int *given_back) {
    dt_status status = DT_OK;
    DT_TRY_DONE(fail_with(value));
    DT_REQUIRE_DONE(value != 2, DT_ERR_DATA, "two");
done:
    *given_back = 1;
    return status;
}

static void errors_are_passed_on_with_their_sentence(void **state) {
    (void)state;
    dt_error_clear();
    assert_string_equal(dt_error_text(), "");
    assert_string_equal(dt_error_location(), "");
    assert_int_equal(dt_error_code(), DT_OK);

    int reached = 0;
    assert_int_equal(pass_on(7, &reached), DT_ERR_ARG);
    assert_int_equal(reached, 0);
    assert_int_equal(dt_error_code(), DT_ERR_ARG);
    assert_string_equal(dt_error_text(), "value 7 is not below 3");
    assert_memory_equal(dt_error_location(), "test_status.c:", 14);
    assert_int_equal(pass_on(1, &reached), DT_OK);
    assert_int_equal(reached, 1);

    for (int value = 0; value < 5; value++) {
        int given_back = 0;
        const dt_status expected = value > 2 ? DT_ERR_ARG : value == 2 ? DT_ERR_DATA : DT_OK;
        assert_int_equal(give_back_first(value, &given_back), expected);
        assert_int_equal(given_back, 1);
    }
}

static void a_sentence_may_quote_the_one_before(void **state) {
    (void)state;
    dt_error_raise(DT_ERR_IO, "a/b/c.c", 12, "no space left");
    assert_string_equal(dt_error_location(), "c.c:12");
    dt_error_raise(dt_error_code(), "d.c", 3, "cannot write x: %s", dt_error_text());
    assert_string_equal(dt_error_text(), "cannot write x: no space left");
    assert_string_equal(dt_error_location(), "d.c:3");
    dt_error_adopt(DT_ERR_COMM, dt_error_location(), dt_error_text());
    assert_int_equal(dt_error_code(), DT_ERR_COMM);
    assert_string_equal(dt_error_text(), "cannot write x: no space left");
    assert_string_equal(dt_error_location(), "d.c:3");
}

static void overlong_sentences_end_in_time(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    dt_error_raise(DT_ERR_DATA, text, 1, "%s", text);
    assert_in_range(strlen(dt_error_text()), 500, sizeof text - 2);
    assert_in_range(strlen(dt_error_location()), 10, 200);
    dt_error_adopt(DT_ERR_DATA, text, text);
    assert_in_range(strlen(dt_error_text()), 500, sizeof text - 2);
}

static void *fail_in_thread(void *seen) {
    *(dt_status *)seen = dt_error_code();
    (void)fail_with(9);
    return NULL;
}

static void threads_have_their_own_error(void **state) {
    (void)state;
    dt_error_raise(DT_ERR_IO, "a.c", 1, "mine");
    dt_status seen = DT_ERR_INTERNAL;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fail_in_thread, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen, DT_OK);
    assert_string_equal(dt_error_text(), "mine");
}

/* The lines of all four levels on standard error. */
static void read_log(char *text, size_t size, dt_log_level level, int rank) {
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(kept >= 0);
    dup2(fileno(file), STDERR_FILENO);
    dt_log_open(level, rank);
    dt_log_error("e%d", 1);
    dt_log_warn("w");
    dt_log_info("i");
    dt_log_debug("d");
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void the_log_says_what_the_level_asks_for(void **state) {
    (void)state;
    static const struct {
        dt_log_level level;
        int rank;
        const char *text;
    } expected[] = {
        {DT_LOG_ERROR, 0, "dtrain: error: e1\n"},
        {DT_LOG_WARN, -1, "dtrain: error: e1\ndtrain: warning: w\n"},
        {DT_LOG_INFO, 0, "dtrain: error: e1\ndtrain: warning: w\ndtrain: i\n"},
        {DT_LOG_INFO, 1, ""},
        {DT_LOG_DEBUG, 0,
         "dtrain[0]: error: e1\ndtrain[0]: warning: w\ndtrain[0]: i\ndtrain[0]: debug: d\n"},
        {DT_LOG_DEBUG, 2, "dtrain[2]: error: e1\ndtrain[2]: warning: w\ndtrain[2]: debug: d\n"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char text[400];
        read_log(text, sizeof text, expected[i].level, expected[i].rank);
        assert_string_equal(text, expected[i].text);
        assert_int_equal(dt_log_current(), expected[i].level);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_follow_sysexits),
        cmocka_unit_test(errors_are_passed_on_with_their_sentence),
        cmocka_unit_test(a_sentence_may_quote_the_one_before),
        cmocka_unit_test(overlong_sentences_end_in_time),
        cmocka_unit_test(threads_have_their_own_error),
        cmocka_unit_test(the_log_says_what_the_level_asks_for),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
