/* The import command: a model of other programs as the beginning of a run. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "dtrain/core/clock.h"
#include "dtrain/core/json.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/export/import.h"
#include "dtrain/folder/foreign.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/publish.h"

typedef struct {
    const char *source; /* a folder, or a file of tensors */
    bool json;
} import_options;

/* A run of another model is never mixed with this one. */
static dt_status check_folder(const char *folder) {
    int64_t *steps = NULL;
    size_t count = 0;
    dt_foreign found;
    if (!dt_is_folder(folder)) return DT_OK;
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    dt_memory_free(&steps);
    DT_TRY(dt_foreign_find(&found, folder));
    DT_REQUIRE(
        count == 0 && found.settings == DT_SETTINGS_NONE && !found.checkpoint[0] && !found.log,
        DT_ERR_CREATE,
        "%s is the folder of a run already; give the model one of its own with --out DIR", folder);
    return DT_OK;
}

static dt_status add_history(dt_checkpoint *checkpoint, const char *source) {
    dt_history_row row = {.ranks = 1, .nodes = 1, .stopped = "imported"};
    dt_utc_now(row.time, sizeof row.time);
    snprintf(row.changed, sizeof row.changed, "weights from %.200s", source);
    return dt_metrics_add_history(checkpoint->metrics, &row);
}

static void print(const dt_checkpoint *c, bool json) {
    char path[DT_PATH_MAX];
    if (dt_run_checkpoint_path(path, sizeof path, c->config.out, c->state.step) != DT_OK) return;
    if (json) {
        printf("{\"checkpoint\":");
        dt_json_print_text(path);
        printf(",\"parameters\":%zu,\"layers\":%zu,\"width\":%zu,\"heads\":%zu,\"vocabulary\":%zu,"
               "\"context\":%zu}\n",
               c->layout.weights, c->shape.L, c->shape.C, c->shape.H, c->shape.V, c->shape.T);
    } else {
        printf(
            "%s: %zu parameters: %zu layers, width %zu, %zu heads, vocabulary %zu, context %zu\n",
            path, c->layout.weights, c->shape.L, c->shape.C, c->shape.H, c->shape.V, c->shape.T);
    }
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const import_options *options = own;
    dt_checkpoint checkpoint = {0};
    dt_config wanted;
    dt_status status;
    (void)s;
    DT_REQUIRE(dt_overrides_has(given, "out"), DT_ERR_ARG,
               "where to? Give a folder for the run: --out DIR");
    dt_config_defaults(&wanted);
    DT_TRY(dt_overrides_apply(&wanted, given));
    DT_TRY(check_folder(wanted.out));
    DT_TRY_DONE(dt_import_read(&checkpoint, options->source));
    memcpy(checkpoint.config.out, wanted.out, sizeof wanted.out);
    DT_TRY_DONE(add_history(&checkpoint, options->source));
    DT_TRY_DONE(dt_run_folder_open(wanted.out));
    DT_TRY_DONE(dt_publish_settings(&checkpoint.config));
    DT_TRY_DONE(dt_publish_checkpoint(&checkpoint, NULL));
    print(&checkpoint, options->json);
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(import_options, source), "MODEL", NULL, NULL},
    {OPTION_FLAG, offsetof(import_options, json), "json", NULL, "print JSON"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level", "out"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

static dt_status check(const void *own) {
    DT_REQUIRE(((const import_options *)own)->source, DT_ERR_ARG,
               "which model? Give a folder with model.safetensors, or that file");
    return DT_OK;
}

const command IMPORT = {
    .name = "import",
    .usage = "DIR|FILE.safetensors --out RUN",
    .help = "Begin a run with a model of other programs: a GPT-2 in safetensors, with config.json "
            "and tokenizer.json beside it, or what dtrain has exported. Then ask it, or train it: "
            "--init-from RUN.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(import_options),
    .check = check,
    .run = run,
};
