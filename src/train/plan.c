/* Decides how a start begins: a new run, from a checkpoint, or not at all because the run is
 * finished. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "dtrain/core/log.h"
#include "dtrain/core/path.h"
#include "dtrain/data/source.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/writer.h"
#include "dtrain/train/trainer.h"

/* Checks that the settings may change on the way from `before` to `now`. Lists the changes. */
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

/* Begins with the weights of another run: its model settings stay, everything else is new. */
static dt_status plan_from_weights(dt_start_plan *plan, const dt_checkpoint *checkpoint,
                                   const dt_start_request *request) {
    DT_TRY(dt_checkpoint_check_vocabulary(checkpoint, plan->path));
    DT_REQUIRE(!dt_checkpoint_is_adapter(checkpoint), DT_ERR_ARG,
               "%s is an adapter, without the weights of its base; make one model of both first: "
               "dtrain merge %s --out MODEL",
               plan->path, plan->path);
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
    /* The new run's data replaces what the old run's data decided. */
    DT_TRY(dt_source_forget(&next));
    DT_TRY(dt_overrides_apply(&next, &request->given));
    DT_TRY(dt_source_replace(&next, &plan->config));
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
    /* A digest is that of the base which the settings name. */
    if (request->init_from) memset(next.base_digest, 0, sizeof next.base_digest);
    if (next.lora_rank > 0) DT_TRY(dt_base_name(&next, checkpoint, plan->path));
    plan->config = next;
    plan->kind = DT_START_FROM_WEIGHTS;
    snprintf(plan->changed, sizeof plan->changed, "%s %.150s, step %lld",
             next.lora_rank > 0 ? "adapters for" : "weights from", plan->path,
             (long long)checkpoint->state.step);
    return DT_OK;
}

/* Lengths that follow from the data become settings of the run: later data must fit them. */
static dt_status settle_shape(dt_config *config) {
    dt_model_shape shape;
    DT_TRY(dt_model_shape_from(&shape, config, 1));
    config->context = (int64_t)shape.T;
    config->places = (int64_t)shape.P - 1;
    return DT_OK;
}

/* Whether the start that wrote this checkpoint finished, with the last validation; the last step
 * alone is not the end. */
static bool has_ended(const dt_checkpoint *checkpoint) {
    const dt_metrics *metrics = checkpoint->metrics;
    const dt_history_row *row =
        metrics->history_count ? &metrics->history[metrics->history_count - 1] : NULL;
    return row && strncmp(row->stopped, DT_FINISHED, strlen(DT_FINISHED)) == 0;
}

/* Whether values of validations can be compared: the same metric on the same problems. If not, the
 * best value so far no longer counts. */
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

/* With what lies beside the checkpoint: a finished run writes nothing to another --out. */
static dt_status settle_beside(dt_config *config, const char *path,
                               const dt_checkpoint *checkpoint) {
    char out[DT_PATH_MAX];
    memcpy(out, config->out, sizeof out);
    DT_TRY(dt_run_folder_of(config->out, sizeof config->out, path));
    const dt_status status = dt_source_settle(config, checkpoint->tokenizer);
    memcpy(config->out, out, sizeof out);
    return status;
}

/* The base as seen from the folder that the run goes on in: the one that is given, or that is
 * found. If there is none, who reads it says so. */
static dt_status settle_base(dt_config *config, const char *path, const dt_start_request *request) {
    char base[DT_PATH_MAX], name[DT_PATH_MAX];
    if (config->lora_rank == 0) return DT_OK;
    if (dt_overrides_has(&request->given, "base")) {
        DT_TRY(dt_run_resolve(base, sizeof base, config->base));
    } else if (dt_base_find(base, sizeof base, config, path) != DT_OK) {
        dt_error_clear();
        return DT_OK;
    }
    DT_TRY(dt_path_between(name, sizeof name, config->out, base));
    return dt_config_set(config, dt_setting_find("base"), name, "the base");
}

/* Continues from a checkpoint of this run, with changed settings. */
static dt_status plan_resume(dt_start_plan *plan, const dt_checkpoint *checkpoint,
                             const dt_start_request *request) {
    dt_config next = checkpoint->config;
    DT_TRY(dt_overrides_apply(&next, &request->given));
    memcpy(next.out, plan->config.out, sizeof next.out);
    DT_TRY(settle_base(&next, plan->path, request));
    /* These were decided when the run began, and the bits depend on them. */
    if (next.precision == DT_PRECISION_AUTO) next.precision = checkpoint->config.precision;
    if (next.windows == DT_WINDOWS_AUTO) next.windows = checkpoint->config.windows;
    if (next.micro_batch == 0) next.micro_batch = checkpoint->config.micro_batch;
    const dt_source_kind *was = dt_source_kind_of(&checkpoint->config);
    const dt_source_kind *is = dt_source_kind_of(&next);
    DT_REQUIRE(is == was, DT_ERR_ARG,
               "%s was trained on %s, and that cannot become %s on the way; start another run "
               "with --out DIR or --fresh",
               plan->path, was->subject(&checkpoint->config), is->subject(&next));
    DT_TRY(dt_config_check(&next));
    DT_TRY(dt_source_check(&next));
    DT_TRY(dt_source_check_given(&next, &request->given));
    DT_TRY(settle_beside(&next, plan->path, checkpoint));
    DT_TRY(compare_settings(plan->changed, sizeof plan->changed, &checkpoint->config, &next,
                            plan->path));
    dt_run_state state = checkpoint->state;
    dt_start_measure_anew(&state, &checkpoint->config, &next);
    const bool finished = state.step >= next.steps || dt_trainer_patience_over(&next, &state);
    plan->kind = finished && has_ended(checkpoint) ? DT_START_FINISHED : DT_START_RESUME;
    if (plan->kind == DT_START_RESUME)
        DT_TRY(dt_checkpoint_check_vocabulary(checkpoint, plan->path));
    const dt_config *before = &checkpoint->config;
    plan->stretched = next.steps != before->steps && next.lr == before->lr &&
                      next.schedule == before->schedule && next.warmup == before->warmup &&
                      next.min_lr == before->min_lr;
    plan->planned_lr = dt_schedule_lr(before, state.step);
    plan->config = next;
    plan->state = plan->kind == DT_START_RESUME ? state : checkpoint->state;
    if (request->init_from) {
        dt_log_info("%s has checkpoints already and goes on from those: --init-from is for the "
                    "start of a run (give it an --out DIR of its own, or --fresh)",
                    plan->config.out);
    }
    return DT_OK;
}

dt_status dt_plan_begin(dt_start_plan *plan, const dt_start_request *request) {
    memset(plan, 0, sizeof *plan);
    plan->newest = -1;
    dt_config_defaults(&plan->config);
    DT_TRY(dt_overrides_apply(&plan->config, &request->given));
    DT_REQUIRE(!(request->fresh && request->resume), DT_ERR_ARG,
               "--fresh and --resume contradict each other; leave one out");
    DT_REQUIRE(!(request->init_from && request->resume), DT_ERR_ARG,
               "--init-from begins a new run and --resume goes on with an old one; leave one out");
    DT_TRY(dt_config_check(&plan->config));
    DT_TRY(dt_source_check(&plan->config));
    return dt_source_check_given(&plan->config, &request->given);
}

/* Whether a person has set the shards. */
static dt_status has_shards(bool *given, const dt_overrides *overrides) {
    *given = dt_overrides_has(overrides, "shards");
    if (*given || !overrides->config_file) return DT_OK;
    dt_config file;
    dt_config_defaults(&file);
    file.shards = 0;
    DT_TRY(dt_config_read(&file, overrides->config_file));
    *given = file.shards != 0;
    return DT_OK;
}

dt_status dt_plan_settle_shards(dt_config *config, const dt_overrides *overrides, size_t ranks) {
    bool given;
    DT_TRY(has_shards(&given, overrides));
    if (given || ranks <= (size_t)config->shards) return DT_OK;
    int64_t shards = config->shards;
    while (shards < 4 * (int64_t)ranks && 2 * shards <= config->batch && shards < DT_MAX_SHARDS)
        shards *= 2;
    if (shards >= (int64_t)ranks) config->shards = shards;
    return DT_OK;
}

static dt_status settle_shards(dt_config *config, const dt_overrides *overrides, size_t ranks) {
    const int64_t shards = config->shards;
    DT_TRY(dt_plan_settle_shards(config, overrides, ranks));
    if (config->shards == shards) return DT_OK;
    dt_log_info(
        "the batch is cut into %lld shards, the most ranks that this run can use: it begins "
        "with %zu ranks, and --shards is not given; the bits of a run depend on it",
        (long long)config->shards, ranks);
    return DT_OK;
}

dt_status dt_plan_decide(dt_start_plan *plan, dt_found found, const dt_checkpoint *checkpoint,
                         const dt_start_request *request, size_t ranks) {
    const bool resumes = found == DT_FOUND_CHECKPOINT;
    plan->kind = DT_START_NEW;
    if (found != DT_FOUND_NOTHING) DT_TRY(dt_checkpoint_expect_floats(checkpoint, plan->path));
    if (resumes) {
        DT_TRY(plan_resume(plan, checkpoint, request));
    } else {
        if (found == DT_FOUND_WEIGHTS) DT_TRY(plan_from_weights(plan, checkpoint, request));
        DT_REQUIRE(plan->config.lora_rank == 0 || found == DT_FOUND_WEIGHTS, DT_ERR_ARG,
                   "--lora-rank %lld trains adapters beside the weights of another model; add "
                   "--init-from RUN",
                   (long long)plan->config.lora_rank);
        DT_TRY(dt_source_settle(&plan->config,
                                found == DT_FOUND_WEIGHTS ? checkpoint->tokenizer : NULL));
        DT_TRY(settle_shape(&plan->config));
        DT_TRY(settle_shards(&plan->config, &request->given, ranks));
    }
    DT_TRY(dt_config_check(&plan->config));
    DT_TRY(dt_source_check(&plan->config));
    dt_model_shape shape;
    DT_TRY(dt_model_shape_from(&shape, &plan->config, 1)); /* checks that the problems fit */
    DT_REQUIRE(ranks <= (size_t)plan->config.shards, DT_ERR_ARG,
               "%zu ranks are more than the %lld shards of the run: start at most %lld ranks%s",
               ranks, (long long)plan->config.shards, (long long)plan->config.shards,
               resumes ? "" : ", or give a larger power of two with --shards");
    return DT_OK;
}
