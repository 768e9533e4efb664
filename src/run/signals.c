/* Signal handlers that only set flags and post a semaphore. */
#include "dtrain/run/signals.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_number, interrupts, checkpoints, continues, stop_ms;

/* Never destroyed: a handler may still run in another thread at the end. */
static sem_t wake;

/* A clock that wraps around after about 12 days. */
static sig_atomic_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (sig_atomic_t)((now.tv_sec * 1000 + now.tv_nsec / 1000000) & 0x3fffffff);
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
    sem_post(&wake);
    errno = error;
}

void dt_signals_catch(void) {
    static const int CAUGHT[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGCONT};
    static bool begun, nohup;
    if (!begun) {
        struct sigaction before;
        sigaction(SIGHUP, NULL, &before);
        nohup = before.sa_handler == SIG_IGN;
        sem_init(&wake, 0, 0);
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
    case SIGPIPE: return "the end of the program that reads the output";
    default: return "signal to another rank";
    }
}

void dt_signals_wait(double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (sem_timedwait(&wake, &until) != 0 && errno == EINTR) {
    }
}

void dt_signals_wake(void) { sem_post(&wake); }
