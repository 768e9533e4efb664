/* What Open MPI must be told before it starts: whether a launcher has started this process. */
#ifndef DT_MPI_LAUNCH_H
#define DT_MPI_LAUNCH_H

/* What dt_launch_prepare has hidden. */
typedef struct {
    char *nodes; /* SLURM_NODELIST; NULL: nothing is hidden */
} dt_launch;

/* Before MPI_Init. A process that nothing has launched becomes the only rank and asks nobody: no
 * daemon of Open MPI, no files in /tmp. Settings of the user win. */
void dt_launch_prepare(dt_launch *launch);

/* After MPI_Init. */
void dt_launch_restore(dt_launch *launch);

#endif
