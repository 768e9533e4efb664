/* The program: opens what a command needs, runs it, says what went wrong, and alone decides how the
 * process ends. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "app.h"

static dt_status run(dt_session *s, const app_options *options) {
    switch (options->command) {
    case COMMAND_TRAIN: return command_train(s, options);
    case COMMAND_EVAL: return command_eval(s, options);
    case COMMAND_ASK: return command_ask(s, options);
    case COMMAND_INFO: return command_info(s, options);
    case COMMAND_DATA: return command_data(s, options);
    case COMMAND_PLOT: return command_plot(s, options);
    case COMMAND_VERIFY: return command_verify(s, options);
    case COMMANDS: break;
    }
    return dt_error_raise(DT_ERR_INTERNAL, __FILE__, __LINE__, "command %d is unknown",
                          (int)options->command);
}

/* The level given on the command line counts from the first message on; a wrong one is reported
 * later, with the other settings. */
static void open_log(const app_options *options, int rank) {
    dt_config config;
    dt_config_defaults(&config);
    const dt_setting *setting = dt_setting_find("log-level");
    for (size_t i = 0; options->given.setting && i < dt_setting_count(); i++) {
        if (dt_setting_at(i) == setting && options->given.setting[i] &&
            dt_config_set(&config, setting, options->given.setting[i], "--log-level") != DT_OK) {
            dt_error_clear();
        }
    }
    dt_log_open((dt_log_level)config.log_level, rank);
}

/* argp itself prints what is wrong with the command line: once, by rank 0, is enough. */
static int fall_silent(void) {
    const int kept = dup(STDERR_FILENO);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (kept >= 0 && nowhere >= 0) dup2(nowhere, STDERR_FILENO);
    if (nowhere >= 0) close(nowhere);
    return kept;
}

static void speak_again(int kept) {
    if (kept < 0) return;
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
}

static void report(dt_status status) {
    if (status == DT_OK || status == DT_ERR_STOPPED || !*dt_error_text()) return;
    dt_log_debug("raised at %s", dt_error_location());
    dt_log_error("%s", dt_error_text());
}

int main(int argc, char **argv) {
    dt_session s = {0};
    app_options options = {0};
    dt_status status = DT_OK;
    int rank = 0;
    signal(SIGXFSZ,
           SIG_IGN); /* a file that may not grow (ulimit -f) is an error like a full disk */
    if (options_need_ranks(argc, argv)) {
        status = dt_comm_open(&s.comm, &argc, &argv);
        if (status == DT_OK) rank = (int)dt_comm_rank(s.comm);
    }
    bool told = false;
    if (status == DT_OK) {
        const int speaking = rank > 0 ? fall_silent() : -1;
        status = options_parse(&options, argc, argv);
        speak_again(speaking);
        told = status != DT_OK;
    }
    open_log(&options, rank);
    if (status == DT_OK) status = dt_session_open(&s);
    if (status == DT_OK) status = run(&s, &options);
    if (!told) report(status);
    options_destroy(&options);
    const dt_status command = status;
    dt_session_close(&s);
    if (s.comm && command == DT_ERR_COMM) {
        /* Perhaps no other rank knows of it. */
        if (rank > 0) {
            fprintf(stderr, "dtrain: error: rank %d on %s: %s\n", rank,
                    dt_comm_host(s.comm, (size_t)rank), dt_error_text());
        }
        dt_comm_abort(s.comm, dt_status_exit_code(command));
    }
    if (s.comm) {
        const dt_status closed = dt_comm_close(&s.comm);
        if (closed != DT_OK) report(closed);
        if (command == DT_OK && closed != DT_OK) status = closed;
    }
    if (fflush(stdout) != 0 && status == DT_OK) {
        dt_log_error("standard output cannot be written");
        status = DT_ERR_IO;
    }
    return dt_status_exit_code(status);
}
