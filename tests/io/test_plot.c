/* Plots show what was measured: thinned without losing extremes, on readable axes, at every width.
 * Other programs are run, and their messages are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dtrain/arithmetic/analysis.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/file/child.h"
#include "dtrain/picture/grid.h"
#include "figure.h"
#include "fixture.h"

enum { COLUMNS = 600 };

static void add_rows(dt_metrics *m, int64_t rows, double (*loss)(int64_t)) {
    for (int64_t i = 0; i < rows; i++) {
        const dt_train_row row = {.step = i, .loss = loss(i), .lr = 1e-3, .grad_norm = 2};
        assert_int_equal(dt_metrics_add_train(m, &row), DT_OK);
    }
}

static void add_validation(dt_metrics *m, int64_t step, double exact) {
    const dt_validation_row row = {
        .step = step, .loss = 1, .exact_match = exact, .exact_match_of = {exact, NAN, 1, 0}};
    assert_int_equal(dt_metrics_add_validation(m, &row), DT_OK);
}

static void add_start(dt_metrics *m, int64_t step, int64_t ranks) {
    const dt_history_row row = {.step = step, .ranks = ranks};
    assert_int_equal(dt_metrics_add_history(m, &row), DT_OK);
}

static dt_plot_run run_of(const dt_metrics *m, int64_t best_step) {
    return (dt_plot_run){"a run", m, best_step, dt_operation_kind, DT_OPERATIONS, false};
}

static void make(dt_figure *figure, const dt_metrics *m, size_t columns) {
    const dt_plot_run run = run_of(m, -1);
    const dt_plot plot = {"a run", &run, 1};
    assert_int_equal(dt_figure_create(figure, &plot, columns), DT_OK);
}

/* ---- curves ---- */

static double line_with_spikes(int64_t i) {
    return i == 123456 ? 1e6 : i == 777 ? 1e-6 : 3 + 1e-5 * (double)i;
}

/* The mean of points on a straight line lies on the line: the expected value needs no thinning. */
static void a_million_rows_keep_their_mean_and_extremes(void **state) {
    (void)state;
    dt_metrics m = {0};
    dt_figure figure;
    add_rows(&m, 1000000, line_with_spikes);
    make(&figure, &m, COLUMNS);
    const dt_curve *curve = &figure.panel[DT_PANEL_LOSS].curve[0];
    assert_true(curve->points <= COLUMNS && curve->points > COLUMNS / 2);
    assert_true(curve->thinned);
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < curve->points; i++) {
        const dt_point *p = &curve->point[i];
        assert_true(i == 0 || p->step > p[-1].step);
        assert_true(p->least <= p->mean && p->mean <= p->most);
        if (p->least > 1 && p->most < 1e3) {
            assert_true(fabs(p->mean - (3 + 1e-5 * p->step)) < 1e-9);
        }
        least = fmin(least, p->least);
        most = fmax(most, p->most);
    }
    assert_true(least == 1e-6 && most == 1e6);
    assert_true(curve->last == line_with_spikes(999999));
    dt_figure_destroy(&figure);
    dt_metrics_clear(&m);
}

static double parabola(int64_t i) { return 1 + (double)(i * i); }

static void few_rows_are_shown_as_they_are(void **state) {
    (void)state;
    dt_metrics m = {0};
    dt_figure figure;
    add_rows(&m, COLUMNS, parabola);
    make(&figure, &m, COLUMNS);
    const dt_curve *curve = &figure.panel[DT_PANEL_LOSS].curve[0];
    assert_int_equal(curve->points, COLUMNS);
    assert_false(curve->thinned);
    for (int64_t i = 0; i < COLUMNS; i++) {
        const dt_point *p = &curve->point[i];
        assert_true(p->step == (double)i && p->mean == parabola(i));
        assert_true(p->least == p->mean && p->most == p->mean);
    }
    dt_figure_destroy(&figure);
    dt_metrics_clear(&m);
}

static double with_gaps(int64_t i) { return i == 3 ? NAN : i == 4 ? INFINITY : 5; }

static void what_is_not_finite_is_a_gap(void **state) {
    (void)state;
    dt_metrics m = {0};
    dt_figure figure;
    add_rows(&m, 5, with_gaps);
    add_validation(&m, 3, 0.5);
    make(&figure, &m, COLUMNS);
    const dt_curve *curve = &figure.panel[DT_PANEL_LOSS].curve[0];
    assert_int_equal(curve->points, 5);
    assert_true(isnan(curve->point[3].mean) && isnan(curve->point[4].mean));
    assert_true(curve->last == 5);
    /* No subtraction was measured: it has no curve. */
    const dt_panel *exact = &figure.panel[DT_PANEL_EXACT];
    assert_int_equal(exact->curves, DT_OPERATIONS);
    for (size_t k = 0; k < exact->curves; k++) {
        assert_string_not_equal(exact->curve[k].name, "subtract");
    }
    assert_string_equal(exact->curve[exact->curves - 1].name, "all");
    assert_true(exact->curve[exact->curves - 1].point[0].mean == 50);
    dt_figure_destroy(&figure);

    /* After thinning, the finite rows of a column count. */
    make(&figure, &m, 2);
    curve = &figure.panel[DT_PANEL_LOSS].curve[0];
    assert_int_equal(curve->points, 2);
    assert_true(curve->point[0].mean == 5 && curve->point[1].mean == 5);
    dt_figure_destroy(&figure);
    dt_metrics_clear(&m);
}

static void restarts_are_marked_once(void **state) {
    (void)state;
    dt_metrics m = {0};
    dt_figure figure;
    add_rows(&m, 1000, parabola);
    add_start(&m, 0, 4);
    add_start(&m, 500, 1);
    add_start(&m, 500, 2);
    add_start(&m, 500, 3);
    add_start(&m, 800, 5);
    add_start(&m, 1000, 6); /* nothing measured since */
    add_validation(&m, 700, 0.25);
    make(&figure, &m, COLUMNS);
    assert_int_equal(figure.first_ranks, 4);
    assert_int_equal(figure.restarts, 3);
    const double step[] = {500, 800, 1000};
    const int64_t ranks[] = {3, 5, 6};
    for (size_t i = 0; i < 3; i++) {
        assert_true(figure.restart[i].step == step[i]);
        assert_int_equal(figure.restart[i].ranks, ranks[i]);
    }
    assert_true(isnan(figure.best));
    dt_figure_destroy(&figure);

    const dt_plot_run run = run_of(&m, 700);
    const dt_plot plot = {"a run", &run, 1};
    assert_int_equal(dt_figure_create(&figure, &plot, COLUMNS), DT_OK);
    assert_true(figure.best == 25 && figure.best_step == 700);
    dt_figure_destroy(&figure);
    dt_metrics_clear(&m);
}

/* ---- axes ---- */

static void check_axis(const dt_axis *axis, double least, double most) {
    assert_true(axis->low <= least && axis->high >= most && axis->low < axis->high);
    assert_true(dt_axis_position(axis, axis->low) < 1e-9 &&
                fabs(dt_axis_position(axis, axis->high) - 1) < 1e-9);
    assert_true(axis->ticks >= 2 && axis->ticks <= DT_TICKS_MAX);
    for (size_t i = 0; i < axis->ticks; i++) {
        const double value = axis->tick[i].value, position = dt_axis_position(axis, value);
        assert_true(position > -1e-6 && position < 1 + 1e-6);
        assert_true(i == 0 || value > axis->tick[i - 1].value);
        /* The label shows the value. */
        char *unit;
        const double number = strtod(axis->tick[i].label, &unit);
        const double factor = *unit == 'k' ? 1e3 : *unit == 'M' ? 1e6 : *unit == 'G' ? 1e9 : 1;
        assert_true(fabs(number * factor - value) <= 1e-5 * fmax(fabs(value), 1e-9));
        assert_true(strlen(axis->tick[i].label) <= DT_LABEL_MAX);
    }
}

static void axes_have_ticks_that_can_be_read(void **state) {
    (void)state;
    for (int i = 0; i < 24; i++) {
        const double size = 1e-5 * pow(3.7, i);
        dt_axis axis;
        dt_axis_linear(&axis, 0, size);
        check_axis(&axis, 0, size);
        assert_true(axis.low == 0);
        dt_axis_linear(&axis, size, size);
        check_axis(&axis, size, size);
        dt_axis_linear(&axis, -size, 2 * size);
        check_axis(&axis, -size, 2 * size);
        for (int k = 0; k < 12; k++) {
            const double ratio = 8 * pow(9, k);
            dt_axis_logarithmic(&axis, size / ratio, size);
            check_axis(&axis, size / ratio, size);
        }
    }
    for (int i = 1; i < 33; i++) {
        const double steps = pow(2, i) - 1;
        dt_axis axis;
        dt_axis_steps(&axis, 0, steps);
        check_axis(&axis, 0, steps);
        assert_true(axis.high == steps);
        for (size_t k = 0; k < axis.ticks; k++) {
            assert_true(axis.tick[k].value == floor(axis.tick[k].value));
        }
    }
}

static double falling(int64_t i) { return 1 / (1 + (double)i); }
static double nearly_flat(int64_t i) { return 2 + 0.1 * (double)(i % 7); }
static double down_to_zero(int64_t i) { return i < 50 ? falling(i) : 0; }

static void the_loss_is_logarithmic_where_that_helps(void **state) {
    (void)state;
    double (*const shape[])(int64_t) = {falling, nearly_flat, down_to_zero};
    const bool logarithmic[] = {true, false, false};
    for (size_t i = 0; i < 3; i++) {
        dt_metrics m = {0};
        dt_figure figure;
        add_rows(&m, 100, shape[i]);
        make(&figure, &m, COLUMNS);
        assert_int_equal(figure.panel[DT_PANEL_LOSS].y.logarithmic, logarithmic[i]);
        assert_false(figure.panel[DT_PANEL_LR].y.logarithmic);
        dt_figure_destroy(&figure);
        dt_metrics_clear(&m);
    }
}

/* ---- text ---- */

/* Every line fits and is ASCII, and every part of the plot is there. */
static void check_text(const dt_plot *plot, size_t columns) {
    char *text = NULL;
    size_t size = 0, used = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(dt_plot_print(out, plot, columns), DT_OK);
    fclose(out);
    const size_t most = dt_max_size(columns, DT_PLOT_COLUMNS_MIN);
    for (size_t i = 0; i < size; i++) {
        used = text[i] == '\n' ? 0 : used + 1;
        assert_true(used <= most);
        assert_true(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
    }
    const char *part[] = {"loss (nats",
                          "exact match (%)",
                          "learning rate",
                          "gradient norm",
                          ": started again",
                          "100 +",
                          "|"};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) assert_non_null(strstr(text, part[i]));
    assert_true(text[size - 1] == '\n');
    free(text);
}

static void text_fits_any_terminal(void **state) {
    (void)state;
    dt_metrics m = {0};
    add_rows(&m, 5000, falling);
    for (int64_t i = 1; i <= 50; i++) add_validation(&m, i * 100, (double)i / 50);
    for (int64_t i = 0; i < 40; i++) add_start(&m, i * 125, 1 + i % 5);
    const dt_plot_run run = run_of(&m, 5000);
    const dt_plot plot = {
        "runs/\xc3\xa4\xff\x01 with a long name, longer than any terminal is wide", &run, 1};
    for (size_t columns = 0; columns <= 220; columns++) check_text(&plot, columns);
    check_text(&plot, 100000);
    dt_metrics_clear(&m);
}

/* A falling line falls: its symbol is at the top on the left and at the bottom on the right. */
static void text_shows_the_shape(void **state) {
    (void)state;
    dt_metrics m = {0};
    add_rows(&m, 2000, falling);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    const dt_plot_run run = run_of(&m, -1);
    const dt_plot plot = {"a run", &run, 1};
    assert_int_equal(dt_plot_print(out, &plot, 80), DT_OK);
    fclose(out);
    const char *line = strchr(strstr(text, "loss (nats"), '\n') + 1;
    size_t last = 0, rows = 0;
    while (strncmp(line, "         +", 10) != 0) { /* the horizontal axis */
        const size_t length = strcspn(line, "\n"), column = strcspn(line, "*");
        if (column < length) {
            assert_true(column >= last);
            last = column;
            rows++;
        }
        line += length + 1;
    }
    assert_true(rows >= 8);
    free(text);
    dt_metrics_clear(&m);
}

static void nothing_measured_is_said(void **state) {
    (void)state;
    dt_metrics m = {0};
    add_start(&m, 0, 1);
    const dt_plot_run run = run_of(&m, -1);
    const dt_plot plot = {"runs/new", &run, 1};
    assert_int_equal(dt_plot_print(stdout, &plot, 80), DT_ERR_DATA);
    assert_non_null(strstr(dt_error_text(), "runs/new"));
    assert_int_equal(dt_plot_write("/nowhere/x.svg", &plot), DT_ERR_DATA);
    dt_metrics_clear(&m);
}

static void long_titles_keep_their_end(void **state) {
    (void)state;
    assert_string_equal(dt_title_part("runs/a: step 7", 14), "runs/a: step 7");
    assert_string_equal(dt_title_part("runs/a: step 7", 13), "/a: step 7");
    assert_string_equal(dt_title_part("\xc3\xa4\xc3\xb6\xc3\xbc"
                                      "abcde",
                                      8),
                        "\xc3\xa4\xc3\xb6\xc3\xbc"
                        "abcde");
    assert_string_equal(dt_title_part("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"
                                      "abcd",
                                      6),
                        "bcd");
    assert_string_equal(dt_title_part("\xa4\xa4\xa4", 0), "\xa4\xa4\xa4");
    assert_string_equal(dt_title_part("abc", 1), "");
    assert_string_equal(dt_title_part("", 0), "");
}

static void names_say_which_picture(void **state) {
    (void)state;
    dt_picture picture;
    assert_int_equal(dt_plot_picture(&picture, "a.b/plot.svg"), DT_OK);
    assert_int_equal(picture, DT_PICTURE_SVG);
    assert_int_equal(dt_plot_picture(&picture, "plot.x.png"), DT_OK);
    assert_int_equal(picture, DT_PICTURE_PNG);
    const char *bad[] = {"plot", "plot.", "plot.pdf", "svg", ".svg", "a.svg/plot", "", "x/.png"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(dt_plot_picture(&picture, bad[i]), DT_ERR_ARG);
    }
}

/* ---- grids ---- */

/* Lengths that are counted by tens are called by the longest of them; counts come back from the
 * JSON that eval prints. */
static void grids_name_long_numbers(void **state) {
    (void)state;
    static dt_tally tally;
    const dt_source_kind *const *source = dt_source_kinds;
    while (!(*source)->grid) source++;
    const size_t tens = dt_tally_index(45);
    tally.length[0][tens][3] = tally.split[0][0] = (dt_count){8, 7, 6};
    tally.difficulty[0][tens] = tally.split[0][0];
    const int64_t *values = (const int64_t *)(const void *)&tally;

    char folder[256], path[512], *text = NULL;
    size_t size = 0;
    fixture_folder(folder);
    snprintf(path, sizeof path, "%s/eval.json", folder);
    FILE *file = fopen(path, "we");
    fprintf(file, "{\"loss\":1");
    assert_int_equal((*source)->tally_write(file, values), DT_OK);
    fprintf(file, "}");
    fclose(file);
    int64_t *back;
    const dt_grid_kind *kind;
    assert_int_equal(dt_grid_read(&back, &kind, path), DT_OK);
    assert_ptr_equal(kind, (*source)->grid);
    assert_memory_equal(back, values, sizeof tally);

    const dt_grid grid = {"a grid", kind, back};
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(dt_grid_print(out, &grid, 80), DT_OK);
    fclose(out);
    assert_non_null(strstr(text, "  50 | %"));
    assert_non_null(strstr(text, "digits of b: 3 to 3, upwards: digits of a"));
    assert_non_null(strstr(text, "carries: 50 to 50"));
    assert_int_equal(kind->total(back).right, 7);
    free(text);
    dt_memory_free(&back);
    fixture_remove(folder);
}

/* A file may say anything: no length leads past the end of the tally. */
static void no_length_leads_past_the_end(void **state) {
    (void)state;
    static dt_tally expected;
    const dt_count one = {1, 1, 1}, two = {2, 1, 0};
    const size_t last = DT_LENGTHS - 1;
    expected.length[DT_ADD][last][last] = expected.difficulty[DT_ADD][last] = one;
    expected.length[DT_DIVIDE][last][1] = expected.difficulty[DT_DIVIDE][last] = two;
    char folder[256], path[512];
    fixture_folder(folder);
    snprintf(path, sizeof path, "%s/eval.json", folder);
    for (int digits = DT_NUMBER_DIGITS - 20; digits <= DT_NUMBER_DIGITS; digits++) {
        FILE *file = fopen(path, "we");
        const char *ones = "\"problems\":1,\"right\":1,\"exact_text\":1";
        const char *twos = "\"problems\":2,\"right\":1,\"exact_text\":0";
        fprintf(file,
                "{\"add\":{\"cells\":[{\"a_digits\":%d,\"b_digits\":%d,%s}],"
                "\"by_carries\":[{\"carries\":%d,%s}]},",
                digits, digits, ones, digits, ones);
        fprintf(file,
                "\"divide\":{\"cells\":[{\"a_digits\":%d,\"b_digits\":1,%s}],"
                "\"by_quotient_digits\":[{\"quotient_digits\":%d,%s}]}}",
                digits, twos, digits, twos);
        fclose(file);
        int64_t *back;
        const dt_grid_kind *kind;
        const dt_status status = dt_grid_read(&back, &kind, path);
        assert_int_equal(status, digits < DT_NUMBER_DIGITS ? DT_OK : DT_ERR_DATA);
        if (status != DT_OK) continue;
        assert_memory_equal(back, &expected, sizeof expected);
        dt_memory_free(&back);
    }
    fixture_remove(folder);
}

/* ---- other programs ---- */

static int run_shell(dt_child *child, const char *script, FILE *in, FILE *out) {
    const char *const argument[] = {"sh", "-c", script, NULL};
    return dt_child_run(child, argument, fileno(in), fileno(out));
}

static void children_are_run_and_listened_to(void **state) {
    (void)state;
    FILE *in = tmpfile(), *out = tmpfile();
    dt_child child;
    char text[64] = "";
    fputs("given\n", in);
    fflush(in);
    lseek(fileno(in), 0, SEEK_SET);
    assert_int_equal(run_shell(&child, "cat; printf ' a \\n\\n b\\tc \\n' >&2; exit 3", in, out),
                     0);
    assert_int_equal(child.exit_code, 3);
    assert_int_equal(child.signal, 0);
    assert_string_equal(child.said, "a b c");
    assert_int_equal(pread(fileno(out), text, sizeof text - 1, 0), 6);
    assert_string_equal(text, "given\n");

    /* A long message, larger than the buffer of a pipe: its end is kept. */
    assert_int_equal(
        run_shell(&child,
                  "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; "
                  "printf the_end >&2",
                  in, out),
        0);
    assert_int_equal(child.exit_code, 0);
    const size_t length = strlen(child.said);
    assert_true(length > 100 && length < sizeof child.said);
    assert_string_equal(child.said + length - 18, "line 19999 the_end");

    assert_int_equal(run_shell(&child, "kill -TERM $$", in, out), 0);
    assert_int_equal(child.exit_code, -1);
    assert_int_equal(child.signal, SIGTERM);
    assert_string_equal(child.said, "");

    const char *const nobody[] = {"dtrain-no-such-program", NULL};
    assert_int_equal(dt_child_run(&child, nobody, fileno(in), fileno(out)), ENOENT);
    fclose(in);
    fclose(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_rows_keep_their_mean_and_extremes),
        cmocka_unit_test(few_rows_are_shown_as_they_are),
        cmocka_unit_test(what_is_not_finite_is_a_gap),
        cmocka_unit_test(restarts_are_marked_once),
        cmocka_unit_test(axes_have_ticks_that_can_be_read),
        cmocka_unit_test(the_loss_is_logarithmic_where_that_helps),
        cmocka_unit_test(grids_name_long_numbers),
        cmocka_unit_test(no_length_leads_past_the_end),
        cmocka_unit_test(text_fits_any_terminal),
        cmocka_unit_test(text_shows_the_shape),
        cmocka_unit_test(nothing_measured_is_said),
        cmocka_unit_test(long_titles_keep_their_end),
        cmocka_unit_test(names_say_which_picture),
        cmocka_unit_test(children_are_run_and_listened_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
