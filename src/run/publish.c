/* Writes checkpoints and settings into the folder of the run. */
#include "dtrain/run/publish.h"

#include <errno.h>
#include <sys/stat.h>

#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"

dt_status dt_publish_settings(const dt_config *config) {
    char *ini;
    DT_TRY(dt_config_format(&ini, config, false));
    const dt_status status = dt_run_write_text(config->out, "config.ini", ini);
    dt_memory_free(&ini);
    return status;
}

/* Creates a deleted folder again: memory holds the only copy of the run. */
static dt_status ensure_folder(const dt_config *config) {
    struct stat there;
    if (stat(config->out, &there) == 0 || errno != ENOENT) return DT_OK;
    DT_TRY(dt_run_folder_open(config->out));
    dt_log_warn("the folder %s was deleted with its content; it has been created again, and the "
                "run continues in it",
                config->out);
    return dt_publish_settings(config);
}

dt_status dt_publish_checkpoint(const dt_checkpoint *checkpoint, dt_checkpoint_needless *needless) {
    const dt_run_state *state = &checkpoint->state;
    const dt_config *config = &checkpoint->config;
    char path[DT_PATH_MAX];
    DT_TRY(ensure_folder(config));
    DT_TRY(dt_run_checkpoint_path(path, sizeof path, config->out, state->step));
    dt_run_uncache(config->out);
    DT_TRY(dt_checkpoint_write_unless(path, checkpoint, needless));
    /* best.h5 as well, in case it should point to an earlier file but could not be created then:
     * without the link that file would be removed. */
    DT_TRY(dt_run_links(config->out, state->step, state->best_step));
    /* The newest checkpoint is known to be healthy only after a step from it. Until then the one
     * before it is kept too. */
    return dt_run_rotate(config->out, config->keep == 1 ? 2 : config->keep);
}
