/* Runs another program and keeps its messages. */
#define _GNU_SOURCE /* pipe2 */
#include "dtrain/file/child.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Add to the end; if it is too long, the front is dropped, since programs name the error last. */
static void keep_end(char *text, size_t size, size_t *length, const char *more, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char c = isspace((unsigned char)more[i]) ? ' ' : more[i];
        if (c == ' ' && (*length == 0 || text[*length - 1] == ' ')) continue;
        if (*length == size - 1) {
            memmove(text, text + size / 2, *length - size / 2);
            *length -= size / 2;
        }
        text[(*length)++] = c == '\0' ? '?' : c;
    }
}

static void listen_to(dt_child *child, int pipe_end) {
    char bytes[1024];
    size_t length = 0;
    for (;;) {
        const ssize_t count = read(pipe_end, bytes, sizeof bytes);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        keep_end(child->said, sizeof child->said, &length, bytes, (size_t)count);
    }
    while (length > 0 && child->said[length - 1] == ' ') length--;
    child->said[length] = '\0';
}

static int start(pid_t *process, const char *const argument[], int input, int output, int error) {
    posix_spawn_file_actions_t files;
    int failed = posix_spawn_file_actions_init(&files);
    if (failed) return failed;
    failed = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&files, error, STDERR_FILENO);
    /* The arguments are not changed: POSIX leaves out const only because old programs do. */
    if (!failed) {
        char *const *arguments;
        memcpy(&arguments, &argument, sizeof arguments);
        failed = posix_spawnp(process, argument[0], &files, NULL, arguments, environ);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

int dt_child_run(dt_child *child, const char *const argument[], int input, int output) {
    *child = (dt_child){.exit_code = -1};
    int ends[2], status;
    pid_t process;
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    const int failed = start(&process, argument, input, output, ends[1]);
    close(ends[1]);
    if (!failed) listen_to(child, ends[0]);
    close(ends[0]);
    if (failed) return failed;
    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR) return errno;
    }
    if (WIFEXITED(status)) child->exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) child->signal = WTERMSIG(status);
    return 0;
}
