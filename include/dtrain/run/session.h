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
    dt_bfloat16_support bfloat16; /* the lowest support of any rank's device; set once it is open */
} dt_session;

/* Open the host's backend; until dt_session_open_device the model runs on it too. Collective if
 * there are ranks. */
dt_status dt_session_open(dt_session *s);

/* Open what --backend asks for. Call dt_signals_catch again afterwards. Collective if there are
 * ranks. */
dt_status dt_session_open_device(dt_session *s, dt_backend_kind wanted);

/* The same for commands that have only the settings given on the command line; prints the device.
 */
dt_status dt_session_open_device_given(dt_session *s, const dt_overrides *given);
void dt_session_close(dt_session *s);

/**
 * Decide what --precision auto means on the session's devices; warns if bfloat16 is slow on one of
 * them. Not collective, and the same on all ranks.
 *
 * @return DT_ERR_ARG: bfloat16 is wanted, and the backend computes in float32
 */
dt_status dt_session_settle_precision(const dt_session *s, dt_config *config);

/* DT_ERR_ARG: the model has quantised matrices, and the session's device computes with none. */
dt_status dt_session_check_matrices(const dt_session *s, const dt_model_shape *shape);

/* Print which ranks run on which hosts and devices, and warnings about threads and cores.
 * Collective. */
dt_status dt_session_announce(dt_session *s);

/* A checkpoint's model on the session's device. dt_loaded_close frees it. */
typedef struct {
    dt_checkpoint checkpoint;
    dt_buffer *weights;
    dt_buffer *frozen; /* of the base, or of a quantised model; NULL: nothing is frozen */
    dt_window *shared; /* holds them once per node; NULL: the checkpoint holds them */
    dt_model *model;
    size_t texts; /* the most that fit into a pass */
} dt_loaded_model;

/* given: may name a precision or a sharpness other than the run's. Collective if there are ranks.
 */
dt_status dt_loaded_open(dt_loaded_model *loaded, dt_session *s, const dt_overrides *given,
                         const char *name, size_t texts);
void dt_loaded_close(dt_loaded_model *loaded, dt_session *s);

#endif
