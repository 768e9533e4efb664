/* Refuses tensors whose element type an operation does not compute with. */
#ifndef DTRAIN_ELEMENT_H
#define DTRAIN_ELEMENT_H

#include "dtrain/backend/backend.h"

/* DT_ERR_UNAVAILABLE naming backend, operation and type if one of the tensors holds other elements;
 * tensors without a buffer are skipped. */
dt_status element_expect(const char *backend, const char *operation, dt_element expected,
                         const dt_tensor *tensor, size_t count);

#endif
