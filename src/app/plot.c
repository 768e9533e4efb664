/* The plot command: the curves of a run as a picture, or in the terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "dtrain/plot.h"
#include "terminal.h"

/* Of a run, the newest checkpoint that can be read, not the best: it knows all that was measured.
   While the run goes on, one may vanish between looking and reading. */
static dt_status read_newest(dt_checkpoint *checkpoint, const char *folder, bool *found) {
    int64_t *steps = NULL;
    size_t count = 0;
    char path[DT_PATH_MAX];
    *found = false;
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    dt_status status = DT_OK;
    for (size_t i = 0; i < count && !*found; i++) {
        DT_TRY_DONE(dt_run_checkpoint_path(path, sizeof path, folder, steps[i]));
        status = dt_checkpoint_read(checkpoint, path, DT_READ_SUMMARY);
        *found = status == DT_OK;
        if (*found) break;
        dt_checkpoint_destroy(checkpoint);
        if (status != DT_ERR_DATA && status != DT_ERR_NO_INPUT) goto done;
        dt_log_warn("%s; trying the one before it", dt_error_text());
        status = DT_OK;
    }
done:
    dt_memory_free(&steps);
    return status;
}

static dt_status read_target(dt_checkpoint *checkpoint, const char *target, bool is_folder) {
    char path[DT_PATH_MAX];
    bool found = false;
    if (is_folder) DT_TRY(read_newest(checkpoint, target, &found));
    if (found) return DT_OK;
    DT_TRY(dt_run_resolve(path, sizeof path, target));
    return dt_checkpoint_read(checkpoint, path, DT_READ_SUMMARY);
}

/* RUN/plot.svg, or FILE.svg beside FILE.h5. */
static dt_status default_output(char *path, size_t size, const char *target, bool is_folder) {
    size_t length = strlen(target);
    if (is_folder) {
        while (length > 1 && target[length - 1] == '/') length--;
    } else if (length > 3 && strcmp(target + length - 3, ".h5") == 0) {
        length -= 3;
    }
    const int written =
        snprintf(path, size, "%.*s%s", (int)length, target, is_folder ? "/plot.svg" : ".svg");
    DT_REQUIRE(written > 0 && (size_t)written < size, DT_ERR_ARG,
               "the name %.80s... is too long; give another with --output FILE.svg", target);
    return DT_OK;
}

/* As a shell does: COLUMNS counts, then the window. */
static size_t output_columns(void) {
    enum { USUAL = 80 };
    const char *text = getenv("COLUMNS");
    const long given = text ? strtol(text, NULL, 10) : 0;
    if (given > 0) return (size_t)given;
    const size_t columns = terminal_columns(STDOUT_FILENO);
    return columns ? columns : USUAL;
}

static dt_status write_picture(const dt_plot *plot, const app_options *options, bool is_folder) {
    char beside[DT_PATH_MAX];
    const char *path = options->output;
    if (!path) {
        DT_TRY(default_output(beside, sizeof beside, options->target, is_folder));
        path = beside;
    }
    DT_TRY(dt_plot_write(path, plot));
    printf("%s\n", path);
    return DT_OK;
}

dt_status command_plot(session *s, const app_options *options) {
    (void)s;
    struct stat info;
    dt_picture picture;
    char title[DT_PATH_MAX + 80];
    dt_checkpoint c = {0};
    dt_status status;
    DT_REQUIRE(!options->ascii || !options->output, DT_ERR_ARG,
               "--ascii draws in the terminal and --output into a file; leave one out");
    if (options->output) DT_TRY(dt_plot_picture(&picture, options->output));
    const bool is_folder = stat(options->target, &info) == 0 && S_ISDIR(info.st_mode);
    DT_TRY_DONE(read_target(&c, options->target, is_folder));
    snprintf(title, sizeof title, "%s: step %lld of %lld", options->target, (long long)c.state.step,
             (long long)c.config.steps);
    const dt_plot plot = {title, c.metrics, c.state.best_step};
    status = options->ascii ? dt_plot_print(stdout, &plot, output_columns())
                            : write_picture(&plot, options, is_folder);
done:
    dt_checkpoint_destroy(&c);
    return status;
}
