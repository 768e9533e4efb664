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

long dt_launcher_rank(void) {
    static const char *const NAME[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                       "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++) {
        const char *text = getenv(NAME[i]);
        if (text && *text) return strtol(text, NULL, 10);
    }
    return -1;
}

bool dt_launcher_repeats(const char *program) {
    static const char *const LAUNCHERS[] = {"slurmstepd", "hydra_pmi_proxy", "orted",
                                            "prted",      "mpirun",          "prterun"};
    /* Set by Open MPI's mpirun; if a script was launched, the script is the command. */
    const char *command = getenv("OMPI_COMMAND");
    const bool directly =
        command ? strcmp(base_of(command), base_of(program)) == 0
                : dt_launcher_is_parent(LAUNCHERS, sizeof LAUNCHERS / sizeof *LAUNCHERS);
    return directly && dt_launcher_rank() > 0;
}
