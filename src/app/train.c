/* The train command: what dtrain does when no other command is named. */
#include <stdio.h>

#include "command.h"
#include "dtrain/core/json.h"
#include "dtrain/train/loop.h"
#include "dtrain/ui/progress.h"

typedef struct {
    const char *resume, *init_from;
    bool fresh, check_gradients, json;
} train_options;

typedef struct {
    dt_progress progress;
    bool json;
} following;

static void open_progress(void *context, const dt_config *config) {
    following *f = context;
    dt_progress_open(&f->progress, config);
}

static void show_step(void *context, const dt_train_row *row, const dt_step_times *times) {
    following *f = context;
    dt_progress_step(&f->progress, row, times);
}

static void show_validation(void *context, const dt_validation_row *row, bool best) {
    following *f = context;
    dt_progress_validation(&f->progress, row, best);
}

static void show_sample(void *context, int64_t step, const char *text) {
    following *f = context;
    dt_progress_sample(&f->progress, step, text);
}

static void close_progress(void *context) {
    following *f = context;
    dt_progress_close(&f->progress);
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
    const dt_observer observer = {.open = open_progress,
                                  .step = show_step,
                                  .validation = show_validation,
                                  .sample = show_sample,
                                  .close = close_progress,
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
