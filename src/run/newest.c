/* Finds the newest readable checkpoint of a run. */
#include "dtrain/run/newest.h"

#include <errno.h>
#include <unistd.h>

#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"

/* The result of one look at a folder. */
typedef struct {
    size_t tried, vanished;
    bool found;
} search;

static bool has_vanished(const char *path) { return access(path, F_OK) != 0 && errno == ENOENT; }

static dt_status look(search *s, dt_checkpoint *checkpoint, char *path, size_t size,
                      const char *folder, int64_t before, dt_read_depth depth) {
    int64_t *steps = NULL;
    size_t count = 0;
    *s = (search){0};
    dt_status status;
    DT_TRY_DONE(dt_run_checkpoints(&steps, &count, folder));
    for (size_t i = 0; i < count && !s->found; i++) {
        if (steps[i] >= before) continue;
        DT_TRY_DONE(dt_run_checkpoint_path(path, size, folder, steps[i]));
        status = dt_checkpoint_read(checkpoint, path, depth);
        s->found = status == DT_OK;
        if (s->found) break;
        dt_checkpoint_destroy(checkpoint);
        if (has_vanished(path)) {
            s->vanished++;
        } else if (status == DT_ERR_DATA || status == DT_ERR_IO) {
            s->tried++;
            dt_log_warn("%s; trying the one before it", dt_error_text());
        } else {
            goto done;
        }
        dt_error_clear();
        status = DT_OK;
    }
done:
    dt_memory_free(&steps);
    return status;
}

dt_status dt_newest_read(dt_checkpoint *checkpoint, char *path, size_t size, const char *folder,
                         int64_t before, dt_read_depth depth, bool *found) {
    enum { LOOKS_MAX = 10 };
    search s = {0};
    *found = false;
    /* If files have vanished, there are newer ones. */
    for (int looks = 0; looks < LOOKS_MAX; looks++) {
        DT_TRY(look(&s, checkpoint, path, size, folder, before, depth));
        if (s.found || !s.vanished) break;
    }
    *found = s.found;
    DT_REQUIRE(
        s.found || !s.tried, DT_ERR_DATA,
        "none of the %zu checkpoints in %s can be read; move them away, or start over with --fresh",
        s.tried, folder);
    return DT_OK;
}

dt_status dt_newest_summary(dt_checkpoint *checkpoint, char *path, size_t size, const char *name) {
    bool found = false;
    if (dt_is_folder(name)) {
        DT_TRY(dt_newest_read(checkpoint, path, size, name, INT64_MAX, DT_READ_SUMMARY, &found));
    }
    if (found) return DT_OK;
    DT_TRY(dt_run_resolve(path, size, name));
    return dt_checkpoint_read(checkpoint, path, DT_READ_SUMMARY);
}
