/* Text from a pipe, kept in a file of the run's folder. Private to src/data/text. */
#ifndef DTRAIN_SPOOL_H
#define DTRAIN_SPOOL_H

#include "dtrain/core/config.h"

enum { DT_SPOOLS_MAX = 8 };

/* Files that were made. */
typedef struct {
    char path[DT_SPOOLS_MAX][DT_PATH_MAX];
    size_t made[DT_SPOOLS_MAX]; /* dt_folders_make */
    size_t count;
} dt_spools;

/**
 * In the place of each pipe, and of "-", which is standard input, put the name of a file that has
 * what came from it: OUT/text-1.txt. A run that has begun reads the file that it has made.
 *
 * @return DT_ERR_NO_INPUT, DT_ERR_CREATE, DT_ERR_IO; what the listener of the work returns
 */
dt_status dt_spool(dt_spools *spools, dt_config *config);

/* Delete what was made. */
void dt_spools_discard(dt_spools *spools);

#endif
