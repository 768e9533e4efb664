/* Which launcher started this process; known before MPI is initialised. */
#ifndef DTRAIN_LAUNCHER_H
#define DTRAIN_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the parent of this process has one of these names. */
bool dt_launcher_is_parent(const char *const *name, size_t count);

/* The rank that a launcher has given this process in its environment; -1: none. */
long dt_launcher_rank(void);

/* Whether a launcher (mpirun, srun, …) started this program (argv[0]) directly, not through a
 * script, and this process is not its first rank. A script may give each rank different arguments.
 */
bool dt_launcher_repeats(const char *program);

#endif
