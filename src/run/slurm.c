/* Asks Slurm for the energy of this job. */
#include "slurm.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/clock.h"

static const double EVERY = 60, FIRST_WAIT = 20; /* seconds */

/* Accepts decimal digits only, since the text becomes part of a command. */
static bool is_number(const char *text) {
    return text && *text && strlen(text) < 20 && !text[strspn(text, "0123456789")];
}

/* Whether "AcctGatherEnergyType = acct_gather_energy/rapl" names a way to measure. */
static bool slurm_measures(void) {
    char line[512];
    bool measures = false;
    FILE *config = popen("timeout 20 scontrol show config 2>/dev/null", "r");
    if (!config) return false;
    while (fgets(line, sizeof line, config)) {
        const char *value = strchr(line, '=');
        if (strncmp(line, "AcctGatherEnergyType", strlen("AcctGatherEnergyType")) == 0 && value)
            measures = !strstr(value, "none") && !strstr(value, "(null)");
    }
    pclose(config);
    return measures;
}

/* "12.batch|1234": the sum of the lines. Slurm has a number near 2^32 or 2^64 for "not known", and
 * 0 before the first measurement. The step "extern" counts its node once more. */
static double read_answer(char *answer) {
    double sum = 0;
    char *rest = answer;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        const char *value = strchr(line, '|');
        if (!value || strstr(line, ".extern|")) continue;
        const double joules = strtod(value + 1, NULL);
        if (joules > 0 && joules < 1e18 && fabs(joules - 4294967294.0) > 1) sum += joules;
    }
    return sum > 0 ? sum : NAN;
}

static void ask(dt_slurm_energy *slurm) {
    slurm->ask_at = dt_seconds_now() + EVERY;
    slurm->length = 0;
    slurm->child = popen(slurm->command, "r");
    if (!slurm->child) return;
    const int file = fileno(slurm->child);
    fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
}

/* Whether the answer is complete; *again: more of it may come. */
static void take(dt_slurm_energy *slurm, bool *again) {
    const size_t room = sizeof slurm->answer - 1 - slurm->length;
    const ssize_t more = read(fileno(slurm->child), slurm->answer + slurm->length, room);
    *again = more > 0 || (more < 0 && (errno == EAGAIN || errno == EINTR));
    if (more > 0) slurm->length += (size_t)more;
    if (*again && room > 0) return;
    *again = false;
    pclose(slurm->child);
    slurm->child = NULL;
    slurm->answer[slurm->length] = '\0';
    const double joules = read_answer(slurm->answer);
    if (isfinite(joules)) slurm->joules = joules;
    if (!isfinite(slurm->first)) slurm->first = joules;
}

void dt_slurm_energy_look(dt_slurm_energy *slurm, double wait) {
    if (!slurm->command[0]) return;
    const double until = dt_seconds_now() + wait;
    if (!slurm->child && (wait > 0 || dt_seconds_now() >= slurm->ask_at)) ask(slurm);
    bool again = slurm->child != NULL;
    while (again) {
        struct pollfd file = {.fd = fileno(slurm->child), .events = POLLIN};
        const int left = (int)(1000 * fmax(0, until - dt_seconds_now()));
        if (poll(&file, 1, left) <= 0) return;
        take(slurm, &again);
    }
}

void dt_slurm_energy_open(dt_slurm_energy *slurm) {
    const char *job = getenv("SLURM_JOB_ID"), *step = getenv("SLURM_STEP_ID");
    *slurm = (dt_slurm_energy){.joules = NAN, .first = NAN};
    if (!is_number(job) || !slurm_measures()) return;
    /* srun has made a step of these ranks; those that mpirun starts are spread over several. */
    const bool one = is_number(step);
    snprintf(slurm->command, sizeof slurm->command,
             "timeout 20 sstat -n -P %s-j %s%s%s -o JobID,ConsumedEnergyRaw 2>/dev/null",
             one ? "" : "-a ", job, one ? "." : "", one ? step : "");
    dt_slurm_energy_look(slurm, FIRST_WAIT);
}

double dt_slurm_energy_joules(const dt_slurm_energy *slurm) { return slurm->joules - slurm->first; }

void dt_slurm_energy_close(dt_slurm_energy *slurm) {
    if (slurm->child) pclose(slurm->child);
    slurm->child = NULL;
}
