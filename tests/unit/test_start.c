/* The decision of a start, from its options and from a checkpoint, if there is one. */
#include "plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dtrain/data/source.h"
#include "dtrain/run/writer.h"

enum { SETTINGS_MAX = 128 };

/* The given settings: "name", "value", …, NULL. */
typedef struct {
    const char *setting[SETTINGS_MAX];
    dt_start_request request;
} asked;

static dt_start_request *ask(asked *a, ...) {
    *a = (asked){.request.given.setting = a->setting};
    va_list list;
    va_start(list, a);
    for (const char *name; (name = va_arg(list, const char *));) {
        const char *value = va_arg(list, const char *);
        const dt_setting *setting = dt_setting_find(name);
        assert_non_null(setting);
        for (size_t i = 0; i < dt_setting_count(); i++) {
            if (dt_setting_at(i) == setting) a->setting[i] = value;
        }
    }
    va_end(list);
    return &a->request;
}

/* A checkpoint of a run of 100 steps: everything except its tensors. */
typedef struct {
    dt_checkpoint checkpoint;
    dt_metrics metrics;
    dt_history_row row;
    dt_source source;
} found;

#define RUN "layers", "1", "steps", "100", "shards", "4", "patience", "3"

static void find(found *f, int64_t step, const char *stopped) {
    asked a;
    dt_start_plan plan;
    const dt_start_request *request = ask(&a, RUN, NULL);
    assert_int_equal(dt_plan_begin(&plan, request), DT_OK);
    assert_int_equal(dt_plan_decide(&plan, DT_FOUND_NOTHING, NULL, request, 1), DT_OK);
    *f = (found){.checkpoint = {.config = plan.config}};
    assert_int_equal(dt_source_open(&f->source, &plan.config, NULL), DT_OK);
    f->checkpoint.tokenizer = f->source.own_tokenizer;
    f->checkpoint.state =
        (dt_run_state){.step = step, .problems = 64 * step, .best = 0.5, .best_step = 40};
    snprintf(f->row.stopped, sizeof f->row.stopped, "%s", stopped);
    f->metrics = (dt_metrics){.history = &f->row, .history_count = 1};
    f->checkpoint.metrics = &f->metrics;
}

static void lose(found *f) { dt_source_close(&f->source); }

static dt_status decide(dt_start_plan *plan, dt_found what, const found *f,
                        const dt_start_request *request, size_t ranks) {
    DT_TRY(dt_plan_begin(plan, request));
    snprintf(plan->path, sizeof plan->path, "THE/FILE");
    snprintf(plan->config.out, sizeof plan->config.out, "THE_FOLDER");
    return dt_plan_decide(plan, what, f ? &f->checkpoint : NULL, request, ranks);
}

static void expect_error(dt_status status, dt_status code, const char *part) {
    assert_int_equal(status, code);
    if (!strstr(dt_error_text(), part)) fail_msg("\"%s\" is not in: %s", part, dt_error_text());
}

/* ---- without a checkpoint ---- */

static void where_nothing_is_there_a_run_begins(void **state) {
    (void)state;
    asked a;
    dt_start_plan plan;
    assert_int_equal(decide(&plan, DT_FOUND_NOTHING, NULL, ask(&a, "digits", "2", NULL), 4), DT_OK);
    assert_int_equal(plan.kind, DT_START_NEW);
    assert_int_equal(plan.config.digits, 2);
    assert_int_equal(plan.state.step, 0);
    assert_int_equal(plan.newest, -1);
    assert_string_equal(plan.changed, "");
    /* Settings derived from the data are now settings of the run. */
    assert_true(plan.config.context > 0);
    assert_true(plan.config.places > 0);
}

static void options_that_contradict_each_other_are_refused(void **state) {
    (void)state;
    asked a;
    dt_start_plan plan;
    dt_start_request *request = ask(&a, NULL);
    request->resume = "x";
    request->fresh = true;
    expect_error(dt_plan_begin(&plan, request), DT_ERR_ARG, "--fresh and --resume");
    request->fresh = false;
    request->init_from = "y";
    expect_error(dt_plan_begin(&plan, request), DT_ERR_ARG, "--init-from begins a new run");
    expect_error(dt_plan_begin(&plan, ask(&a, "width", "30", "heads", "4", NULL)), DT_ERR_ARG,
                 "--width 30");
}

static void a_new_run_has_shards_for_its_ranks(void **state) {
    (void)state;
    static const struct {
        size_t ranks;
        const char *batch;
        int64_t shards;
    } run[] = {{1, "512", 8},  {8, "512", 8},  {9, "512", 64},
               {12, "32", 32}, {32, "60", 32}, {300, "65536", 2048}};
    asked a;
    dt_start_plan plan;
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
        const dt_start_request *request = ask(&a, "batch", run[i].batch, NULL);
        assert_int_equal(decide(&plan, DT_FOUND_NOTHING, NULL, request, run[i].ranks), DT_OK);
        assert_int_equal(plan.config.shards, run[i].shards);
    }
    /* Not where they are given, nor where there are too few problems. */
    expect_error(decide(&plan, DT_FOUND_NOTHING, NULL, ask(&a, "shards", "8", NULL), 9), DT_ERR_ARG,
                 "9 ranks are more than the 8 shards");
    expect_error(decide(&plan, DT_FOUND_NOTHING, NULL, ask(&a, "batch", "32", NULL), 33),
                 DT_ERR_ARG, "33 ranks are more than the 8 shards");
}

static void a_start_has_at_most_as_many_ranks_as_shards(void **state) {
    (void)state;
    asked a;
    dt_start_plan plan;
    const dt_start_request *request = ask(&a, "shards", "4", NULL);
    assert_int_equal(decide(&plan, DT_FOUND_NOTHING, NULL, request, 4), DT_OK);
    expect_error(decide(&plan, DT_FOUND_NOTHING, NULL, request, 5), DT_ERR_ARG,
                 "or give a larger power of two with --shards");
    found f;
    find(&f, 50, "killed");
    assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, NULL), 4), DT_OK);
    expect_error(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, NULL), 5), DT_ERR_ARG,
                 "at most 4 ranks");
    assert_null(strstr(dt_error_text(), "--shards"));
    lose(&f);
}

/* ---- with a checkpoint ---- */

static void a_run_goes_on_with_the_settings_it_had(void **state) {
    (void)state;
    found f;
    asked a;
    dt_start_plan plan;
    find(&f, 50, "signal TERM");
    assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, NULL), 1), DT_OK);
    assert_int_equal(plan.kind, DT_START_RESUME);
    assert_memory_equal(&plan.state, &f.checkpoint.state, sizeof plan.state);
    assert_int_equal(plan.config.steps, 100);
    assert_int_equal(plan.config.context, f.checkpoint.config.context);
    assert_string_equal(plan.config.out,
                        "THE_FOLDER"); /* not the folder that the checkpoint was written to */
    assert_string_equal(plan.changed, "");
    lose(&f);
}

static void free_settings_may_change_and_are_listed(void **state) {
    (void)state;
    found f;
    asked a;
    dt_start_plan plan;
    find(&f, 50, "killed");
    assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f,
                            ask(&a, "steps", "200", "lr", "0.001", "log-level", "debug", NULL), 1),
                     DT_OK);
    assert_int_equal(plan.kind, DT_START_RESUME);
    assert_int_equal(plan.config.steps, 200);
    assert_string_equal(plan.changed, "steps 100 -> 200, lr 0.003 -> 0.001");
    lose(&f);
}

/* The same command continues a run on any machine. */
static void the_precision_stays_unless_another_is_named(void **state) {
    (void)state;
    asked a;
    found f;
    dt_start_plan plan;
    find(&f, 50, "killed");
    f.checkpoint.config.precision = DT_PRECISION_BFLOAT16;
    assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, "precision", "auto", NULL), 1),
                     DT_OK);
    assert_int_equal(plan.config.precision, DT_PRECISION_BFLOAT16);
    assert_string_equal(plan.changed, "");
    assert_int_equal(
        decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, "precision", "float32", NULL), 1), DT_OK);
    assert_string_equal(plan.changed, "precision bfloat16 -> float32");
    lose(&f);
}

static void fixed_settings_may_not_change(void **state) {
    (void)state;
    found f;
    asked a;
    dt_start_plan plan;
    find(&f, 50, "killed");
    expect_error(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, "shards", "8", NULL), 1),
                 DT_ERR_ARG, "THE/FILE was trained with --shards 4, which cannot become 8");
    /* Given with the same value. */
    assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, "shards", "4", NULL), 1),
                     DT_OK);
    expect_error(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, "train-file", "x", NULL), 1),
                 DT_ERR_ARG, "was trained on arithmetic, and that cannot become");
    lose(&f);
}

static void a_run_is_finished_when_it_says_so(void **state) {
    (void)state;
    const struct {
        int64_t step, stale;
        const char *stopped;
        const char *steps, *patience; /* given */
        dt_start_kind kind;
    } cases[] = {
        {100, 0, DT_FINISHED, "100", "3", DT_START_FINISHED},
        {100, 0, DT_STILL_RUNNING, "100", "3", DT_START_RESUME}, /* its validation is missing */
        {100, 0, "signal TERM", "100", "3", DT_START_RESUME},
        {100, 0, DT_FINISHED, "101", "3", DT_START_RESUME},
        {60, 0, DT_FINISHED, "100", "3", DT_START_RESUME},
        {60, 0, DT_FINISHED, "60", "3", DT_START_FINISHED},
        {60, 3, DT_FINISHED " (early stopping)", "100", "3", DT_START_FINISHED},
        {60, 3, DT_FINISHED " (early stopping)", "100", "4", DT_START_RESUME},
        {60, 3, DT_FINISHED " (early stopping)", "100", "0", DT_START_RESUME},
        {60, 2, DT_STILL_RUNNING, "100", "3", DT_START_RESUME},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        found f;
        asked a;
        dt_start_plan plan;
        find(&f, cases[i].step, cases[i].stopped);
        f.checkpoint.state.stale = cases[i].stale;
        const dt_start_request *request =
            ask(&a, "steps", cases[i].steps, "patience", cases[i].patience, NULL);
        assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, request, 1), DT_OK);
        if (plan.kind != cases[i].kind) fail_msg("case %zu", i);
        lose(&f);
    }
}

/* The best value of another metric cannot be compared with later ones. */
static void another_measure_forgets_the_best(void **state) {
    (void)state;
    found f;
    asked a;
    dt_start_plan plan;
    find(&f, 50, "killed");
    f.checkpoint.state.stale = 2;
    const char *const change[][2] = {{"metric", "loss"}, {"eval-examples", "99"}};
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        const dt_start_request *request = ask(&a, change[i][0], change[i][1], NULL);
        assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, request, 1), DT_OK);
        assert_int_equal(plan.state.best_step, -1);
        assert_int_equal(plan.state.stale, 0);
        assert_int_equal(plan.state.step, 50);
    }
    assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, "lr", "1e-3", NULL), 1), DT_OK);
    assert_int_equal(plan.state.best_step, 40);
    lose(&f);
}

static void the_rate_before_other_steps_is_known(void **state) {
    (void)state;
    const struct {
        const char *name, *value; /* in addition to --steps 200 */
        bool stretched;
    } cases[] = {{"seed", "1", true},
                 {"lr", "0.01", false},
                 {"schedule", "constant", false},
                 {"warmup", "9", false},
                 {"min-lr", "0.1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        found f;
        asked a;
        dt_start_plan plan;
        find(&f, 100, "killed");
        assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f,
                                ask(&a, "steps", "200", cases[i].name, cases[i].value, NULL), 1),
                         DT_OK);
        assert_int_equal(plan.stretched, cases[i].stretched);
        assert_true(fabs(plan.planned_lr - 0.003 * 0.15) < 1e-12); /* the end of the cosine */
        lose(&f);
    }
    found f;
    asked a;
    dt_start_plan plan;
    find(&f, 100, "killed");
    assert_int_equal(decide(&plan, DT_FOUND_CHECKPOINT, &f, ask(&a, "steps", "100", NULL), 1),
                     DT_OK);
    assert_false(plan.stretched);
    lose(&f);
}

/* ---- with weights of another run ---- */

static void weights_bring_their_model_and_data_along(void **state) {
    (void)state;
    found f;
    asked a;
    dt_start_plan plan;
    find(&f, 50, "killed");
    dt_start_request *request = ask(&a, "shards", "8", NULL);
    request->init_from = "THE/FILE";
    assert_int_equal(decide(&plan, DT_FOUND_WEIGHTS, &f, request, 1), DT_OK);
    assert_int_equal(plan.kind, DT_START_FROM_WEIGHTS);
    assert_int_equal(plan.config.layers, 1);
    assert_int_equal(plan.config.shards, 8);
    assert_int_equal(plan.config.steps, 4800);
    assert_int_equal(plan.state.step, 0);
    assert_string_equal(plan.changed, "weights from THE/FILE, step 50");
    expect_error(decide(&plan, DT_FOUND_WEIGHTS, &f, ask(&a, "layers", "2", NULL), 1), DT_ERR_ARG,
                 "a model with --layers 1; they do not fit --layers 2");
    lose(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_nothing_is_there_a_run_begins),
        cmocka_unit_test(options_that_contradict_each_other_are_refused),
        cmocka_unit_test(a_new_run_has_shards_for_its_ranks),
        cmocka_unit_test(a_start_has_at_most_as_many_ranks_as_shards),
        cmocka_unit_test(a_run_goes_on_with_the_settings_it_had),
        cmocka_unit_test(free_settings_may_change_and_are_listed),
        cmocka_unit_test(the_precision_stays_unless_another_is_named),
        cmocka_unit_test(fixed_settings_may_not_change),
        cmocka_unit_test(a_run_is_finished_when_it_says_so),
        cmocka_unit_test(another_measure_forgets_the_best),
        cmocka_unit_test(the_rate_before_other_steps_is_known),
        cmocka_unit_test(weights_bring_their_model_and_data_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
