/* The progress of a run: on a terminal that changes its width, on other outputs, and in its log.
 * The test controls the clock. */
#define _GNU_SOURCE /* posix_openpt */
#include "dtrain/core/log.h"
#include "dtrain/ui/progress.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static double clock_now;

double dt_seconds_now(void) { return clock_now; }

/* ---- texts ---- */

static void durations_are_as_people_write_them(void **state) {
    (void)state;
    const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},         {59.4, "0:59"},      {59.6, "1:00"},      {245, "4:05"},
                 {3599, "59:59"},     {3600, "1:00:00"},   {86399, "23:59:59"}, {86400, "1d 00h"},
                 {93784, "1d 02h"},   {1e9, "11574d 01h"}, {-1, "--:--"},       {NAN, "--:--"},
                 {INFINITY, "--:--"}, {1e10, "--:--"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        dt_progress_duration(text, sizeof text, cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

static const dt_progress_view HALF = {.step = 1200,
                                      .steps = 2400,
                                      .loss = 0.12345,
                                      .rate = 54321.6,
                                      .computing = 91.4,
                                      .communicating = 5.6,
                                      .waiting = 3,
                                      .left = 3723};

static void bar_tells_all_where_there_is_room(void **state) {
    (void)state;
    char text[256];
    dt_progress_bar(text, sizeof text, 200, &HALF);
    assert_string_equal(text, "[====================>                   ]  1200/2400  loss 0.1235  "
                              "54322 tokens/s  compute 91% comm 6% wait 3%  1:02:03 left");
    dt_progress_bar(text, sizeof text, 45, &HALF);
    assert_string_equal(text, "1200/2400  loss 0.1235  1:02:03 left");
    dt_progress_bar(text, sizeof text, 24, &HALF);
    assert_string_equal(text, "1200/2400  1:02:03 left");
    dt_progress_bar(text, sizeof text, 9, &HALF);
    assert_string_equal(text, "1200/2400");
}

/* No part is cut, and more columns never show fewer parts. */
static void bar_fits_every_width(void **state) {
    (void)state;
    const char *part[] = {"1200/2400", "loss 0.1235", "compute 91% comm 6% wait 3%",
                          "54322 tokens/s", "1:02:03 left"};
    size_t shown_before = 0;
    for (size_t width = 1; width <= 250; width++) {
        char text[300];
        memset(text, 'x', sizeof text);
        dt_progress_bar(text, sizeof text, width, &HALF);
        assert_non_null(memchr(text, 0, sizeof text));
        assert_true(strlen(text) <= width);
        size_t length = 0, shown = 0;
        for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
            if (!strstr(text, part[i])) continue;
            shown++;
            length += strlen(part[i]);
        }
        const char *end = strchr(text, ']');
        if (end) {
            assert_true(text[0] == '[');
            const char *head = memchr(text, '>', (size_t)(end - text));
            assert_non_null(head);
            assert_true(labs((end - head) - (head - text)) <= 2); /* half of the steps are done */
            length += (size_t)(end - text) + 1;
            shown++;
        }
        assert_int_equal(strlen(text), length + (shown ? 2 * (shown - 1) : 0));
        assert_true(shown >= shown_before);
        shown_before = shown;
    }
    assert_int_equal(shown_before, 6);
}

static void bar_stays_within_its_memory(void **state) {
    (void)state;
    dt_progress_view view = {
        .step = INT64_MAX - 1, .steps = INT64_MAX, .loss = 1e300, .rate = 1e30};
    view.left = view.computing = NAN;
    for (size_t size = 1; size < 300; size++) {
        char text[300];
        memset(text, 'x', sizeof text);
        dt_progress_bar(text, size, 1000, &view);
        assert_true(memchr(text, 0, size) != NULL);
    }
    char text[64];
    dt_progress_bar(text, sizeof text, 60,
                    &(dt_progress_view){.step = 0, .steps = 100, .loss = NAN, .left = NAN});
    assert_non_null(strstr(text, "loss nan"));
    assert_non_null(strstr(text, "--:-- left"));
    assert_non_null(strstr(text, "[>"));
    dt_progress_bar(text, sizeof text, 60, &(dt_progress_view){.step = 7, .steps = 7});
    assert_null(strchr(text, '>'));
    assert_non_null(strstr(text, "=]"));
}

/* ---- a run ---- */

/* Standard error goes to `reader`: the other end of a terminal or of a pipe. */
typedef struct {
    int reader, kept;
    char folder[64];
    dt_progress p;
    dt_config config;
    dt_step_times times;
    int64_t step;
} rig;

static void redirect(rig *r, int writer) {
    fflush(stderr);
    r->kept = dup(STDERR_FILENO);
    assert_true(r->kept >= 0 && dup2(writer, STDERR_FILENO) >= 0);
    close(writer);
    fcntl(r->reader, F_SETFL, O_NONBLOCK);
}

static void set_width(unsigned short columns) {
    const struct winsize size = {.ws_row = 24, .ws_col = columns};
    assert_int_equal(ioctl(STDERR_FILENO, TIOCSWINSZ, &size), 0);
}

static void open_rig(rig *r, bool terminal) {
    *r = (rig){.reader = -1};
    if (terminal) {
        r->reader = posix_openpt(O_RDWR | O_NOCTTY);
        assert_true(r->reader >= 0 && grantpt(r->reader) == 0 && unlockpt(r->reader) == 0);
        const int writer = open(ptsname(r->reader), O_RDWR | O_NOCTTY);
        struct termios settings;
        assert_int_equal(tcgetattr(writer, &settings), 0);
        cfmakeraw(&settings);
        tcsetattr(writer, TCSANOW, &settings);
        redirect(r, writer);
        set_width(120);
    } else {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        r->reader = ends[0];
        redirect(r, ends[1]);
    }
    snprintf(r->folder, sizeof r->folder, "/tmp/dtrain-progress.XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    dt_config_defaults(&r->config);
    snprintf(r->config.out, sizeof r->config.out, "%s", r->folder);
    r->config.steps = 100000;
    r->config.batch = 32;
    clock_now = 1000;
    setenv("TERM", "xterm", 1);
    dt_log_open(DT_LOG_INFO, 0);
    dt_progress_open(&r->p, &r->config);
}

static void close_rig(rig *r) {
    char path[96];
    dt_progress_close(&r->p);
    fflush(stderr);
    dup2(r->kept, STDERR_FILENO);
    close(r->kept);
    close(r->reader);
    snprintf(path, sizeof path, "%s/log.jsonl", r->folder);
    unlink(path);
    rmdir(r->folder);
}

/* One step of 1000 tokens; a tenth of its time is communication, a fifth is waiting. */
static void run_step(rig *r, double seconds) {
    const dt_train_row row = {.step = r->step++,
                              .loss = 0.5,
                              .lr = 1e-3,
                              .grad_norm = 2,
                              .tokens = 1000,
                              .seconds = seconds};
    clock_now += seconds;
    r->times.communicating += 0.1 * seconds;
    r->times.waiting += 0.2 * seconds;
    dt_progress_step(&r->p, &row, &r->times);
}

/* The output since the last call. A terminal passes it on after a short time. */
static const char *heard(const rig *r, char text[1 << 16]) {
    size_t length = 0;
    struct pollfd reader = {.fd = r->reader, .events = POLLIN};
    while (length < (1 << 16) - 1 && poll(&reader, 1, 100) > 0) {
        const ssize_t got = read(r->reader, text + length, (1 << 16) - 1 - length);
        if (got <= 0) break;
        length += (size_t)got;
    }
    text[length] = '\0';
    return text;
}

static size_t count(const char *text, const char *what) {
    size_t found = 0;
    for (; (text = strstr(text, what)); text += strlen(what)) found++;
    return found;
}

static const char *log_of(const rig *r, char text[1 << 16]) {
    char path[96];
    snprintf(path, sizeof path, "%s/log.jsonl", r->folder);
    FILE *in = fopen(path, "r");
    const size_t got = in ? fread(text, 1, (1 << 16) - 1, in) : 0;
    text[got] = '\0';
    if (in) fclose(in);
    return text;
}

/* The largest number of columns in use in the cursor's line, after any byte. */
static size_t widest(const char *text) {
    size_t used = 0, most = 0;
    for (; *text; text++) {
        if (strncmp(text, "\033[K", 3) == 0) {
            text += 2;
        } else {
            used = *text == '\r' || *text == '\n' ? 0 : used + 1;
            most = used > most ? used : most;
        }
    }
    return most;
}

static void a_bar_is_redrawn_ten_times_a_second(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, true);
    for (int i = 0; i < 1000; i++) run_step(&r, 0.001);
    heard(&r, text);
    assert_in_range(count(text, "\r"), 9, 11);
    assert_null(strchr(text, '\n'));
    assert_non_null(strstr(text, "1000000 tokens/s"));
    assert_non_null(strstr(text, "compute 70% comm 10% wait 20%"));
    assert_non_null(strstr(text, "1:39 left")); /* 99000 steps are left */
    assert_true(widest(text) == 119);

    set_width(50);
    run_step(&r, 0.2);
    heard(&r, text);
    assert_true(count(text, "\r") == 1 && widest(text) <= 49 && widest(text) > 30);
    close_rig(&r);
}

static void messages_take_the_place_of_the_bar(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, true);
    run_step(&r, 0.2);
    heard(&r, text);
    dt_log_warn("something happened");
    assert_string_equal(heard(&r, text), "\r\033[Kdtrain: warning: something happened\n");
    dt_validation_row row = {.step = 1,
                             .loss = 0.25,
                             .perplexity = 1.284,
                             .token_accuracy = 0.9,
                             .exact_match = 0.5,
                             .exact_match_of = {1, NAN, 0.25, 0}};
    dt_progress_validation(&r.p, &row, true);
    assert_string_equal(heard(&r, text),
                        "\r\033[Kdtrain: validation at 1: loss 0.2500  perplexity 1.284  tokens "
                        "90.00%  exact 50.00%   + 100.00%  * 25.00%  / 0.00%  (best)\n");
    row.loss = 168.2; /* diverged: the perplexity has 73 digits */
    row.perplexity = exp(row.loss);
    dt_progress_validation(&r.p, &row, false);
    assert_non_null(strstr(heard(&r, text), "perplexity 1.12e+73  tokens"));
    run_step(&r, 0.2);
    assert_true(heard(&r, text)[0] == '\r');
    dt_progress_close(&r.p);
    assert_string_equal(heard(&r, text), "\r\033[K");
    dt_log_info("afterwards");
    assert_string_equal(heard(&r, text), "dtrain: afterwards\n");
    close_rig(&r);
}

static void elsewhere_lines_come_every_five_seconds(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, false);
    for (int i = 0; i < 99; i++) run_step(&r, 0.25);
    heard(&r, text);
    assert_int_equal(count(text, "\n"), 4);
    assert_int_equal(count(text, "dtrain: step "), 4);
    assert_non_null(strstr(text, "dtrain: step 20/100000  loss 0.5000  lr 1.00e-03  grad norm 2.000"
                                 "  4000 tokens/s  128 problems/s  compute 70% comm 10% wait 20%  "
                                 "6:56:35 left, until "));
    assert_true(!strchr(text, '\r') && !strchr(text, '\033'));
    const char *log = log_of(&r, text);
    assert_int_equal(count(log, "\n"), 4);
    assert_non_null(strstr(log, "{\"event\":\"step\",\"step\":20,\"loss\":0.5,\"lr\":0.001,"
                                "\"grad_norm\":2,\"tokens_per_second\":4000,\"compute_percent\":70."
                                "0,\"communication_percent\":10.0,\"waiting_percent\":20.0,"
                                "\"seconds_left\":24995}\n"));
    /* The last step is always shown. */
    heard(&r, text);
    r.step = r.config.steps - 1;
    run_step(&r, 0.25);
    assert_non_null(strstr(heard(&r, text), "step 100000/100000"));
    assert_non_null(strstr(text, "  0:00 left, until "));
    close_rig(&r);
}

/* Half of the time passes between steps, in validations: it counts in the time left, but not in
 * tokens per second. */
static void what_is_left_counts_all_time(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, false);
    r.p.config.steps = 400;
    for (int i = 0; i < 200; i++) {
        run_step(&r, 0.25);
        clock_now += 0.25;
    }
    heard(&r, text);
    const char *last = strstr(text, "step 191/400");
    assert_non_null(last);
    assert_non_null(strstr(last, " 4000 tokens/s"));
    char *colon;
    const long minutes = strtol(strstr(last, "wait 20%") + strlen("wait 20%"), &colon, 10);
    const long left = 60 * minutes + strtol(colon + 1, NULL, 10);
    assert_in_range(left, 102, 106); /* 209 steps of half a second */
    close_rig(&r);
}

static void what_is_not_finite_stays_json(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, false);
    const dt_train_row row = {.step = r.config.steps - 1, .loss = NAN, .grad_norm = INFINITY};
    dt_progress_step(&r.p, &row, &r.times); /* no time has passed */
    const dt_validation_row validation = {.loss = INFINITY, .exact_match_of = {NAN, NAN, NAN, NAN}};
    dt_progress_validation(&r.p, &validation, false);
    log_of(&r, text);
    assert_int_equal(count(text, "\n"), 2);
    assert_true(count(text, "null") >= 4);
    assert_true(!strstr(text, "nan") && !strstr(text, "inf"));
    close_rig(&r);
}

/* What was used so far is that of all starts; this start goes on as before until the end. */
static void energy_and_money_are_shown_with_their_end(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, false);
    r.p.config.steps = 80;
    r.p.config.price_kwh = 36;
    snprintf(r.p.config.currency, sizeof r.p.config.currency, "JPY");
    dt_history_row history[2] = {
        {.nodes = 1, .seconds = 500, .joules = 36e3, .energy_source = "RAPL"}, {.nodes = 1}};
    const dt_metrics metrics = {.history = history, .history_count = 2};
    dt_history_row *now = &history[1];
    snprintf(now->energy_source, sizeof now->energy_source, "RAPL");
    r.times.metrics = &metrics;
    for (int i = 0; i < 40; i++) {
        now->seconds += 0.5;
        now->joules += 900; /* 1800 W */
        run_step(&r, 0.5);
    }
    heard(&r, text);
    /* 40 steps: 36 kJ and 36 kJ; as much again is to come */
    const char *last = strstr(text, "step 40/80");
    if (!last) last = strstr(text, "step 31/80");
    assert_non_null(last);
    assert_non_null(strstr(text, " Wh (RAPL), 0."));
    assert_non_null(strstr(text, " JPY; at the end about 30 Wh, 1.08 JPY\n"));
    log_of(&r, text);
    assert_non_null(strstr(text, "\"energy_source\":\"RAPL\",\"run_seconds\":5"));
    assert_non_null(strstr(text, "\"currency\":\"JPY\",\"co2_grams\":null}"));
    /* What no start knows is not shown. */
    for (int i = 0; i < 2; i++) history[i].energy_source[0] = '\0';
    r.p.config.price_kwh = 0;
    for (int i = 0; i < 39; i++) run_step(&r, 0.5);
    heard(&r, text);
    assert_true(strstr(text, "left, until ") && !strstr(text, "Wh") && !strstr(text, "JPY"));
    close_rig(&r);
}

static void the_end_is_a_time_of_day(void **state) {
    (void)state;
    char text[24];
    setenv("TZ", "JST-9", 1);
    tzset();
    dt_progress_until(text, sizeof text, 1795000000, 3600); /* 2026-11-18 11:06:40 UTC */
    assert_string_equal(text, "21:06");
    dt_progress_until(text, sizeof text, 1795000000, 86400);
    assert_string_equal(text, "11-19 20:06");
    dt_progress_until(text, sizeof text, 1795000000, NAN);
    assert_string_equal(text, "");
}

/* No bar if it cannot be rewritten, or if other ranks write as well. */
static void some_terminals_get_lines(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, true);
    dt_progress_close(&r.p);
    heard(&r, text);
    setenv("TERM", "dumb", 1);
    dt_progress_open(&r.p, &r.config);
    for (int i = 0; i < 30; i++) run_step(&r, 0.2);
    assert_true(count(heard(&r, text), "\n") == 1 && !strchr(text, '\r'));
    setenv("TERM", "xterm", 1);
    r.config.log_level = DT_LOG_DEBUG;
    dt_progress_open(&r.p, &r.config);
    for (int i = 0; i < 30; i++) run_step(&r, 0.2);
    assert_true(count(heard(&r, text), "\n") == 1 && !strchr(text, '\r'));
    close_rig(&r);
}

/* A log that cannot be written gives a warning, and the run goes on. */
static void a_log_that_cannot_be_written_is_no_error(void **state) {
    (void)state;
    rig r;
    char text[1 << 16];
    open_rig(&r, false);
    snprintf(r.p.config.out, sizeof r.p.config.out, "/nowhere/at/all");
    dt_progress_event(&r.p, "{}");
    assert_non_null(strstr(heard(&r, text), "warning: cannot write /nowhere/at/all/log.jsonl"));
    assert_string_equal(dt_error_text(), "");
    close_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_as_people_write_them),
        cmocka_unit_test(bar_tells_all_where_there_is_room),
        cmocka_unit_test(bar_fits_every_width),
        cmocka_unit_test(bar_stays_within_its_memory),
        cmocka_unit_test(a_bar_is_redrawn_ten_times_a_second),
        cmocka_unit_test(messages_take_the_place_of_the_bar),
        cmocka_unit_test(elsewhere_lines_come_every_five_seconds),
        cmocka_unit_test(what_is_left_counts_all_time),
        cmocka_unit_test(what_is_not_finite_stays_json),
        cmocka_unit_test(energy_and_money_are_shown_with_their_end),
        cmocka_unit_test(the_end_is_a_time_of_day),
        cmocka_unit_test(some_terminals_get_lines),
        cmocka_unit_test(a_log_that_cannot_be_written_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
