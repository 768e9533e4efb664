/* Finds the launcher of this process from /proc and the environment. */
#include "dtrain/run/launcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first line of a file under /proc. */
static bool read_word(char *word, size_t size, const char *path) {
    FILE *in = fopen(path, "re");
    if (!in) return false;
    const bool read = fgets(word, (int)size, in) != NULL;
    fclose(in);
    word[strcspn(word, "\n")] = '\0';
    return read;
}

bool dt_launcher_is_parent(const char *const *name, size_t count) {
    char path[64], parent[32];
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)getppid());
    if (!read_word(parent, sizeof parent, path)) return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parent, name[i]) == 0) return true;
    }
    return false;
}

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool dt_launcher_repeats(const char *program) {
    /* Set by Open MPI's mpirun; if it runs a script, the script is the command. */
    const char *command = getenv("OMPI_COMMAND"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    return command && rank && strcmp(base_of(command), base_of(program)) == 0 &&
           strtol(rank, NULL, 10) > 0;
}
