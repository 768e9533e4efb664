/* Decides what a start does, from the request and from what exists. */
#ifndef DTRAIN_PLAN_H
#define DTRAIN_PLAN_H

#include "dtrain/train/start.h"

/* Apply the given settings to the defaults, and check that settings and options are compatible:
 * DT_ERR_ARG. */
dt_status dt_plan_begin(dt_start_plan *plan, const dt_start_request *request);

/* What the run folder or --init-from contains. */
typedef enum {
    DT_FOUND_NOTHING,
    DT_FOUND_CHECKPOINT, /* of this run */
    DT_FOUND_WEIGHTS,    /* of --init-from */
} dt_found;

/**
 * Decide. Reads no file except the text that the settings may name, and changes none.
 *
 * @param plan        has begun; `path` names the checkpoint, `config.out` is the run's folder
 * @param checkpoint  what was found; unused for DT_FOUND_NOTHING
 * @param ranks       that the start has
 * @return DT_ERR_ARG, DT_ERR_DATA: the request does not match what exists
 */
dt_status dt_plan_decide(dt_start_plan *plan, dt_found found, const dt_checkpoint *checkpoint,
                         const dt_start_request *request, size_t ranks);

#endif
