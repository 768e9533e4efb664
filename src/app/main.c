/* The program: opens what a command needs, runs it, says what went wrong, and alone decides how the
 * process ends. */
#include <signal.h>
#include <stdio.h>

#include "dtrain/core/log.h"
#include "dtrain/run/launcher.h"
#include "dtrain/run/startup.h"
#include "options.h"

/* Settings of the command line that count before all others are known; wrong ones are reported
 * later.
 */
static dt_config early_settings(const dt_overrides *given) {
    static const char *const NAME[] = {"log-level", "stall-timeout"};
    dt_config config;
    dt_config_defaults(&config);
    for (size_t i = 0; given->setting && i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        for (size_t k = 0; k < sizeof NAME / sizeof *NAME; k++) {
            if (!given->setting[i] || setting != dt_setting_find(NAME[k])) continue;
            if (dt_config_set(&config, setting, given->setting[i], NAME[k]) != DT_OK) {
                dt_error_clear();
            }
        }
    }
    return config;
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
    dt_startup_enter(DT_STARTUP_KERNELS);
    const dt_status opened = dt_session_open(s);
    dt_startup_end();
    DT_TRY(opened);
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
    const dt_config early = early_settings(&line.given);
    dt_startup_limit(early.stall_timeout);
    dt_status status = DT_OK;
    if (needs_ranks(&line)) {
        dt_startup_enter(DT_STARTUP_MPI);
        status = dt_comm_open(&s.comm, &argc, &argv);
        dt_startup_end();
    }
    if (s.comm) rank = (int)dt_comm_rank(s.comm);
    dt_log_open((dt_log_level)early.log_level, rank);
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
        dt_startup_enter(DT_STARTUP_CLOSE);
        const dt_status closed = dt_comm_close(&s.comm);
        dt_startup_end();
        if (closed != DT_OK) report(closed);
        if (command == DT_OK && closed != DT_OK) status = closed;
    }
    /* What an earlier flush could not write is gone, and the last one knows nothing of it. */
    const bool lost = ferror(stdout) != 0;
    if ((fflush(stdout) != 0 || lost) && status == DT_OK) {
        dt_log_error("standard output cannot be written");
        status = DT_ERR_IO;
    }
    return dt_status_exit_code(status);
}
