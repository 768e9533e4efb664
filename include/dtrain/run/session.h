/* What is open while a command runs: ranks, backends, the model of a checkpoint. */
#ifndef DTRAIN_SESSION_H
#define DTRAIN_SESSION_H

#include "dtrain/backend/backend.h"
#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/core/config.h"
#include "dtrain/model/model.h"
#include "dtrain/mpi/comm.h"

/* What is open while a command runs. comm is NULL for commands that need no ranks. */
typedef struct {
    dt_comm *comm;
    dt_backend *host;             /* works on host memory: updates, sums */
    dt_backend *device;           /* runs the model; the same as host for the CPU backend */
    dt_bfloat16_support bfloat16; /* the least that any rank's device has; once it is open */
} dt_session;

/* The host's backend; until dt_session_open_device the model runs on it, too. Collective with
 * ranks.
 */
dt_status dt_session_open(dt_session *s);

/* Open what --backend asks for. Signals may have to be caught again afterwards. Collective with
 * ranks. */
dt_status dt_session_open_device(dt_session *s, dt_backend_kind wanted);

/* The same as the settings given have it, for commands without settings from elsewhere; says what
 * it is. */
dt_status dt_session_open_device_given(dt_session *s, const dt_overrides *given);
void dt_session_close(dt_session *s);

/**
 * Settle what --precision auto means on the session's devices; says it if bfloat16 is slow on one
 * of them. Not collective, and the same on all ranks.
 *
 * @return DT_ERR_ARG: bfloat16 is wanted, and the backend computes in float32
 */
dt_status dt_session_settle_precision(const dt_session *s, dt_config *config);

/* Who runs on what, in a few lines; warnings about threads and cores. Collective. */
dt_status dt_session_announce(dt_session *s);

/* A checkpoint's model on the session's device. dt_loaded_close gives back everything. */
typedef struct {
    dt_checkpoint checkpoint;
    dt_buffer *weights;
    dt_model *model;
    size_t texts; /* that a pass has room for */
} dt_loaded_model;

/* given: may say another precision than that of the run. */
dt_status dt_loaded_open(dt_loaded_model *loaded, dt_session *s, const dt_overrides *given,
                         const char *name, size_t texts);
void dt_loaded_close(dt_loaded_model *loaded, dt_session *s);

#endif
