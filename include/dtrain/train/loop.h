/* Training from the first decision to the last checkpoint, and how others can follow it. */
#ifndef DTRAIN_LOOP_H
#define DTRAIN_LOOP_H

#include "dtrain/core/metrics.h"
#include "dtrain/train/start.h"

/* Total seconds since the start, where the rest of a step is computing; and what is known so far.
 */
typedef struct {
    double communicating;      /* adding gradients, exchanging them between nodes */
    double waiting;            /* for other ranks */
    const dt_metrics *metrics; /* so far, of all starts */
} dt_step_times;

/* How training ended, and the path of its result. */
typedef struct {
    const dt_config *config;
    const dt_run_state *state;
    bool finished;     /* false: start it again to go on */
    const char *model; /* path of the best checkpoint, or of the last one if none was validated */
    dt_usage usage;    /* of all starts */
} dt_train_end;

/* Follows a run on rank 0. No function is NULL. */
typedef struct {
    /* Just before the first step that is made after `done` others; what was measured in those. */
    void (*open)(void *context, const dt_config *config, int64_t done, const dt_metrics *metrics);
    void (*step)(void *context, const dt_train_row *row, const dt_step_times *times);
    void (*validation)(void *context, const dt_validation_row *row, bool best);
    /* After a validation that shows what the model writes. */
    void (*sample)(void *context, int64_t step, const char *text);
    /* It went back to an earlier state, and does all after it again. */
    void (*back)(void *context, int64_t done, const dt_metrics *metrics);
    void (*close)(void *context); /* after the last step; may be called again */
    void (*end)(void *context, const dt_train_end *end); /* last of all, unless there is an error */
    void *context;
} dt_observer;

/**
 * Train as asked for: a new run, or one that goes on. Collective.
 *
 * @return DT_ERR_STOPPED: it stopped early, with a checkpoint
 */
dt_status dt_train(dt_session *s, const dt_start_request *request, const dt_observer *observer);

#endif
