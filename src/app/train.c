/* The train command: what dtrain does when no other command is named. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/cost.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/picture/events.h"
#include "dtrain/run/newest.h"
#include "dtrain/train/forecast.h"
#include "dtrain/train/loop.h"
#include "dtrain/ui/plan_report.h"
#include "dtrain/ui/progress.h"

typedef struct {
    const char *resume, *init_from, *budget;
    bool fresh, check_gradients, json, yes;
} train_options;

typedef struct {
    const dt_config *config;
    dt_progress progress;
    dt_events *events; /* for TensorBoard; NULL: none are written */
    bool json;
} following;

/* ---- events for TensorBoard ---- */

/* After an error none are written any more: the next start writes what is missing. */
static void end_events_after(following *f, dt_status status) {
    if (status == DT_OK) return;
    dt_log_warn("%s; the run goes on without events for TensorBoard, and the next start writes "
                "those that are missing",
                dt_error_text());
    dt_error_clear();
    dt_events_close(&f->events);
}

static void begin_events(following *f, int64_t done, const dt_metrics *metrics) {
    if (!f->config->tensorboard) return;
    const dt_source_kind *source = dt_source_kind_of(f->config);
    const dt_events_begin begin = {.folder = f->config->out,
                                   .step = done,
                                   .metrics = metrics,
                                   .kind = source->kind,
                                   .kinds = source->kinds,
                                   .bits_per_byte = source->bits_per_byte};
    end_events_after(f, dt_events_open(&f->events, &begin));
}

/* ---- following a run ---- */

static void follow(void *context, const dt_config *config, int64_t done,
                   const dt_metrics *metrics) {
    following *f = context;
    f->config = config;
    dt_progress_open(&f->progress, config);
    begin_events(f, done, metrics);
}

static void follow_step(void *context, const dt_train_row *row, const dt_step_times *times) {
    following *f = context;
    dt_progress_step(&f->progress, row, times);
    if (f->events) end_events_after(f, dt_events_step(f->events, row));
}

static void follow_validation(void *context, const dt_validation_row *row, bool best) {
    following *f = context;
    dt_progress_validation(&f->progress, row, best);
    if (f->events) end_events_after(f, dt_events_validation(f->events, row));
}

static void follow_sample(void *context, int64_t step, const char *text) {
    following *f = context;
    dt_progress_sample(&f->progress, step, text);
    if (f->events) end_events_after(f, dt_events_text(f->events, "samples", step, text));
}

static void follow_back(void *context, int64_t done, const dt_metrics *metrics) {
    following *f = context;
    if (!f->events) return;
    dt_events_close(&f->events);
    begin_events(f, done, metrics);
}

static void end_following(void *context) {
    following *f = context;
    dt_progress_close(&f->progress);
    dt_events_close(&f->events);
}

/* One line, for scripts that want to go on with what has been trained. */
static void print_end(void *context, const dt_train_end *end) {
    const following *f = context;
    const dt_run_state *state = end->state;
    if (!f->json) return;
    printf("{\"run\":");
    dt_json_print_text(end->config->out);
    printf(",\"model\":");
    dt_json_print_text(end->model);
    printf(",\"finished\":%s,\"step\":%lld,\"steps\":%lld", end->finished ? "true" : "false",
           (long long)state->step, (long long)end->config->steps);
    if (state->best_step >= 0) {
        char metric[32], best[DT_JSON_NUMBER];
        dt_config_text(metric, sizeof metric, end->config, dt_setting_find("metric"));
        printf(",\"metric\":\"%s\",\"best\":%s,\"best_step\":%lld", metric,
               dt_json_number(best, 9, state->best), (long long)state->best_step);
    }
    char cost[600];
    dt_cost_usage_json(cost, sizeof cost, &end->usage, end->config);
    printf("%s}\n", cost);
}

/* ---- a budget ---- */

/* Settings that fit a budget; `given` points into it. */
typedef struct {
    dt_overrides given;
    char value[DT_CUTS_MAX][64];
} fitted_settings;

/* What a budget may change stays as it was fitted when the run began, so that the same command goes
 * on with it. */
static dt_status keep_fitted(fitted_settings *fitted, const char *run) {
    static const char *const NAME[] = {"steps",     "batch",  "eval-every",
                                       "precision", "layers", "width"};
    char path[DT_PATH_MAX];
    dt_checkpoint checkpoint = {0};
    size_t used = 0;
    const dt_status status = dt_newest_summary(&checkpoint, path, sizeof path, run);
    for (size_t i = 0; status == DT_OK && i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (!command_knows_name(setting, NAME, sizeof NAME / sizeof *NAME)) continue;
        char *value = fitted->value[used++];
        dt_config_text(value, sizeof *fitted->value, &checkpoint.config, setting);
        fitted->given.setting[i] = value;
    }
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* Whether the run has begun already: its settings were fitted then. DT_ERR_ARG: the budget is none.
 */
static dt_status has_begun(bool *begun, fitted_settings *fitted, const train_options *options) {
    const dt_overrides *given = &fitted->given;
    dt_config config;
    dt_budget budget;
    int64_t *steps = NULL;
    size_t count = 0;
    *begun = options->resume != NULL;
    dt_config_defaults(&config);
    DT_TRY(dt_overrides_apply(&config, given));
    DT_TRY(dt_budget_parse(&budget, options->budget, &config));
    if (options->resume) return keep_fitted(fitted, options->resume);
    if (options->fresh || !dt_is_folder(config.out)) return DT_OK;
    DT_TRY(dt_run_checkpoints(&steps, &count, config.out));
    dt_memory_free(&steps);
    *begun = count > 0;
    return *begun ? keep_fitted(fitted, config.out) : DT_OK;
}

static dt_status ask_leave(const train_options *options) {
    if (options->yes) return DT_OK;
    DT_REQUIRE(isatty(STDIN_FILENO) && isatty(STDERR_FILENO), DT_ERR_ARG,
               "--budget %s: there is no terminal to ask whether to train with these options; give "
               "them, or --yes",
               options->budget);
    fprintf(stderr, "Train with these options? [y/N] ");
    fflush(stderr);
    char answer[16] = "";
    const bool yes =
        fgets(answer, sizeof answer, stdin) && tolower((unsigned char)answer[0]) == 'y';
    DT_REQUIRE(yes, DT_ERR_ARG, "nothing was trained");
    return DT_OK;
}

/* Rank 0. spent: seconds of the budget that are gone already. */
static dt_status fit(fitted_settings *fitted, const dt_trial *trial, const train_options *options,
                     double spent) {
    dt_budget budget;
    dt_cuts cuts;
    DT_TRY(dt_budget_parse(&budget, options->budget, &trial->config));
    if (budget.kind == DT_BUDGET_SECONDS) budget.amount = fmax(1, budget.amount - spent);
    dt_cuts_make(&cuts, trial, &budget);
    DT_REQUIRE(isfinite(dt_budget_used(&budget, &cuts.forecast)), DT_ERR_ARG,
               "--budget %s: what this run takes of it is not known; energy needs --watts where it "
               "cannot be measured, and money a price",
               options->budget);
    if (!cuts.needed) {
        dt_log_info("the run fits into --budget %s as it is", options->budget);
        return DT_OK;
    }
    const dt_plan_report report = {.trial = trial, .cuts = &cuts, .budget = options->budget};
    dt_plan_report_cuts(stderr, &report);
    DT_REQUIRE(cuts.fits, DT_ERR_ARG,
               "--budget %s: the run cannot be cut so far; give a larger budget, or smaller "
               "settings",
               options->budget);
    DT_TRY(ask_leave(options));
    size_t used = 0;
    for (dt_setting_change c = {0}; dt_config_next_change(&c, &trial->config, &cuts.config);) {
        DT_REQUIRE(used < DT_CUTS_MAX, DT_ERR_INTERNAL, "more changes than cuts");
        snprintf(fitted->value[used], sizeof *fitted->value, "%.60s", c.is);
        for (size_t i = 0; i < dt_setting_count(); i++) {
            if (dt_setting_at(i) == c.setting) fitted->given.setting[i] = fitted->value[used];
        }
        used++;
    }
    return DT_OK;
}

/* Measures, and puts what fits the budget on top of what is given. Collective; rank 0 has the
 * result. */
static dt_status fit_budget(fitted_settings *fitted, dt_session *s, const train_options *options) {
    const double start = dt_seconds_now();
    dt_trial trial;
    bool begun = false;
    dt_status status = DT_OK;
    if (dt_comm_rank(s->comm) == 0) status = has_begun(&begun, fitted, options);
    DT_TRY(dt_comm_agree(s->comm, status));
    DT_TRY(dt_comm_broadcast(s->comm, &begun, sizeof begun));
    if (begun) {
        dt_log_info("the run has begun: its settings were fitted to --budget %s then",
                    options->budget);
        return DT_OK;
    }
    DT_REQUIRE(
        !options->init_from, DT_ERR_ARG,
        "--budget %s: what a run takes that begins with the weights of another (--init-from) "
        "is not planned; leave one of them out, or give --steps or --time-limit",
        options->budget);
    DT_TRY(dt_trial_run(&trial, s, &fitted->given));
    if (s->device != s->host) s->device->op->close(&s->device); /* training opens its own */
    s->device = s->host;
    if (dt_comm_rank(s->comm) == 0) {
        const double spent = trial.start + dt_seconds_now() - start;
        status = fit(fitted, &trial, options, spent);
    }
    return dt_comm_agree(s->comm, status);
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const train_options *options = own;
    fitted_settings fitted = {.given = *given};
    following f = {.json = options->json};
    const dt_observer observer = {.open = follow,
                                  .step = follow_step,
                                  .validation = follow_validation,
                                  .sample = follow_sample,
                                  .back = follow_back,
                                  .close = end_following,
                                  .end = print_end,
                                  .context = &f};
    if (options->budget) DT_TRY(fit_budget(&fitted, s, options));
    const dt_start_request request = {.given = fitted.given,
                                      .resume = options->resume,
                                      .init_from = options->init_from,
                                      .fresh = options->fresh,
                                      .check_gradients = options->check_gradients};
    return dt_train(s, &request, &observer);
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {OPTION_PATH, offsetof(train_options, resume), "resume", "FILE",
     "go on from this checkpoint, rather than from the newest of --out"},
    {OPTION_PATH, offsetof(train_options, init_from), "init-from", "FILE",
     "begin a new run with the weights of this checkpoint"},
    {OPTION_FLAG, offsetof(train_options, fresh), "fresh", NULL,
     "start over; a folder that is there is renamed, never deleted"},
    {OPTION_FLAG, offsetof(train_options, check_gradients), "check-gradients", NULL,
     "compare the gradient of each parameter with finite differences, and end"},
    {OPTION_TEXT, offsetof(train_options, budget), "budget", "AMOUNT",
     "such as 24h, 2kWh or 500JPY: measure first, and train with what fits (see dtrain plan)"},
    {OPTION_FLAG, offsetof(train_options, yes), "yes", NULL,
     "do not ask before training with what fits the budget"},
    {OPTION_FLAG, offsetof(train_options, json), "json", NULL,
     "print one line of JSON at the end: the run, its model, and how far it got"},
};

const command TRAIN = {
    .name = "train",
    .usage = "",
    .help =
        "Train a small Transformer on arithmetic, or on texts of your own, alone or under mpirun, "
        "the same bits on any number of ranks."
        "\vWithout options it trains the default job in runs/default, and goes on where that "
        "folder stands. ~/ at the beginning of a file's or folder's name is the home folder, in "
        "files of settings, too.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .reads_config = true,
    .knows = command_knows_all,
    .own_size = sizeof(train_options),
    .needs_ranks = command_needs_ranks,
    .run = run,
};
