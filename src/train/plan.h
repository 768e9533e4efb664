/* What a start does, decided from what it has been asked for and from what is there. */
#ifndef DTRAIN_PLAN_H
#define DTRAIN_PLAN_H

#include "dtrain/train/start.h"

/* The settings asked for, on top of the defaults; and whether they and the options go together.
 * DT_ERR_ARG. */
dt_status dt_plan_begin(dt_start_plan *plan, const dt_start_request *request);

/* What has been found for a plan that has begun. */
typedef enum {
    DT_FOUND_NOTHING,
    DT_FOUND_CHECKPOINT, /* of this run */
    DT_FOUND_WEIGHTS,    /* of --init-from */
} dt_found;

/**
 * Decide. Looks at no file but the text that the settings may name, and changes none.
 *
 * @param plan        has begun; `path` names the checkpoint, `config.out` is the run's folder
 * @param checkpoint  what was found; nothing else looks at it where that is nothing
 * @param ranks       that the start has
 * @return DT_ERR_ARG, DT_ERR_DATA: what is asked for and what is there do not go together
 */
dt_status dt_plan_decide(dt_start_plan *plan, dt_found found, const dt_checkpoint *checkpoint,
                         const dt_start_request *request, size_t ranks);

#endif
