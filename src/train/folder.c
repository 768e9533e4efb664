/* Protects files in the folder of a run that dtrain did not create: a start resumes from them,
 * refuses to begin, or renames them; it never replaces them silently. */
#include "folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/log.h"
#include "dtrain/folder/foreign.h"

/* Room for a path in the folder and for the name of a renamed file. */
enum { PATH_SIZE = DT_PATH_MAX + 64 };

/* ---- settings ---- */

/* What is in the folder, compared with the plan. */
typedef struct {
    dt_foreign found;
    char ini[PATH_SIZE];   /* the path of config.ini */
    bool given;            /* it is the file of --config */
    bool elsewhere;        /* it is of a run in another folder */
    char differences[256]; /* settings in it that the run will not have: "lr 0.002, not 0.003" */
} sight;

static bool is_same_file(const char *path, const char *other) {
    struct stat x, y;
    return other && stat(path, &x) == 0 && stat(other, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static void append(char *list, size_t size, const dt_setting_change *c) {
    const size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s %s, not %s", used ? "; " : "", c->setting->name, c->is,
             c->was);
}

/* Lists settings that the file itself sets, and that differ from the plan and from the checkpoint.
 */
static void list_differences(sight *s, const dt_start_plan *plan, const dt_config *before) {
    dt_config file = plan->config;
    if (dt_config_read(&file, s->ini) != DT_OK) {
        dt_error_clear();
        return;
    }
    s->elsewhere = strcmp(file.out, plan->config.out) != 0;
    /* These were decided before the file was written. */
    if (plan->config.precision == DT_PRECISION_AUTO) file.precision = DT_PRECISION_AUTO;
    if (plan->config.micro_batch == 0) file.micro_batch = 0;
    /* And this one is chosen anew by each validation. */
    if (plan->config.sharpen == DT_SHARPEN_VALIDATION) file.sharpness = plan->config.sharpness;
    for (dt_setting_change c = {0}; dt_config_next_change(&c, &plan->config, &file);) {
        char was[DT_PATH_MAX] = "";
        if (before) dt_config_text(was, sizeof was, before, c.setting);
        if (!before || strcmp(was, c.is) != 0) append(s->differences, sizeof s->differences, &c);
    }
}

static dt_status look(sight *s, const dt_start_plan *plan, const dt_config *before,
                      const dt_start_request *request) {
    memset(s, 0, sizeof *s);
    DT_TRY(dt_foreign_find(&s->found, plan->config.out));
    snprintf(s->ini, sizeof s->ini, "%s/config.ini", plan->config.out);
    s->given = is_same_file(s->ini, request->given.config_file);
    const dt_settings_origin origin = s->found.settings;
    if ((origin == DT_SETTINGS_OWN || origin == DT_SETTINGS_PERSON) && !s->given)
        list_differences(s, plan, before);
    return DT_OK;
}

/* ---- before the first write ---- */

/* A folder without a checkpoint may belong to another program. */
static dt_status check_owner(const sight *s, const dt_start_plan *plan) {
    const char *folder = plan->config.out;
    DT_REQUIRE(s->found.settings != DT_SETTINGS_FOREIGN, DT_ERR_CREATE,
               "%s/config.ini is not dtrain's, and the run would write one there (%s); give the "
               "run a folder of its own with --out DIR",
               folder, s->found.why);
    DT_REQUIRE(!s->found.log, DT_ERR_CREATE,
               "%s/log.jsonl is not dtrain's, and the run would write to it; give the run a folder "
               "of its own with --out DIR",
               folder);
    return DT_OK;
}

static dt_status check_new(const sight *s, const dt_start_plan *plan) {
    const char *folder = plan->config.out, *checkpoint = s->found.checkpoint;
    DT_REQUIRE(plan->kind != DT_START_NEW || !*checkpoint, DT_ERR_ARG,
               "\"%s/%s\" looks like a checkpoint, and a new run would ignore it; to go on from it "
               "give it to --resume, to begin with its weights to --init-from, or give the new run "
               "another --out DIR",
               folder, checkpoint);
    const bool meant = s->found.settings == DT_SETTINGS_PERSON || s->elsewhere;
    DT_REQUIRE(!meant || !*s->differences, DT_ERR_ARG,
               "%s has settings that the run would not have (%s); to use them give --config %s, or "
               "give the run another --out DIR",
               s->ini, s->differences, s->ini);
    return DT_OK;
}

dt_status dt_folder_check(const dt_start_plan *plan, const dt_config *before,
                          const dt_start_request *request) {
    sight s;
    DT_TRY(look(&s, plan, before, request));
    if (plan->kind == DT_START_FINISHED) {
        if (*s.differences && !request->resume) {
            dt_log_warn(
                "%s has other settings (%s), which are ignored; to use them give --config %s",
                s.ini, s.differences, s.ini);
        }
        return DT_OK;
    }
    if (plan->newest < 0) DT_TRY(check_owner(&s, plan));
    return before ? DT_OK : check_new(&s, plan);
}

/* ---- setting aside ---- */

static dt_status clear_settings(const sight *s) {
    char aside[PATH_SIZE];
    const dt_settings_origin origin = s->found.settings;
    if (origin == DT_SETTINGS_NONE || (origin == DT_SETTINGS_OWN && !*s->differences)) return DT_OK;
    DT_TRY(dt_run_set_aside(aside, sizeof aside, s->ini));
    if (origin == DT_SETTINGS_FOREIGN) {
        dt_log_warn("%s cannot be read: %s; it is now %s", s->ini, s->found.why, aside);
    } else if (*s->differences) {
        dt_log_warn("%s has other settings (%s), which are ignored; it is now %s: to use them give "
                    "--config %s",
                    s->ini, s->differences, aside, aside);
    } else {
        dt_log_info("%s, which dtrain did not write, is now %s; all settings of the run are in %s",
                    s->ini, aside, s->ini);
    }
    return DT_OK;
}

dt_status dt_folder_clear(const dt_start_plan *plan, const dt_config *before,
                          const dt_start_request *request) {
    sight s;
    DT_TRY(look(&s, plan, before, request));
    DT_TRY(clear_settings(&s));
    if (!s.found.log) return DT_OK;
    char log[PATH_SIZE], aside[PATH_SIZE + 64];
    snprintf(log, sizeof log, "%s/log.jsonl", plan->config.out);
    DT_TRY(dt_run_set_aside(aside, sizeof aside, log));
    dt_log_warn("%s is not dtrain's: it is now %s", log, aside);
    return DT_OK;
}

/* ---- the best checkpoint so far ---- */

/* Whether a file is the checkpoint of a step. */
static bool is_of_step(const char *path, int64_t step) {
    dt_checkpoint checkpoint = {0};
    if (access(path, R_OK) != 0) return false;
    const bool is = dt_checkpoint_read(&checkpoint, path, DT_READ_SUMMARY) == DT_OK &&
                    checkpoint.state.step == step;
    dt_checkpoint_destroy(&checkpoint);
    dt_error_clear();
    return is;
}

/* The best checkpoint is the resumed file, or in the same folder. */
static bool find_best(char *best, size_t size, const dt_start_plan *plan) {
    char folder[DT_PATH_MAX];
    const int64_t step = plan->state.best_step;
    snprintf(best, size, "%s", plan->path);
    if (is_of_step(best, step)) return true;
    return dt_run_folder_of(folder, sizeof folder, plan->path) == DT_OK &&
           ((dt_run_checkpoint_path(best, size, folder, step) == DT_OK && is_of_step(best, step)) ||
            (dt_run_find(best, size, folder, "best.h5") && is_of_step(best, step)));
}

void dt_folder_bring_best(const dt_start_plan *plan) {
    const int64_t step = plan->state.best_step;
    const char *folder = plan->config.out;
    char path[DT_PATH_MAX], best[DT_PATH_MAX];
    if (plan->kind != DT_START_RESUME || step < 0) return;
    dt_status status = dt_run_checkpoint_path(path, sizeof path, folder, step);
    if (status == DT_OK && access(path, F_OK) == 0) return;
    if (status == DT_OK && !find_best(best, sizeof best, plan)) {
        dt_log_warn("the best checkpoint so far, of step %lld, is not beside %s: %s/best.h5 comes "
                    "with the next validation that is better",
                    (long long)step, plan->path, folder);
        dt_error_clear();
        return;
    }
    if (status == DT_OK) status = dt_run_bring(folder, step, best);
    if (status == DT_OK) status = dt_run_link(folder, "best.h5", step);
    if (status == DT_OK) {
        dt_log_info("the best checkpoint so far, of step %lld, has been copied from %s",
                    (long long)step, best);
    } else {
        dt_log_warn("%s; the best checkpoint so far, of step %lld, is %s", dt_error_text(),
                    (long long)step, best);
    }
    dt_error_clear();
}

/* ---- starting over ---- */

static dt_status rename_locked(const char *folder, const char *name) {
    char aside[PATH_SIZE];
    dt_run_lock *lock = NULL;
    if (dt_run_is_locked(folder)) DT_TRY(dt_run_lock_take(&lock, folder, 1));
    const dt_status status = dt_run_set_aside(aside, sizeof aside, folder);
    dt_run_lock_release(&lock);
    if (status == DT_OK) dt_log_info("--fresh: what was in %s is now in %s", name, aside);
    return status;
}

/* Renames the folder behind a link and creates a new one in its location, so that the link stays
 * valid. */
static dt_status rename_target(const char *link) {
    struct stat there;
    char *target = realpath(link, NULL);
    DT_REQUIRE(target && stat(target, &there) == 0, DT_ERR_CREATE, "cannot follow the link %s: %s",
               link, strerror(errno));
    dt_status status = rename_locked(target, link);
    if (status == DT_OK && mkdir(target, there.st_mode & 0777) != 0) {
        status = dt_error_raise(DT_ERR_CREATE, __FILE__, __LINE__,
                                "cannot create the folder %s: %s", target, strerror(errno));
    }
    free(target);
    return status;
}

dt_status dt_folder_set_aside(const char *path) {
    struct stat there;
    char folder[DT_PATH_MAX];
    if (stat(path, &there) != 0) return DT_OK;
    DT_REQUIRE(S_ISDIR(there.st_mode), DT_ERR_CREATE,
               "%s cannot be the folder of a run: a file of that name is in the way; give another "
               "--out",
               path);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--; /* the new name is next to the folder, not in it */
    snprintf(folder, sizeof folder, "%.*s", (int)length, path);
    const char *slash = strrchr(folder, '/'), *name = slash ? slash + 1 : folder;
    DT_REQUIRE(strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && *name, DT_ERR_ARG,
               "--fresh renames the folder of the run, and %s has no name that could be changed: "
               "start dtrain in the folder above it, and give its name to --out",
               path);
    const bool link = lstat(folder, &there) == 0 && S_ISLNK(there.st_mode);
    return link ? rename_target(folder) : rename_locked(folder, folder);
}
