/* The program: opens what a command needs, runs it, says what went wrong, and alone decides how the
 * process ends. */
#include <signal.h>
#include <stdio.h>

#include "dtrain/core/log.h"
#include "dtrain/run/launcher.h"
#include "options.h"

/* The level given on the command line counts from the first message on; a wrong one is reported
 * later, with the other settings. */
static void open_log(const dt_overrides *given, int rank) {
    dt_config config;
    dt_config_defaults(&config);
    const dt_setting *setting = dt_setting_find("log-level");
    for (size_t i = 0; given->setting && i < dt_setting_count(); i++) {
        if (dt_setting_at(i) == setting && given->setting[i] &&
            dt_config_set(&config, setting, given->setting[i], "--log-level") != DT_OK) {
            dt_error_clear();
        }
    }
    dt_log_open((dt_log_level)config.log_level, rank);
}

static void report(dt_status status) {
    if (status == DT_OK || status == DT_ERR_STOPPED || !*dt_error_text()) return;
    dt_log_debug("raised at %s", dt_error_location());
    dt_log_error("%s", dt_error_text());
}

static bool needs_ranks(const command_line *line) {
    const command *command = line->command;
    return line->asks == ASKS_NOTHING && line->own && command->needs_ranks &&
           command->needs_ranks(line->own);
}

static dt_status run(dt_session *s, const command_line *line) {
    if (line->asks != ASKS_NOTHING) return options_help(line);
    DT_TRY(dt_session_open(s));
    return line->command->run(s, &line->given, line->own);
}

/* How it ends where messages between ranks failed: perhaps no other rank knows of it. */
static void abort_job(const dt_session *s, int rank, dt_status status) {
    if (rank > 0) {
        fprintf(stderr, "dtrain: error: rank %d on %s: %s\n", rank,
                dt_comm_host(s->comm, (size_t)rank), dt_error_text());
    }
    dt_comm_abort(s->comm, dt_status_exit_code(status));
}

int main(int argc, char **argv) {
    dt_session s = {0};
    command_line line;
    int rank = 0;
    /* A file that may not grow (ulimit -f) is an error like a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    const dt_status parsed = options_parse(&line, argc, argv);
    /* What needs no ranks is done once, however many processes mpirun has started. */
    if (!needs_ranks(&line) && dt_launcher_repeats(argv[0])) {
        options_destroy(&line);
        return dt_status_exit_code(DT_OK);
    }
    dt_status status = needs_ranks(&line) ? dt_comm_open(&s.comm, &argc, &argv) : DT_OK;
    if (s.comm) rank = (int)dt_comm_rank(s.comm);
    open_log(&line.given, rank);
    if (status != DT_OK) {
        report(status);
    } else if (parsed != DT_OK) {
        status = parsed;
        if (rank == 0) options_explain(&line);
    } else {
        status = run(&s, &line);
        report(status);
    }
    options_destroy(&line);
    const dt_status command = status;
    dt_session_close(&s);
    if (s.comm && command == DT_ERR_COMM) abort_job(&s, rank, command);
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
