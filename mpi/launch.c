/* Lets a process that nothing has launched start MPI alone. */
#include "launch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value;
}

/* Set by the launchers of Open MPI, MPICH, MVAPICH, PMIx, Cray and Flux. */
static const char *const RANK[] = {"OMPI_COMM_WORLD_SIZE",
                                   "PMIX_RANK",
                                   "PMIX_NAMESPACE",
                                   "PMI_RANK",
                                   "PMI_SIZE",
                                   "PMI_FD",
                                   "PMI_ID",
                                   "MV2_COMM_WORLD_RANK",
                                   "MPI_LOCALRANKID",
                                   "ALPS_APP_PE",
                                   "PALS_RANKID",
                                   "FLUX_TASK_RANK"};

/* Whether a launcher (mpirun, srun, …) has started this process as one of its ranks, by the
 * variables of the environment. A shell under `srun --pty` is not a rank. */
static bool is_launched(void) {
    if (is_set("OMPI_COMM_WORLD_SIZE")) return true;
    /* In a shell under srun --pty: Slurm's variables are the shell's. */
    if (is_set("SLURM_PTY_PORT")) return false;
    for (size_t i = 0; i < sizeof RANK / sizeof *RANK; i++) {
        if (is_set(RANK[i])) return true;
    }
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    return is_set("SLURM_STEP_ID") && tasks && strtol(tasks, NULL, 10) > 1;
}

void dt_launch_prepare(dt_launch *launch) {
    *launch = (dt_launch){0};
    /* hwloc's OpenCL plugin would load a compiler into every rank, and takes the signal USR1. */
    setenv("HWLOC_COMPONENTS", "-opencl", 0);
    if (is_launched()) return;
    static const char *const ALONE[][2] = {
        {"OMPI_MCA_ess_singleton_isolated", "1"},
        {"OMPI_MCA_orte_create_session_dirs", "0"},
        {"OMPI_MCA_pml", "ob1"}, /* no network is looked for */
        {"OMPI_MCA_btl", "self"},
    };
    for (size_t i = 0; i < sizeof ALONE / sizeof *ALONE; i++) setenv(ALONE[i][0], ALONE[i][1], 0);
    /* Inside a step of Slurm Open MPI would take this process for one that srun has launched. */
    const char *nodes = getenv("SLURM_NODELIST");
    if (!nodes || !is_set("SLURM_STEP_ID")) return;
    launch->nodes = strdup(nodes);
    if (launch->nodes) unsetenv("SLURM_NODELIST");
}

void dt_launch_restore(dt_launch *launch) {
    if (launch->nodes) setenv("SLURM_NODELIST", launch->nodes, 1);
    free(launch->nodes);
    launch->nodes = NULL;
}
