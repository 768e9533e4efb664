/* The merge command: an adapter and its base as one ordinary model. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "dtrain/folder/run_folder.h"
#include "new_run.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    bool json;
} merge_options;

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const merge_options *options = own;
    dt_checkpoint checkpoint = {0};
    char out[DT_PATH_MAX], path[DT_PATH_MAX], from[256];
    dt_status status;
    (void)s;
    DT_TRY(new_run_folder(out, given));
    DT_TRY(dt_run_resolve(path, sizeof path, options->target));
    DT_TRY_DONE(dt_checkpoint_read(&checkpoint, path, DT_READ_WEIGHTS));
    DT_REQUIRE_DONE(dt_checkpoint_is_adapter(&checkpoint), DT_ERR_ARG,
                    "%s is a whole model; merge makes one of an adapter and its base", path);
    DT_TRY_DONE(dt_base_read(&checkpoint, path));
    const dt_element element = checkpoint.shape.lora.matrices;
    snprintf(from, sizeof from, "%.100s merged into %.100s%s%s", path, checkpoint.config.base,
             element == DT_ELEMENT_FLOAT32 ? "" : ", dequantised from ",
             element == DT_ELEMENT_FLOAT32 ? "" : dt_quantised_name(element));
    DT_TRY_DONE(dt_base_merge(&checkpoint));
    DT_TRY_DONE(dt_checkpoint_begin(&checkpoint));
    memcpy(checkpoint.config.out, out, sizeof out);
    status = new_run_write(&checkpoint, "merged", from, options->json);
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(merge_options, target), "CHECKPOINT", NULL, NULL},
    {OPTION_FLAG, offsetof(merge_options, json), "json", NULL, "print JSON"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level", "out"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

static dt_status check(const void *own) {
    return command_check_target(((const merge_options *)own)->target);
}

const command MERGE = {
    .name = "merge",
    .usage = "CHECKPOINT|RUN --out MODEL",
    .help = "Make one ordinary model of an adapter (--lora-rank), of a run the best one, and its "
            "base: each matrix becomes W + alpha / rank b a. It is the beginning of a run.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(merge_options),
    .check = check,
    .run = run,
};
