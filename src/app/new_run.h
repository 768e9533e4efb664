/* A run that begins with a model that is there already. */
#ifndef DTRAIN_NEW_RUN_H
#define DTRAIN_NEW_RUN_H

#include "dtrain/checkpoint/checkpoint.h"

/* The folder that --out gives, and that no run is in yet. DT_ERR_ARG: it is not given;
 * DT_ERR_CREATE: there is a run. */
dt_status new_run_folder(char out[DT_PATH_MAX], const dt_overrides *given);

/* Add a row to the history: what ended the start, "imported", and what the weights come from. */
dt_status new_run_tell(dt_checkpoint *checkpoint, const char *how, const char *from);

/**
 * Write the checkpoint as the first one of a run, and say so.
 *
 * @param checkpoint  its config.out is the folder; gets a row of the history
 * @param how    what the history calls the start's end: "imported"
 * @param from   what it says of the weights
 */
dt_status new_run_write(dt_checkpoint *checkpoint, const char *how, const char *from, bool json);

#endif
