/* Ends a start or an end that hangs, with a timer whose signal interrupts any code. */
#include "dtrain/run/startup.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "dtrain/run/launcher.h"

/* A phase is counted in ticks: while a process is suspended, only one tick arrives. */
enum { TICKS = 16 };

/* Other ranks wait longer than rank 0, so that only rank 0 prints the message. */
enum { LATER_TICKS = 2 };

static const char *const DOES[DT_STARTUP_PHASES] = {
    [DT_STARTUP_MPI] = "starting MPI",
    [DT_STARTUP_KERNELS] = "testing the processor's kernels",
    [DT_STARTUP_FOLDER] = "looking into the run's folder and reading its checkpoint",
    [DT_STARTUP_CLOSE] = "leaving the job",
};

/* For the handler of the signal. */
static volatile sig_atomic_t ticks, last_tick;
static char sentence[512];
static double limit;

static void tick(int number) {
    (void)number;
    if (++ticks < last_tick) return;
    const ssize_t written = write(STDERR_FILENO, sentence, strlen(sentence));
    (void)written;
    _exit(EX_OSERR);
}

static void set_timer(double seconds) {
    const double whole = floor(seconds);
    const struct timeval pause = {(time_t)whole, (suseconds_t)(1e6 * (seconds - whole))};
    const struct itimerval timer = {.it_interval = pause, .it_value = pause};
    setitimer(ITIMER_REAL, &timer, NULL);
}

void dt_startup_limit(double seconds) {
    limit = seconds > 0 ? fmax(seconds, DT_STARTUP_SECONDS_MIN) : 0;
}

void dt_startup_enter(dt_startup_phase phase) {
    set_timer(0);
    if (limit <= 0) return;
    char host[64] = "this host", who[96];
    const long rank = dt_launcher_rank(); /* MPI may not have started */
    if (gethostname(host, sizeof host) != 0) snprintf(host, sizeof host, "this host");
    host[sizeof host - 1] = '\0';
    snprintf(who, sizeof who, "rank %ld on %s", rank, host);
    snprintf(sentence, sizeof sentence,
             "dtrain: error: %s has made no progress for %.0f s while %s: the job is ended "
             "(--stall-timeout); %s\n",
             rank >= 0 ? who : "the start", limit, DOES[phase],
             rank >= 0 ? "look for a rank or host that does not answer, or for too little memory"
                       : "is there too little memory, or a disk that does not answer?");
    ticks = 0;
    last_tick = TICKS + (rank > 0 ? LATER_TICKS : 0);
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    set_timer(limit / TICKS);
}

void dt_startup_end(void) {
    set_timer(0);
    signal(SIGALRM, SIG_DFL);
}
