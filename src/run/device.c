/* Chooses the device and the precision for a command's model. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/backend/registry.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/run/session.h"

/* Whether every rank can use a backend: the same bits need the same device everywhere. Collective.
 */
static dt_status all_have(bool *all, const dt_session *s, const dt_backend_entry *entry) {
    char why[128];
    bool usable = false;
    dt_status status = entry->probe(&usable, why, sizeof why);
    int64_t missing = !usable;
    if (s->comm) {
        DT_TRY(dt_comm_agree(s->comm, status));
        status = dt_comm_max(s->comm, &missing);
    }
    *all = !missing;
    return status;
}

/* Chooses the backend for --backend auto. Collective. */
static dt_status choose(const dt_backend_entry **chosen, const dt_session *s) {
    *chosen = dt_backend_next(INT_MAX);
    for (;;) {
        bool all;
        DT_TRY(all_have(&all, s, *chosen));
        const dt_backend_entry *next = dt_backend_next((*chosen)->priority);
        if (all || !next) return DT_OK;
        dt_log_info("--backend auto: not every rank has %s, so %s is skipped", (*chosen)->needs,
                    (*chosen)->name);
        *chosen = next;
    }
}

/* Drivers cache compiled kernels on disk. Rank 0 opens first and fills the cache for the others,
 * then the first rank of each node, since nodes may have separate disks. Collective. */
static dt_status open_on_ranks(dt_backend **backend, const dt_session *s,
                               const dt_backend_entry *entry) {
    enum { TURNS = 3 };
    if (!s->comm) return dt_backend_open(backend, entry, 0);
    const size_t local = dt_comm_local_rank(s->comm);
    const int mine = dt_comm_rank(s->comm) == 0 ? 0 : local == 0 ? 1 : 2;
    const int turns = entry->in_turns ? TURNS : 1;
    for (int turn = 0; turn < turns; turn++) {
        dt_status status = DT_OK;
        if (turns == 1 || turn == mine) status = dt_backend_open(backend, entry, local);
        DT_TRY(dt_comm_agree(s->comm, status));
    }
    return DT_OK;
}

/* Warns if not all ranks have the same device, as nodes may differ; finds the common support of
 * bfloat16. Collective. */
static dt_status compare_devices(dt_session *s) {
    char first[512];
    int64_t lacks = DT_FAST_BFLOAT16 - (int64_t)s->device->op->bfloat16;
    if (s->comm) DT_TRY(dt_comm_max(s->comm, &lacks));
    s->bfloat16 = (dt_bfloat16_support)(DT_FAST_BFLOAT16 - lacks);
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

/* The backend that the setting names. Collective. */
static dt_status find(const dt_backend_entry **entry, const dt_session *s, dt_backend_kind wanted) {
    if (wanted == DT_BACKEND_AUTO) return choose(entry, s);
    char name[32];
    dt_config config;
    dt_config_defaults(&config);
    config.backend = wanted;
    dt_config_text(name, sizeof name, &config, dt_setting_find("backend"));
    *entry = dt_backend_find(name);
    DT_REQUIRE(*entry, DT_ERR_INTERNAL, "there is no backend %s", name);
    return DT_OK;
}

dt_status dt_session_open_device(dt_session *s, dt_backend_kind wanted) {
    const dt_backend_entry *entry;
    DT_TRY(find(&entry, s, wanted));
    if (entry == dt_backend_host()) return compare_devices(s); /* already open */
    if (entry->host) {
        dt_backend *host = NULL;
        DT_TRY(open_on_ranks(&host, s, entry));
        s->host->op->close(&s->host);
        s->device = s->host = host;
    } else {
        DT_TRY(open_on_ranks(&s->device, s, entry));
    }
    return compare_devices(s);
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

dt_status dt_session_settle_precision(const dt_session *s, dt_config *config) {
    if (config->precision == DT_PRECISION_AUTO) {
        config->precision =
            s->bfloat16 == DT_FAST_BFLOAT16 ? DT_PRECISION_BFLOAT16 : DT_PRECISION_FLOAT32;
    }
    if (config->precision == DT_PRECISION_FLOAT32) return DT_OK;
    DT_REQUIRE(s->bfloat16 != DT_NO_BFLOAT16, DT_ERR_ARG,
               "--precision bfloat16: the backend %s computes in float32; give --precision "
               "float32, or --backend cpu",
               s->device->op->name);
    if (s->bfloat16 == DT_SLOW_BFLOAT16) {
        dt_log_warn(
            "bfloat16: a processor here computes its products slowly; --precision float32 is "
            "faster");
    }
    return DT_OK;
}

dt_status dt_session_check_matrices(const dt_session *s, const dt_model_shape *shape) {
    const dt_element element = dt_model_shape_matrices(shape);
    DT_REQUIRE(element == DT_ELEMENT_FLOAT32 || s->device->op->quantised, DT_ERR_ARG,
               "the backend %s computes with matrices in float32, not in %s; give --backend cpu",
               s->device->op->name, dt_quantised_name(element));
    return DT_OK;
}
