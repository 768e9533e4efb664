/* Signal handlers do nothing but set flags and post a semaphore. */
#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t stop_number, interrupts, checkpoints;
static sem_t *volatile waker;

static void on_signal(int number) {
    if (number == SIGUSR2) {
        checkpoints = checkpoints + 1;
    } else {
        if (number == SIGINT) {
            interrupts = interrupts + 1;
            if (interrupts > 1) _exit(128 + SIGINT);
        }
        stop_number = number;
    }
    if (waker) sem_post(waker);
}

void signals_catch(sem_t *wake) {
    static const int CAUGHT[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    waker = wake;
    for (size_t i = 0; i < sizeof CAUGHT / sizeof *CAUGHT; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigaction(CAUGHT[i], &action, NULL);
    }
}

int signals_stop(void) { return stop_number; }
int signals_checkpoints(void) { return checkpoints; }

const char *signals_name(int number) {
    switch (number) {
    case SIGINT: return "signal INT";
    case SIGTERM: return "signal TERM";
    case SIGUSR1: return "signal USR1";
    default: return "signal to another rank";
    }
}
