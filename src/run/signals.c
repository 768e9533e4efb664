/* Signal handlers that only set flags and ring a bell. */
#define _GNU_SOURCE /* pipe2 */
#include "dtrain/run/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_number, interrupts, checkpoints, continues, stop_ms;

/* A pipe that wakes the thread which waits: its ends to read from and to write to. Never closed: a
 * handler may still run in another thread at the end. Unlike a semaphore, poll waits by the clock
 * that nobody sets. */
static int bell[2] = {-1, -1};

/* A clock that wraps around after about 12 days. */
static sig_atomic_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (sig_atomic_t)((now.tv_sec * 1000 + now.tv_nsec / 1000000) & 0x3fffffff);
}

/* A full pipe rings already. */
static void ring(void) {
    const ssize_t written = write(bell[1], "", 1);
    (void)written;
}

static void on_signal(int number) {
    const int error = errno;
    if (number == SIGUSR2) {
        checkpoints = checkpoints + 1;
    } else if (number == SIGCONT) {
        continues = continues + 1;
    } else {
        if (number == SIGINT) {
            interrupts = interrupts + 1;
            if (interrupts > 1) _exit(128 + SIGINT);
        }
        if (!stop_number) stop_ms = milliseconds();
        stop_number = number;
    }
    ring();
    errno = error;
}

void dt_signals_catch(void) {
    static const int CAUGHT[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGCONT, SIGXCPU};
    static bool begun, nohup;
    if (!begun) {
        struct sigaction before;
        sigaction(SIGHUP, NULL, &before);
        nohup = before.sa_handler == SIG_IGN;
        if (pipe2(bell, O_CLOEXEC | O_NONBLOCK) != 0) bell[0] = bell[1] = -1;
        begun = true;
    }
    for (size_t i = 0; i < sizeof CAUGHT / sizeof *CAUGHT; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        if (CAUGHT[i] == SIGHUP && nohup) action.sa_handler = SIG_IGN;
        sigaction(CAUGHT[i], &action, NULL);
    }
    /* A run does not end because nobody reads its log any more. */
    signal(SIGPIPE, SIG_IGN);
}

void dt_signals_raise(int number) { on_signal(number); }
int dt_signals_stop(void) { return stop_number; }
double dt_signals_stop_age(void) {
    return stop_number ? ((milliseconds() - stop_ms) & 0x3fffffff) / 1000.0 : 0;
}
int dt_signals_checkpoints(void) { return checkpoints; }
int dt_signals_continues(void) { return continues; }

const char *dt_signals_name(int number) {
    switch (number) {
    case SIGINT: return "signal INT";
    case SIGTERM: return "signal TERM";
    case SIGUSR1: return "signal USR1";
    case SIGHUP: return "signal HUP";
    case SIGXCPU: return "signal XCPU";
    case SIGPIPE: return "the end of the program that reads the output";
    default: return "signal to another rank";
    }
}

void dt_signals_wait(double seconds) {
    static const double LOOK = 0.1; /* where no pipe could be made */
    struct pollfd reader = {.fd = bell[0], .events = POLLIN};
    char taken[64];
    poll(&reader, 1, (int)(1e3 * (bell[0] >= 0 || seconds < LOOK ? seconds : LOOK)));
    while (bell[0] >= 0 && read(bell[0], taken, sizeof taken) > 0) {
    }
}

void dt_signals_wake(void) { ring(); }
