/* What a start does with files in the folder of its run that dtrain did not create. Rank 0 only. */
#ifndef DTRAIN_TRAIN_FOLDER_H
#define DTRAIN_TRAIN_FOLDER_H

#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/train/start.h"

/**
 * Before the first write: refuse to start if a new run would ignore or replace such files. For a
 * finished run, warn about settings that a person has changed in its config.ini.
 *
 * @param before  settings of the checkpoint that the plan continues; NULL: a new run
 * @return DT_ERR_ARG, DT_ERR_CREATE, with what to do
 */
dt_status dt_folder_check(const dt_start_plan *plan, const dt_config *before,
                          const dt_start_request *request);

/* With the folder's lock held: rename what would be replaced, and say so. */
dt_status dt_folder_clear(const dt_start_plan *plan, const dt_config *before,
                          const dt_start_request *request);

/* Copy the best checkpoint so far into the folder if it is elsewhere; warn if it cannot be found.
 */
void dt_folder_bring_best(const dt_start_plan *plan);

/* --fresh: rename the folder, or the one that it is a link to. */
dt_status dt_folder_set_aside(const char *folder);

#endif
