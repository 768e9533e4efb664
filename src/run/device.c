/* Which device a command's model runs on. */
#include <stdio.h>
#include <string.h>

#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/run/session.h"

/* Whether every rank has a GPU: the same bits need the same device everywhere. Collective. */
static dt_status find_gpus(bool *found, dt_session *s) {
    dt_device *device;
    size_t count;
    dt_status status = dt_backend_opencl_devices(&device, &count);
    int64_t missing = count == 0 || !device[0].usable || !device[0].gpu;
    dt_memory_free(&device);
    if (s->comm) {
        DT_TRY(dt_comm_agree(s->comm, status));
        status = dt_comm_max(s->comm, &missing);
    }
    *found = !missing;
    return status;
}

/* Drivers keep on disk what they have compiled: the first rank fills that for the others, and on
 * each node the first one where nodes have disks of their own. Collective. */
static dt_status open_in_turn(dt_session *s) {
    enum { TURNS = 3 };
    if (!s->comm) return dt_backend_opencl_open(&s->device, 0);
    const size_t local = dt_comm_local_rank(s->comm);
    const int mine = dt_comm_rank(s->comm) == 0 ? 0 : local == 0 ? 1 : 2;
    for (int turn = 0; turn < TURNS; turn++) {
        dt_status status = DT_OK;
        if (turn == mine) status = dt_backend_opencl_open(&s->device, local);
        DT_TRY(dt_comm_agree(s->comm, status));
    }
    return DT_OK;
}

/* Ranks of one node have processors and devices alike; nodes may not. Collective. */
static dt_status compare_devices(const dt_session *s) {
    char first[512];
    if (!s->comm) return DT_OK;
    snprintf(first, sizeof first, "%s", s->device->op->description);
    DT_TRY(dt_comm_broadcast(s->comm, first, sizeof first));
    int64_t other = strcmp(first, s->device->op->description) != 0;
    DT_TRY(dt_comm_max(s->comm, &other));
    if (other) {
        dt_log_warn("not all ranks have the %s of rank 0, %s: right results, but other bits with "
                    "another number of ranks",
                    s->device == s->host ? "kernels" : "device", first);
    }
    return DT_OK;
}

dt_status dt_session_open_device(dt_session *s, dt_backend_kind wanted) {
    bool found = true;
    if (wanted == DT_BACKEND_BLAS) dt_backend_cpu_leave_to_blas(s->host);
    if (wanted == DT_BACKEND_CPU || wanted == DT_BACKEND_BLAS) return compare_devices(s);
    if (wanted == DT_BACKEND_AUTO) DT_TRY(find_gpus(&found, s));
    if (found) {
        DT_TRY(open_in_turn(s));
        return compare_devices(s);
    }
    dt_log_info("--backend auto: not every rank has a GPU, so the CPU computes");
    return DT_OK;
}

dt_status dt_session_open_device_given(dt_session *s, const dt_overrides *given) {
    dt_config config;
    dt_config_defaults(&config);
    dt_status status = dt_overrides_apply(&config, given);
    if (s->comm) status = dt_comm_agree(s->comm, status);
    DT_TRY(status);
    DT_TRY(dt_session_open_device(s, (dt_backend_kind)config.backend));
    if (s->device != s->host)
        dt_log_info("backend %s: %s", s->device->op->name, s->device->op->description);
    return DT_OK;
}
