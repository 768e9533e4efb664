/* The energy of this process's job, as Slurm counts it. */
#ifndef DTRAIN_RUN_SLURM_H
#define DTRAIN_RUN_SLURM_H

#include <stdbool.h>
#include <stdio.h>

/* Slurm is asked by a child process that is not waited for. */
typedef struct {
    char command[200]; /* "": Slurm does not measure this job */
    FILE *child;       /* that is being asked; NULL: none */
    char answer[4096];
    size_t length; /* of the answer so far */
    double joules; /* since the job's steps began; NaN: not known */
    double first;  /* when it was first known */
    double ask_at; /* dt_seconds_now() */
} dt_slurm_energy;

/* Find out whether Slurm measures the energy of this job; waits for its answer. */
void dt_slurm_energy_open(dt_slurm_energy *slurm);

/* Take an answer that has come, and ask again when it is time.
 *
 * @param wait  seconds to wait for an answer */
void dt_slurm_energy_look(dt_slurm_energy *slurm, double wait);

/* Since the first answer; NaN: not known. */
double dt_slurm_energy_joules(const dt_slurm_energy *slurm);
void dt_slurm_energy_close(dt_slurm_energy *slurm);

#endif
