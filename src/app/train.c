/* The train command: what dtrain does when no other command is named. */
#include "app.h"
#include "dtrain/train/loop.h"
#include "dtrain/ui/progress.h"

static void open_progress(void *p, const dt_config *config) { dt_progress_open(p, config); }

static void show_step(void *p, const dt_train_row *row, const dt_step_times *times) {
    dt_progress_step(p, row, times);
}

static void show_validation(void *p, const dt_validation_row *row, bool best) {
    dt_progress_validation(p, row, best);
}

static void close_progress(void *p) { dt_progress_close(p); }

dt_status command_train(dt_session *s, const app_options *options) {
    dt_progress progress = {0};
    const dt_observer observer = {.open = open_progress,
                                  .step = show_step,
                                  .validation = show_validation,
                                  .close = close_progress,
                                  .context = &progress};
    const dt_start_request request = {.given = options->given,
                                      .resume = options->resume,
                                      .init_from = options->init_from,
                                      .fresh = options->fresh,
                                      .check_gradients = options->check_gradients};
    return dt_train(s, &request, &observer);
}
