/* Event files in the folder of a run, from which TensorBoard draws its curves. */
#ifndef DTRAIN_EVENTS_H
#define DTRAIN_EVENTS_H

#include "dtrain/core/metrics.h"

/* An event file that is being written. */
typedef struct dt_events dt_events;

/* Where a run stands when its file begins; by reference. */
typedef struct {
    const char *folder;
    int64_t step; /* updates made */
    const dt_metrics *metrics;
    const dt_text_kind *kind; /* (kinds) of the texts: a curve each; must outlive the file */
    size_t kinds;
    bool bits_per_byte; /* whether the texts have them */
} dt_events_begin;

/**
 * Begin a new file, after those that are in the folder. TensorBoard then drops what they have of
 * later steps; what the metrics have and they have not is written first, so that each step has one
 * point.
 *
 * @param[out] events  to be closed with dt_events_close; NULL on error
 * @return DT_ERR_CREATE, DT_ERR_IO, with no file left; DT_ERR_MEMORY
 * Collective: no; rank 0 calls it.
 */
dt_status dt_events_open(dt_events **events, const dt_events_begin *begin);
void dt_events_close(dt_events **events);

/* ---- each is in the file on return, whole or not at all; DT_ERR_IO, DT_ERR_MEMORY ---- */

dt_status dt_events_step(dt_events *events, const dt_train_row *row);
dt_status dt_events_validation(dt_events *events, const dt_validation_row *row);

/* A text in UTF-8, shown as it is, under a name: "samples". */
dt_status dt_events_text(dt_events *events, const char *name, int64_t step, const char *text);

#endif
