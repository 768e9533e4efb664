/* Writes a run's results into its folder: checkpoints, links to them, and the settings. */
#ifndef DTRAIN_PUBLISH_H
#define DTRAIN_PUBLISH_H

#include "dtrain/checkpoint/checkpoint.h"

/**
 * Write a checkpoint into config.out, let latest.h5 and best.h5 point to the newest and the best
 * one, and remove old ones. A deleted folder is created again.
 *
 * @param needless  NULL, or called while the file is written
 * @return as dt_checkpoint_write_unless
 */
dt_status dt_publish_checkpoint(const dt_checkpoint *checkpoint, dt_checkpoint_needless *needless);

/* config.ini in the folder of the run: all settings. */
dt_status dt_publish_settings(const dt_config *config);

#endif
