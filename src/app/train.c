/* The train command: what dtrain does when no other command is named. */
#include <stdio.h>

#include "command.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/data/source.h"
#include "dtrain/picture/events.h"
#include "dtrain/train/loop.h"
#include "dtrain/ui/progress.h"

typedef struct {
    const char *resume, *init_from;
    bool fresh, check_gradients, json;
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
    printf("}\n");
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const train_options *options = own;
    following f = {.json = options->json};
    const dt_observer observer = {.open = follow,
                                  .step = follow_step,
                                  .validation = follow_validation,
                                  .sample = follow_sample,
                                  .back = follow_back,
                                  .close = end_following,
                                  .end = print_end,
                                  .context = &f};
    const dt_start_request request = {.given = *given,
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
    {OPTION_FLAG, offsetof(train_options, json), "json", NULL,
     "print one line of JSON at the end: the run, its model, and how far it got"},
};

static bool knows(const dt_setting *setting) {
    (void)setting;
    return true;
}

static bool needs_ranks(const void *own) {
    (void)own;
    return true;
}

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
    .knows = knows,
    .own_size = sizeof(train_options),
    .needs_ranks = needs_ranks,
    .run = run,
};
