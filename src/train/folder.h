/* What a start does about things in the folder of its run that dtrain has not made there. Rank 0's.
 */
#ifndef DTRAIN_TRAIN_FOLDER_H
#define DTRAIN_TRAIN_FOLDER_H

#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/train/start.h"

/**
 * Before the first write: refuse what a new run would pass over or replace. Of a run that is
 * finished, tell settings that a person has changed in its config.ini.
 *
 * @param before  settings of the checkpoint that the plan goes on with; NULL: it begins anew
 * @return DT_ERR_ARG, DT_ERR_CREATE: how to go on
 */
dt_status dt_folder_check(const dt_start_plan *plan, const dt_config *before,
                          const dt_start_request *request);

/* With the folder's lock: set aside what would be replaced, and say so. */
dt_status dt_folder_clear(const dt_start_plan *plan, const dt_config *before,
                          const dt_start_request *request);

/* Copy the best checkpoint so far into the folder, if it is elsewhere; say so if it is nowhere. */
void dt_folder_bring_best(const dt_start_plan *plan);

/* --fresh: rename the folder, or the one that it is a link to. */
dt_status dt_folder_set_aside(const char *folder);

#endif
