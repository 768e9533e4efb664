/* The newest checkpoint of a run that can be read. */
#ifndef DTRAIN_NEWEST_H
#define DTRAIN_NEWEST_H

#include "dtrain/checkpoint/checkpoint.h"

/**
 * Read the newest checkpoint of a folder that is whole and older than step `before`. Damaged ones
 * are named and passed over; a run that goes on meanwhile may remove its older ones. Not
 * collective.
 *
 * @param[out] checkpoint  zeroed before; dt_checkpoint_destroy it, also after an error
 * @param[out] path        of that file
 * @param[out] found       false: there is no checkpoint
 * @return DT_ERR_DATA if there are some, and none can be read
 */
dt_status dt_newest_read(dt_checkpoint *checkpoint, char *path, size_t size, const char *folder,
                         int64_t before, dt_read_depth depth, bool *found);

/**
 * Read the summary of what a person names: of a run its newest checkpoint, which knows all that
 * was measured, or a file. Not collective.
 *
 * @return also DT_ERR_NO_INPUT: there is no such checkpoint or run
 */
dt_status dt_newest_summary(dt_checkpoint *checkpoint, char *path, size_t size, const char *name);

#endif
