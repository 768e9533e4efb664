/* Which device a command's model runs on, and which devices there are. */
#include <stdio.h>
#include <string.h>

#include "app.h"

/* Whether every rank has a GPU: the same bits need the same device everywhere. Collective. */
static dt_status find_gpus(bool *found, session *s) {
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
static dt_status open_in_turn(session *s) {
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
static dt_status compare_devices(const session *s) {
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

dt_status session_open_device(session *s, dt_backend_kind wanted) {
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

dt_status session_open_device_given(session *s, const app_options *options) {
    dt_config config;
    dt_config_defaults(&config);
    dt_status status = options_apply(&config, options);
    if (s->comm) status = dt_comm_agree(s->comm, status);
    DT_TRY(status);
    DT_TRY(session_open_device(s, (dt_backend_kind)config.backend));
    if (s->device != s->host)
        dt_log_info("backend %s: %s", s->device->op->name, s->device->op->description);
    return DT_OK;
}

static void print_text(const session *s, const dt_device *device, size_t count) {
    printf("cpu     %s\n", s->host->op->description);
    for (size_t i = 0; i < count; i++) {
        const dt_device *d = &device[i];
        printf("opencl  %s, %s, %.1f GB (%s, driver %s)%s\n", d->name, d->gpu ? "GPU" : "CPU",
               (double)d->memory / 1e9, d->platform, d->driver,
               d->usable ? "" : "; not usable: it needs OpenCL 1.2 and a compiler");
    }
    if (count == 0) printf("opencl  no device, or built without OpenCL\n");
}

static void print_json(const session *s, const dt_device *device, size_t count) {
    printf("{\"devices\":[{\"backend\":\"cpu\",\"name\":");
    print_json_text(s->host->op->description);
    printf("}");
    for (size_t i = 0; i < count; i++) {
        const dt_device *d = &device[i];
        printf(",{\"backend\":\"opencl\",\"name\":");
        print_json_text(d->name);
        printf(",\"platform\":");
        print_json_text(d->platform);
        printf(",\"driver\":");
        print_json_text(d->driver);
        printf(",\"memory\":%llu,\"gpu\":%s,\"usable\":%s}", (unsigned long long)d->memory,
               d->gpu ? "true" : "false", d->usable ? "true" : "false");
    }
    printf("]}\n");
}

dt_status print_devices(const session *s, bool json) {
    dt_device *device;
    size_t count;
    DT_TRY(dt_backend_opencl_devices(&device, &count));
    (json ? print_json : print_text)(s, device, count);
    dt_memory_free(&device);
    return DT_OK;
}
