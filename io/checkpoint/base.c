/* The frozen weights of an adapter's checkpoint: found, read, and merged with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/checkpoint/checkpoint.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/path.h"
#include "dtrain/file/replace.h"
#include "finite.h"

bool dt_checkpoint_is_adapter(const dt_checkpoint *checkpoint) {
    return checkpoint->config.lora_rank > 0;
}

/* ---- where it is ---- */

/* Candidate number i; false: there are no more. */
static dt_status candidate(char *base, size_t size, const char *folder, const dt_config *config,
                           size_t i) {
    char above[DT_PATH_MAX];
    DT_TRY(dt_path_from(above, sizeof above, folder, ".."));
    const char *const from[] = {folder, folder, folder, above};
    const char *const name[] = {config->base, "base.h5", dt_path_last(config->base),
                                dt_path_last(config->base)};
    return dt_path_from(base, size, from[i], name[i]);
}
enum { CANDIDATES = 4 };

static dt_status raise_missing(const dt_config *config, const char *path) {
    DT_RAISE(
        DT_ERR_NO_INPUT,
        "%s needs its base %s (digest %s), which is neither there nor beside it; put it there, "
        "or beside it as base.h5",
        path, config->base, config->base_digest);
}

dt_status dt_base_find(char *base, size_t size, const dt_config *config, const char *path) {
    char folder[DT_PATH_MAX];
    DT_TRY(dt_file_folder(folder, sizeof folder, path));
    for (size_t i = 0; i < CANDIDATES; i++) {
        DT_TRY(candidate(base, size, folder, config, i));
        if (access(base, F_OK) == 0 && strcmp(base, path) != 0) return DT_OK;
    }
    return raise_missing(config, path);
}

/* Reads the first candidate with the right digest, whatever is wrong with those before. */
static dt_status read_right(dt_checkpoint *base, const dt_config *config, const char *path) {
    char folder[DT_PATH_MAX], name[DT_PATH_MAX], other[DT_PATH_MAX] = "";
    char digest[sizeof base->digest] = "", why[1024] = "";
    DT_TRY(dt_file_folder(folder, sizeof folder, path));
    for (size_t i = 0; i < CANDIDATES; i++) {
        DT_TRY(candidate(name, sizeof name, folder, config, i));
        if (access(name, F_OK) != 0 || strcmp(name, path) == 0) continue;
        const dt_status status = dt_checkpoint_read(base, name, DT_READ_WEIGHTS);
        if (status == DT_ERR_MEMORY) return status;
        if (status != DT_OK) {
            if (!*why) snprintf(why, sizeof why, "%s", dt_error_text());
            dt_error_clear();
            dt_checkpoint_destroy(base);
            continue;
        }
        if (strcmp(base->digest, config->base_digest) == 0) return DT_OK;
        if (!*other) {
            memcpy(other, name, sizeof other);
            memcpy(digest, base->digest, sizeof digest);
        }
        dt_checkpoint_destroy(base);
    }
    DT_REQUIRE(
        *other || !*why, DT_ERR_DATA,
        "%s needs its base, and what is there cannot be used: %s; put a whole one (digest %s) "
        "beside it as base.h5",
        path, why, config->base_digest);
    if (!*other) return raise_missing(config, path);
    DT_RAISE(
        DT_ERR_DATA,
        "%s is not the base that %s was trained on: its digest is %s, and was %s; put that one "
        "back, or beside the adapter as base.h5",
        other, path, digest, config->base_digest);
}

dt_status dt_base_read(dt_checkpoint *checkpoint, const char *path) {
    dt_checkpoint base = {0};
    dt_status status;
    if (!dt_checkpoint_is_adapter(checkpoint)) return DT_OK;
    DT_TRY_DONE(read_right(&base, &checkpoint->config, path));
    DT_TRY_DONE(dt_memory_alloc(&checkpoint->frozen, checkpoint->layout.frozen_bytes, 1,
                                "weights of the base"));
    DT_TRY_DONE(
        dt_layout_fill_frozen(checkpoint->frozen, &checkpoint->layout, &base.layout, base.weights));
done:
    dt_checkpoint_destroy(&base);
    return status;
}

dt_status dt_base_name(dt_config *config, const dt_checkpoint *base, const char *path) {
    char name[DT_PATH_MAX];
    DT_REQUIRE(!config->base_digest[0] || strcmp(config->base_digest, base->digest) == 0,
               DT_ERR_DATA, "%s is not the base that is asked for: its digest is %s, and not %s",
               path, base->digest, config->base_digest);
    const dt_status status = dt_path_between(name, sizeof name, config->out, path);
    if (status != DT_OK) return status;
    DT_TRY(dt_config_set(config, dt_setting_find("base"), name, "the base"));
    return dt_config_set(config, dt_setting_find("base-digest"), base->digest, "its digest");
}

/* ---- merged with it ---- */

/* w += factor b a, in double. */
static void add_product(float *w, const float *b, const float *a, size_t rows, size_t columns,
                        size_t rank, double factor) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            double sum = 0;
            for (size_t r = 0; r < rank; r++)
                sum += (double)b[i * rank + r] * (double)a[r * columns + j];
            w[i * columns + j] = (float)((double)w[i * columns + j] + factor * sum);
        }
    }
}

/* All weights of the merged model. */
static dt_status fill_merged(float *weights, const dt_layout *merged, const dt_checkpoint *c) {
    const double factor = c->config.lora_alpha / (double)c->config.lora_rank;
    for (size_t i = 0; i < merged->parameters; i++) {
        const dt_parameter *p = &merged->parameter[i];
        const dt_parameter *from = dt_layout_find(&c->layout, p->name), *a, *b;
        float *w = weights + p->offset;
        dt_layout_values(w, c->frozen, from);
        if (dt_layout_find_adapter(&a, &b, &c->layout, from))
            add_product(w, c->weights + b->offset, c->weights + a->offset, p->extent[0],
                        p->extent[1], (size_t)c->config.lora_rank, factor);
        const size_t at = dt_finite_count(w, p->count);
        DT_REQUIRE(at == p->count, DT_ERR_DATA, "%s is not finite when it is merged", p->name);
    }
    return DT_OK;
}

/* The settings of the adapter's run, without its adapters. */
static dt_status forget_adapter(dt_config *config) {
    dt_config standard;
    dt_config_defaults(&standard);
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (strcmp(setting->section, "adapter") != 0) continue;
        char text[DT_PATH_MAX];
        dt_config_text(text, sizeof text, &standard, setting);
        DT_TRY(dt_config_set(config, setting, text, setting->name));
    }
    return DT_OK;
}

dt_status dt_checkpoint_begin(dt_checkpoint *c) {
    const size_t count = c->layout.count;
    dt_memory_free(&c->m);
    dt_memory_free(&c->v);
    dt_memory_free(&c->iterate);
    if (c->metrics) dt_metrics_clear(c->metrics);
    dt_memory_free(&c->metrics);
    DT_TRY(dt_memory_alloc(&c->m, count, sizeof *c->m, "moments"));
    DT_TRY(dt_memory_alloc(&c->v, count, sizeof *c->v, "moments"));
    if (c->config.average > 0) {
        DT_TRY(dt_memory_alloc(&c->iterate, count, sizeof *c->iterate, "weights"));
        memcpy(c->iterate, c->weights, count * sizeof *c->iterate);
    }
    c->state = (dt_run_state){.best = -1, .best_step = -1};
    return dt_memory_alloc(&c->metrics, 1, sizeof *c->metrics, "metrics");
}

dt_status dt_base_merge(dt_checkpoint *c) {
    dt_model_shape shape = c->shape;
    dt_layout merged = {0};
    float *weights = NULL;
    dt_status status;
    DT_REQUIRE(c->frozen && c->weights, DT_ERR_INTERNAL, "an adapter is merged without its base");
    if (c->shape.lora.matrices != DT_ELEMENT_FLOAT32)
        dt_log_info(
            "the adapter is merged into the values of its base %s in %s, dequantised: those "
            "that it was trained with",
            c->config.base, dt_quantised_name(c->shape.lora.matrices));
    shape.lora = (dt_lora){0};
    DT_TRY_DONE(dt_layout_create(&merged, &shape));
    DT_TRY_DONE(dt_memory_alloc(&weights, merged.count, sizeof *weights, "weights"));
    DT_TRY_DONE(fill_merged(weights, &merged, c));
    DT_TRY_DONE(forget_adapter(&c->config));
    dt_memory_free(&c->frozen);
    dt_memory_free(&c->weights);
    dt_layout_destroy(&c->layout);
    c->shape = shape;
    c->layout = merged;
    c->weights = weights;
    merged = (dt_layout){0};
    weights = NULL;
done:
    dt_memory_free(&weights);
    dt_layout_destroy(&merged);
    return status;
}
