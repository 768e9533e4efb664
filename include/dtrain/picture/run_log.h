/* What the log of a run has measured beside what its checkpoints keep. */
#ifndef DTRAIN_RUN_LOG_H
#define DTRAIN_RUN_LOG_H

#include "dtrain/core/metrics.h"

/* A text that the model wrote at a step. */
typedef struct {
    int64_t step;
    char *text; /* UTF-8, as far as the log is */
} dt_run_sample;

typedef struct {
    dt_run_sample *sample; /* (samples) by rising step */
    size_t samples, capacity;
} dt_run_log;

/**
 * Read FOLDER/log.jsonl: samples up to a step, and bits per byte, which are put into the rows of
 * the metrics. What was logged for steps that a later start made again is skipped, and so are
 * lines that are damaged.
 *
 * @param[out] log     to be given back with dt_run_log_destroy, also after an error
 * @param[out] metrics of a checkpoint; rows that the log does not know get NaN
 * @param last         the last step
 * @return DT_OK also if there is no log; DT_ERR_MEMORY
 */
dt_status dt_run_log_read(dt_run_log *log, dt_metrics *metrics, const char *folder, int64_t last);
void dt_run_log_destroy(dt_run_log *log);

#endif
