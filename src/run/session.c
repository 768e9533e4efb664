/* Opens, describes and closes what commands run on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/run/session.h"

#include "dtrain/backend/registry.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/topology.h"

dt_status dt_session_open(dt_session *s) {
    dt_status status = dt_backend_open(&s->host, dt_backend_host(), 0);
    if (s->comm) status = dt_comm_agree(s->comm, status);
    s->device = s->host;
    return status;
}

void dt_session_close(dt_session *s) {
    if (s->device && s->device != s->host) s->device->op->close(&s->device);
    s->device = NULL;
    if (s->host) s->host->op->close(&s->host);
}

static void warn_threads(size_t ranks_here, double cores) {
    static const char *const NAMES[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const char *text = getenv(NAMES[i]);
        const double threads = text ? strtod(text, NULL) : 0;
        if (threads > 1 && threads * (double)ranks_here > cores) {
            dt_log_warn("%s=%s: %zu ranks with %s BLAS threads each are too many for %.0f cores; "
                        "one thread per rank is used, as the same bits on any number of ranks "
                        "require; use more ranks instead",
                        NAMES[i], text, ranks_here, text, cores);
            return;
        }
    }
}

dt_status dt_session_announce(dt_session *s) {
    const size_t size = dt_comm_size(s->comm), nodes = dt_comm_nodes(s->comm);
    double *cores = NULL;
    dt_status status;
    DT_TRY_DONE(
        dt_comm_agree(s->comm, dt_memory_alloc(&cores, size, sizeof *cores, "the table of cores")));
    DT_TRY_DONE(dt_comm_gather(s->comm, cores, (double)dt_topology_cpus()));
    /* A bound rank sees only its own cores. Together the node's ranks see at most the sum. */
    const size_t here = dt_comm_local_size(s->comm);
    double most = 0, sum = 0;
    for (size_t r = 0; r < here; r++) {
        most = fmax(most, cores[r]);
        sum += cores[r];
    }
    const double online = (double)sysconf(_SC_NPROCESSORS_ONLN);
    const double machine = fmax(most, fmin(sum, online));
    char topology[256];
    DT_TRY_DONE(dt_topology_describe(topology, sizeof topology, s->comm));
    dt_log_info("%zu rank%s on %zu node%s (%s), %s", size, size == 1 ? "" : "s", nodes,
                nodes == 1 ? "" : "s", topology, dt_comm_library(s->comm));
    if (s->device != s->host)
        dt_log_info("backend %s: %s", s->device->op->name, s->device->op->description);
    dt_log_info("%s: %s per rank, %.0f core%s",
                s->device == s->host ? "backend cpu" : "updates of weights on the CPU",
                s->host->op->description, machine, machine > 1 ? "s" : "");
    dt_log_debug("on %s: node %zu, number %zu of %zu there, %.0f cores",
                 dt_comm_host(s->comm, dt_comm_rank(s->comm)), dt_comm_node(s->comm),
                 dt_comm_local_rank(s->comm), here, cores[dt_comm_rank(s->comm)]);
    warn_threads(here, machine);
    if ((double)here > machine) {
        dt_log_warn("%zu ranks share %.0f core%s: right results, but no faster than %.0f rank%s",
                    here, machine, machine > 1 ? "s" : "", machine, machine > 1 ? "s" : "");
    }
done:
    dt_memory_free(&cores);
    return status;
}

/* For a folder, say which of its files was read. */
static void tell_file(const char *name, const char *path, const dt_run_state *state) {
    char best[DT_PATH_MAX];
    const size_t length = strlen(name);
    if (strncmp(path, name, length) != 0 || path[length] != '/') return;
    const bool lost = state->best_step >= 0 && !dt_run_find(best, sizeof best, name, "best.h5");
    dt_log_info("model: %s, step %lld%s", path, (long long)state->step,
                lost ? "; it is the newest, since there is no best.h5" : "");
}

/* Precision and sharpness of evaluation: those of the run unless others are given. If the backend
 * lacks bfloat16, only a given bfloat16 is an error. */
static dt_status choose_model(dt_checkpoint *c, const dt_session *s, const dt_overrides *given) {
    dt_config config = c->config;
    DT_TRY(dt_overrides_apply(&config, given));
    if (config.precision == DT_PRECISION_BFLOAT16 && s->bfloat16 == DT_NO_BFLOAT16 &&
        !dt_overrides_has(given, "precision")) {
        dt_log_info("the model was trained in bfloat16; the backend %s computes in float32",
                    s->device->op->name);
        config.precision = DT_PRECISION_FLOAT32;
    }
    DT_TRY(dt_session_settle_precision(s, &config));
    c->config.precision = config.precision;
    c->shape.bfloat16 = config.precision == DT_PRECISION_BFLOAT16;
    c->config.sharpness = c->shape.sharpness = config.sharpness;
    return DT_OK;
}

/* Where a node has several ranks, the first one reads what is frozen, for all of them. */
static bool reads_frozen(const dt_session *s) {
    return !s->comm || dt_comm_local_rank(s->comm) == 0;
}

/* All but what is frozen, unless this rank reads that too. */
static dt_status read_model(dt_checkpoint *c, const dt_session *s, const dt_overrides *given,
                            const char *name) {
    char path[DT_PATH_MAX];
    DT_TRY(dt_run_resolve(path, sizeof path, name));
    DT_TRY(dt_checkpoint_read(c, path, reads_frozen(s) ? DT_READ_WEIGHTS : DT_READ_TRAINED));
    if (reads_frozen(s)) DT_TRY(dt_base_read(c, path));
    DT_TRY(dt_checkpoint_check_vocabulary(c, path));
    /* What belongs to the run lies beside it. */
    DT_TRY(dt_run_folder_of(c->config.out, sizeof c->config.out, path));
    DT_TRY(choose_model(c, s, given));
    DT_TRY(dt_session_check_matrices(s, &c->shape));
    tell_file(name, path, &c->state);
    return DT_OK;
}

/* Moves what is frozen into memory that all ranks of the node see. */
static dt_status share_frozen(dt_loaded_model *loaded, const dt_session *s) {
    dt_checkpoint *c = &loaded->checkpoint;
    const size_t bytes = c->layout.frozen_bytes;
    if (!s->comm || bytes == 0) return DT_OK;
    DT_TRY(dt_window_create(&loaded->shared, s->comm, bytes, "frozen weights"));
    if (c->frozen) memcpy(dt_window_memory(loaded->shared), c->frozen, bytes);
    dt_memory_free(&c->frozen);
    return dt_comm_node_barrier(s->comm);
}

static dt_status attach_frozen(dt_loaded_model *loaded, const dt_session *s) {
    const dt_checkpoint *c = &loaded->checkpoint;
    void *frozen = loaded->shared ? dt_window_memory(loaded->shared) : c->frozen;
    const size_t bytes = c->layout.frozen_bytes;
    if (bytes == 0) return DT_OK;
    DT_TRY(
        s->device->op->buffer_attach(&loaded->frozen, s->device, frozen, bytes, "frozen weights"));
    DT_TRY(s->device->op->push(s->device, dt_floats(loaded->frozen, 0), bytes / sizeof(float)));
    dt_model_freeze(loaded->model, &c->layout, loaded->frozen);
    return DT_OK;
}

static dt_status attach_model(dt_loaded_model *loaded, const dt_session *s) {
    const dt_checkpoint *c = &loaded->checkpoint;
    DT_TRY(s->device->op->buffer_attach(&loaded->weights, s->device, c->weights,
                                        c->layout.count * sizeof(float), "weights"));
    DT_TRY(s->device->op->push(s->device, dt_floats(loaded->weights, 0), c->layout.count));
    DT_TRY(dt_model_create(&loaded->model, s->device, &c->shape, loaded->weights, loaded->texts,
                           loaded->texts * c->shape.T));
    return attach_frozen(loaded, s);
}

dt_status dt_loaded_open(dt_loaded_model *loaded, dt_session *s, const dt_overrides *given,
                         const char *name, size_t texts) {
    *loaded = (dt_loaded_model){.texts = texts};
    dt_status status = read_model(&loaded->checkpoint, s, given, name);
    if (s->comm) status = dt_comm_agree(s->comm, status);
    if (status == DT_OK) status = share_frozen(loaded, s);
    if (status == DT_OK) status = attach_model(loaded, s);
    return status;
}

void dt_loaded_close(dt_loaded_model *loaded, dt_session *s) {
    dt_model_destroy(&loaded->model);
    if (loaded->weights) s->device->op->buffer_destroy(&loaded->weights, s->device);
    if (loaded->frozen) s->device->op->buffer_destroy(&loaded->frozen, s->device);
    dt_window_destroy(&loaded->shared);
    dt_checkpoint_destroy(&loaded->checkpoint);
}
