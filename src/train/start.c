/* How a start begins: anew, from a checkpoint, or not at all because the run is finished. Rank 0
 * decides. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/run/newest.h"
#include "dtrain/train/start.h"
#include "dtrain/train/trainer.h"

/* May these settings go on with that checkpoint? Lists what is different. */
static dt_status compare_settings(char *changed, size_t size, const dt_config *before,
                                  const dt_config *now, const char *path) {
    changed[0] = '\0';
    for (dt_setting_change c = {0}; dt_config_next_change(&c, before, now);) {
        DT_REQUIRE(c.setting->scope == DT_SETTING_FREE, DT_ERR_ARG,
                   "%s was trained with --%s %s, which cannot become %s on the way; leave the "
                   "option out, or start another run with --out DIR or --fresh",
                   path, c.setting->name, c.was, c.is);
        dt_setting_change_append(changed, size, &c);
    }
    return DT_OK;
}

/* A name beside the folder that is still free: runs/default.20260131-120000. */
static dt_status set_aside(const char *path) {
    struct stat there;
    if (stat(path, &there) != 0) return DT_OK;
    DT_REQUIRE(S_ISDIR(there.st_mode), DT_ERR_CREATE,
               "%s cannot be the folder of a run: a file of that name is in the way; give another "
               "--out",
               path);
    char folder[DT_PATH_MAX], aside[DT_PATH_MAX + 32], stamp[32];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--; /* beside it, not in it */
    snprintf(folder, sizeof folder, "%.*s", (int)length, path);
    dt_utc_format(stamp, sizeof stamp, "%Y%m%d-%H%M%S");
    int tries = 0;
    do {
        snprintf(aside, sizeof aside, tries ? "%s.%s-%d" : "%s.%s", folder, stamp, tries);
    } while (stat(aside, &there) == 0 && ++tries < 1000);
    dt_run_lock *lock = NULL;
    if (dt_run_is_locked(folder)) DT_TRY(dt_run_lock_take(&lock, folder, 1));
    const int error = rename(folder, aside) == 0 ? 0 : errno;
    dt_run_lock_release(&lock);
    DT_REQUIRE(!error, DT_ERR_CREATE, "%s cannot be renamed to %s: %s", folder, aside,
               strerror(error));
    dt_log_info("--fresh: what was in %s is now in %s", folder, aside);
    return DT_OK;
}

/* The step of the newest checkpoint in a folder, damaged or not; -1: there is none. */
static dt_status find_newest(int64_t *newest, const char *folder) {
    int64_t *steps = NULL;
    size_t count = 0;
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    *newest = count ? steps[0] : -1;
    dt_memory_free(&steps);
    return DT_OK;
}

/* Going on from an older file in its own folder would leave two futures there. */
static dt_status check_no_newer(const char *folder, int64_t newest, int64_t step) {
    DT_REQUIRE(newest <= step, DT_ERR_ARG,
               "%s has a checkpoint of step %lld, newer than the step %lld to go on from; give the "
               "new branch a folder of its own "
               "with --out DIR",
               folder, (long long)newest, (long long)step);
    return DT_OK;
}

static dt_status find_checkpoint(dt_start_plan *plan, dt_checkpoint *checkpoint,
                                 const dt_start_request *request, bool *found) {
    *found = false;
    plan->newest = -1;
    if (request->resume) {
        /* Of a folder, its newest one that is whole. */
        if (dt_is_folder(request->resume)) {
            DT_TRY(dt_newest_read(checkpoint, plan->path, sizeof plan->path, request->resume,
                                  INT64_MAX, DT_READ_ALL, found));
            DT_REQUIRE(*found, DT_ERR_NO_INPUT, "--resume %s: there is no checkpoint in it",
                       request->resume);
        } else {
            DT_TRY(dt_run_resolve(plan->path, sizeof plan->path, request->resume));
            DT_TRY(dt_checkpoint_read(checkpoint, plan->path, DT_READ_ALL));
            *found = true;
        }
        /* Without --out it goes on in the file's own folder. */
        if (!dt_overrides_has(&request->given, "out"))
            DT_TRY(dt_run_folder_of(plan->config.out, sizeof plan->config.out, plan->path));
        if (!dt_is_folder(plan->config.out)) return DT_OK;
        DT_TRY(find_newest(&plan->newest, plan->config.out));
        return check_no_newer(plan->config.out, plan->newest, checkpoint->state.step);
    }
    if (request->fresh) return request->check_gradients ? DT_OK : set_aside(plan->config.out);
    /* What is in the way of a folder, dt_run_folder_open refuses: an output that cannot be created.
     */
    if (!dt_is_folder(plan->config.out)) return DT_OK;
    DT_TRY(find_newest(&plan->newest, plan->config.out));
    return dt_newest_read(checkpoint, plan->path, sizeof plan->path, plan->config.out, INT64_MAX,
                          DT_READ_ALL, found);
}

/* Weights of another run: the model's settings are that one's, everything else is new. */
static dt_status take_weights(dt_start_plan *plan, dt_checkpoint *checkpoint,
                              const dt_start_request *request) {
    DT_TRY(dt_run_resolve(plan->path, sizeof plan->path, request->init_from));
    DT_TRY(dt_checkpoint_read(checkpoint, plan->path, DT_READ_WEIGHTS));
    DT_TRY(dt_checkpoint_check_vocabulary(checkpoint, plan->path));
    dt_config next;
    dt_config_defaults(&next);
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (strcmp(setting->section, "model") != 0 && strcmp(setting->section, "data") != 0)
            continue;
        char was[DT_PATH_MAX];
        dt_config_text(was, sizeof was, &checkpoint->config, setting);
        DT_TRY(dt_config_set(&next, setting, was, setting->name));
    }
    /* What the old run's data has decided, the new one's decides anew. */
    DT_TRY(dt_source_forget(&next));
    DT_TRY(dt_overrides_apply(&next, &request->given));
    for (dt_setting_change c = {0}; dt_config_next_change(&c, &checkpoint->config, &next);) {
        const dt_setting *setting = c.setting;
        const bool shapes =
            setting->scope == DT_SETTING_FIXED &&
            !dt_source_settles(&checkpoint->config, setting) &&
            !dt_source_settles(&next, setting) &&
            (strcmp(setting->section, "model") == 0 || strcmp(setting->section, "data") == 0);
        DT_REQUIRE(!shapes, DT_ERR_ARG,
                   "the weights of %s are those of a model with --%s %s; they do not fit --%s %s",
                   plan->path, setting->name, c.was, setting->name, c.is);
    }
    memcpy(next.out, plan->config.out, sizeof next.out);
    plan->config = next;
    plan->kind = DT_START_FROM_WEIGHTS;
    snprintf(plan->changed, sizeof plan->changed, "weights from %.150s, step %lld", plan->path,
             (long long)checkpoint->state.step);
    return DT_OK;
}

/* Lengths that follow from the data at first become part of the run: later data has to fit them. */
static dt_status settle_shape(dt_config *config) {
    dt_model_shape shape;
    DT_TRY(dt_model_shape_from(&shape, config, 1));
    config->context = (int64_t)shape.T;
    config->places = (int64_t)shape.P - 1;
    return DT_OK;
}

/* Whether the start that wrote this came to its end, the last validation included; the last step
 * alone is not the end. */
static bool has_ended(const dt_checkpoint *checkpoint) {
    const dt_metrics *metrics = checkpoint->metrics;
    const dt_history_row *row =
        metrics->history_count ? &metrics->history[metrics->history_count - 1] : NULL;
    return row && strncmp(row->stopped, DT_FINISHED, strlen(DT_FINISHED)) == 0;
}

/* Whether values of validations mean the same: the same metric on the same problems. If not, the
 * best one so far says nothing about those to come. */
static bool same_measure(const dt_config *x, const dt_config *y) {
    return x->metric == y->metric && x->eval_examples == y->eval_examples &&
           dt_source_same_texts(x, y);
}

void dt_start_measure_anew(dt_run_state *state, const dt_config *before, const dt_config *now) {
    if (same_measure(before, now)) return;
    state->best = -1;
    state->best_step = -1;
    state->stale = 0;
}

static dt_status plan_start(dt_start_plan *plan, dt_checkpoint *checkpoint,
                            const dt_start_request *request, size_t ranks) {
    dt_config_defaults(&plan->config);
    DT_TRY(dt_overrides_apply(&plan->config, &request->given));
    DT_REQUIRE(!(request->fresh && request->resume), DT_ERR_ARG,
               "--fresh and --resume contradict each other; leave one out");
    DT_REQUIRE(!(request->init_from && request->resume), DT_ERR_ARG,
               "--init-from begins a new run and --resume goes on with an old one; leave one out");
    DT_TRY(dt_config_check(&plan->config));
    DT_TRY(dt_source_check(&plan->config));
    bool found;
    DT_TRY(find_checkpoint(plan, checkpoint, request, &found));
    plan->kind = DT_START_NEW;
    if (!found && request->init_from) DT_TRY(take_weights(plan, checkpoint, request));
    if (!found) DT_TRY(dt_source_settle(&plan->config));
    if (!found) DT_TRY(settle_shape(&plan->config));
    if (found) {
        dt_config next = checkpoint->config;
        DT_TRY(dt_overrides_apply(&next, &request->given));
        memcpy(next.out, plan->config.out, sizeof next.out);
        const dt_source_kind *was = dt_source_kind_of(&checkpoint->config);
        const dt_source_kind *is = dt_source_kind_of(&next);
        DT_REQUIRE(is == was, DT_ERR_ARG,
                   "%s was trained on %s, and that cannot become %s on the way; start another run "
                   "with --out DIR or --fresh",
                   plan->path, was->subject(&checkpoint->config), is->subject(&next));
        DT_TRY(dt_config_check(&next));
        DT_TRY(dt_source_check(&next));
        DT_TRY(dt_source_settle(&next));
        DT_TRY(compare_settings(plan->changed, sizeof plan->changed, &checkpoint->config, &next,
                                plan->path));
        dt_run_state state = checkpoint->state;
        dt_start_measure_anew(&state, &checkpoint->config, &next);
        const bool finished = state.step >= next.steps || dt_trainer_patience_over(&next, &state);
        plan->kind = finished && has_ended(checkpoint) ? DT_START_FINISHED : DT_START_RESUME;
        if (plan->kind == DT_START_RESUME) {
            DT_TRY(dt_checkpoint_check_vocabulary(checkpoint, plan->path));
            checkpoint->state = state;
        }
        plan->config = next;
        plan->state = checkpoint->state;
        if (request->init_from) {
            dt_log_info("%s has checkpoints already and goes on from those: --init-from is for the "
                        "start of a run (give it an --out DIR of its own, or --fresh)",
                        plan->config.out);
        }
    }
    DT_TRY(dt_config_check(&plan->config));
    DT_TRY(dt_source_check(&plan->config));
    dt_model_shape shape;
    DT_TRY(dt_model_shape_from(&shape, &plan->config, 1)); /* do the problems fit? */
    DT_REQUIRE(ranks <= (size_t)plan->config.shards, DT_ERR_ARG,
               "%zu ranks are more than the %lld shards of the run: start at most %lld ranks%s",
               ranks, (long long)plan->config.shards, (long long)plan->config.shards,
               found ? "" : ", or give a larger power of two with --shards");
    return DT_OK;
}

static void warn_of_links(const dt_start_plan *plan) {
    if (dt_run_links_work(plan->config.out)) return;
    dt_log_warn(
        "symbolic links cannot be made in %s: latest.txt and best.txt hold the names of the "
        "checkpoints that latest.h5 and best.h5 would point to",
        plan->config.out);
}

static dt_status decide(dt_start_plan *plan, dt_checkpoint *checkpoint, dt_run_lock **lock,
                        const dt_start_request *request, size_t ranks) {
    for (;;) {
        memset(plan, 0, sizeof *plan);
        DT_TRY(plan_start(plan, checkpoint, request, ranks));
        if (plan->kind == DT_START_FINISHED || request->check_gradients) return DT_OK;
        DT_TRY(dt_run_folder_open(plan->config.out));
        if (!*lock) DT_TRY(dt_run_lock_take(lock, plan->config.out, ranks));
        int64_t newest;
        DT_TRY(find_newest(&newest, plan->config.out));
        if (newest == plan->newest) {
            warn_of_links(plan);
            return DT_OK;
        }
        /* Whoever had the lock until now has gone on meanwhile: look again. */
        DT_REQUIRE(!request->fresh, DT_ERR_CREATE,
                   "another dtrain has just begun in the folder %s; start again", plan->config.out);
        dt_checkpoint_destroy(checkpoint);
    }
}

dt_status dt_start_decide(dt_start_plan *plan, dt_checkpoint *checkpoint, dt_run_lock **lock,
                          dt_session *s, const dt_start_request *request) {
    memset(plan, 0, sizeof *plan);
    dt_status status = DT_OK;
    if (dt_comm_rank(s->comm) == 0)
        status = decide(plan, checkpoint, lock, request, dt_comm_size(s->comm));
    DT_TRY(dt_comm_agree(s->comm, status));
    DT_TRY(dt_comm_broadcast(s->comm, plan, sizeof *plan));
    dt_log_open((dt_log_level)plan->config.log_level, (int)dt_comm_rank(s->comm));
    return dt_comm_split_nodes(s->comm, (size_t)plan->config.ranks_per_node);
}
