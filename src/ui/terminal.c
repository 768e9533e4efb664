/* Finds the terminal that standard error is shown on, also under mpirun. */
#include "dtrain/ui/terminal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "dtrain/run/launcher.h"

size_t dt_terminal_columns(int file) {
    struct winsize size;
    return file >= 0 && ioctl(file, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* mpirun gives its ranks a pipe for standard error even where its own is a terminal, and passes
   every byte on at once. Only launchers of these names do. */
static int launcher_terminal(void) {
    static const char *const LAUNCHERS[] = {"mpirun", "mpiexec", "orterun", "prterun"};
    char path[64], terminal[64];
    if (!dt_launcher_is_parent(LAUNCHERS, sizeof LAUNCHERS / sizeof *LAUNCHERS)) return -1;
    snprintf(path, sizeof path, "/proc/%ld/fd/2", (long)getppid());
    const ssize_t length = readlink(path, terminal, sizeof terminal - 1);
    if (length <= 0) return -1;
    terminal[length] = '\0';
    /* Open terminals only: opening a pipe or another device can have effects. */
    if (strncmp(terminal, "/dev/pts/", 9) != 0 && strncmp(terminal, "/dev/tty", 8) != 0) return -1;
    const int file = open(terminal, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (file >= 0 && isatty(file)) return file;
    if (file >= 0) close(file);
    return -1;
}

bool dt_terminal_open(int *file) {
    const char *kind = getenv("TERM");
    *file = -1;
    if (!kind || !*kind || strcmp(kind, "dumb") == 0) return false;
    *file = isatty(STDERR_FILENO) ? STDERR_FILENO : launcher_terminal();
    return *file >= 0;
}

void dt_terminal_close(int *file) {
    if (*file > STDERR_FILENO) close(*file);
    *file = -1;
}
