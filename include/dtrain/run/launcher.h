/* Which launcher started this process, known before MPI has been started. */
#ifndef DTRAIN_LAUNCHER_H
#define DTRAIN_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the parent of this process has one of these names. */
bool dt_launcher_is_parent(const char *const *name, size_t count);

/* Whether mpirun has started this program (argv[0]) itself, not a script that calls it, and this
 * process is not its first rank. Scripts may give each rank other words. */
bool dt_launcher_repeats(const char *program);

#endif
