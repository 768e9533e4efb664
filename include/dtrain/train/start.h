/* Decides how a start begins: a new run, from a checkpoint, or not at all because the run is
 * finished. */
#ifndef DTRAIN_START_H
#define DTRAIN_START_H

#include "dtrain/folder/run_folder.h"
#include "dtrain/run/session.h"

typedef enum {
    DT_START_NEW,
    DT_START_FROM_WEIGHTS,
    DT_START_RESUME,
    DT_START_FINISHED
} dt_start_kind;

/* What the user asked for; strings belong to the caller. */
typedef struct {
    dt_overrides given;
    const char *resume;    /* go on from this checkpoint; NULL: from what the folder holds */
    const char *init_from; /* begin with the weights of this checkpoint; NULL: with new ones */
    bool fresh;            /* rename an existing folder and begin a new one */
    bool check_gradients;  /* instead of training */
} dt_start_request;

/* Decided by rank 0, then the same on all. */
typedef struct {
    dt_start_kind kind;
    dt_config config;
    dt_run_state state;
    char path[DT_PATH_MAX]; /* of the checkpoint that is resumed */
    int64_t newest;         /* step in the folder when this was decided; -1: none */
    bool made;              /* the folder was not there before this start */
    char changed[256];      /* "lr 0.002 -> 0.001, …" */
    bool stretched;         /* --steps is the only setting of the learning rate that changed */
    double planned_lr;      /* of the next step, with the settings before */
} dt_start_plan;

/* Look at the request and the run folder, decide, then open and lock the folder. On rank 0
 * *checkpoint holds what is resumed; release *lock at the end. Collective. */
dt_status dt_start_decide(dt_start_plan *plan, dt_checkpoint *checkpoint, dt_run_lock **lock,
                          dt_session *s, const dt_start_request *request);

/* A new run that has more ranks than the default has shards gets more of them, unless a person has
 * set them: room to grow to four times its ranks, as far as there are problems. */
dt_status dt_plan_settle_shards(dt_config *config, const dt_overrides *overrides, size_t ranks);

/* Forget the best validation so far if the settings change what validations measure. */
void dt_start_measure_anew(dt_run_state *state, const dt_config *before, const dt_config *now);

#endif
