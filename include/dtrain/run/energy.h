/* The energy that the ranks of a start use: from counters of the processors, from Slurm, or from
 * processor time. */
#ifndef DTRAIN_ENERGY_H
#define DTRAIN_ENERGY_H

#include "dtrain/core/metrics.h"
#include "dtrain/mpi/comm.h"

typedef struct dt_energy dt_energy;

/* What one rank, or all ranks together, have used since the start. Doubles, for sums over ranks. */
typedef struct {
    double processor_seconds;
    double joules; /* by counters: the first rank of a node has those of all of its ranks */
    double lost;   /* number of nodes whose counters can no longer be read */
} dt_energy_part;

/* Where this machine shows its counters: DTRAIN_POWERCAP if it is set, for machines that show them
 * elsewhere. */
const char *dt_energy_folder(void);

/**
 * Find out what tells the energy: counters, if all nodes can read theirs; or Slurm, if it measures
 * the job; or `watts`. Collective.
 *
 * Of what a node's counters count, the ranks' share is their processor time over the time that all
 * processors of the node have worked.
 *
 * @param watts  that a busy core takes; 0: not known
 * @param began  dt_seconds_now() when the start began
 */
dt_status dt_energy_open(dt_energy **energy, dt_comm *comm, double watts, double began);

/* If nothing tells the energy, say why, and what to do. */
void dt_energy_explain(const dt_energy *energy);

/* Collective. Leaves NULL. */
void dt_energy_close(dt_energy **energy);

/* What this rank has used so far. Cheap: counters are read once a second, Slurm is asked once a
 * minute and not waited for. NULL: nothing. Not collective. */
dt_energy_part dt_energy_note(dt_energy *energy);

/* The last look, and the sum over ranks. hurry: Slurm is not waited for, since the time is nearly
 * over. Collective. */
dt_status dt_energy_finish(dt_energy_part *sum, dt_energy *energy, bool hurry);

/* Enter the sum over ranks in this start's row of the history. Rank 0. NULL: nothing is known. */
void dt_energy_enter(dt_history_row *row, dt_energy *energy, const dt_energy_part *sum);

#endif
