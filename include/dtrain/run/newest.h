/* The newest readable checkpoint of a run. */
#ifndef DTRAIN_NEWEST_H
#define DTRAIN_NEWEST_H

#include "dtrain/checkpoint/checkpoint.h"

/**
 * Read the newest checkpoint of a folder that is whole and older than step `before`. Damaged
 * checkpoints are named and skipped; a run that is still training may remove older ones meanwhile.
 * Not collective.
 *
 * @param[out] checkpoint  zeroed before; dt_checkpoint_destroy it, also after an error
 * @param[out] path        of that file
 * @param[out] found       false: there is no checkpoint
 * @return DT_ERR_DATA if there are checkpoints but none can be read
 */
dt_status dt_newest_read(dt_checkpoint *checkpoint, char *path, size_t size, const char *folder,
                         int64_t before, dt_read_depth depth, bool *found);

/**
 * Read the summary of a checkpoint file, or of a run's newest checkpoint, which holds all
 * measurements. Not collective.
 *
 * @return also DT_ERR_NO_INPUT: there is no such checkpoint or run
 */
dt_status dt_newest_summary(dt_checkpoint *checkpoint, char *path, size_t size, const char *name);

#endif
