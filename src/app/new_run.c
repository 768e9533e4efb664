/* Writes the first checkpoint of a run that begins with a model that is there already. */
#include "new_run.h"

#include <stdio.h>
#include <string.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/foreign.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/run/publish.h"

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

dt_status new_run_folder(char out[DT_PATH_MAX], const dt_overrides *given) {
    dt_config wanted;
    DT_REQUIRE(dt_overrides_has(given, "out"), DT_ERR_ARG,
               "where to? Give a folder for the run: --out DIR");
    dt_config_defaults(&wanted);
    DT_TRY(dt_overrides_apply(&wanted, given));
    memcpy(out, wanted.out, DT_PATH_MAX);
    return check_folder(out);
}

dt_status new_run_tell(dt_checkpoint *checkpoint, const char *how, const char *from) {
    dt_history_row row = {.step = checkpoint->state.step, .ranks = 1, .nodes = 1};
    dt_utc_now(row.time, sizeof row.time);
    snprintf(row.stopped, sizeof row.stopped, "%s", how);
    snprintf(row.changed, sizeof row.changed, "%.250s", from);
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

dt_status new_run_write(dt_checkpoint *checkpoint, const char *how, const char *from, bool json) {
    DT_TRY(new_run_tell(checkpoint, how, from));
    DT_TRY(dt_run_folder_open(checkpoint->config.out));
    DT_TRY(dt_publish_checkpoint(checkpoint, NULL));
    DT_TRY(dt_publish_settings(&checkpoint->config)); /* which make it the folder of a run */
    print(checkpoint, json);
    return DT_OK;
}
