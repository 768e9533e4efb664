/* Checks gradients against finite differences of the loss. */
#ifndef DTRAIN_GRADCHECK_H
#define DTRAIN_GRADCHECK_H

#include "dtrain/data/source.h"
#include "dtrain/run/session.h"

/**
 * Compare each parameter's gradient with a finite difference of the loss along it; prints a table.
 * Not collective.
 *
 * @param weights  the memory of device_weights; changed and restored
 * @return DT_ERR_INTERNAL names the parameter whose gradient is wrong
 */
dt_status dt_gradients_check(dt_session *s, dt_model *model, dt_buffer *device_weights,
                             float *weights, const dt_source *source);

#endif
