/* Looks at the run folder and decides how a start begins: a new run, from a checkpoint, or not at
 * all because the run is finished. Rank 0 decides. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/log.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/path.h"
#include "dtrain/core/work.h"
#include "dtrain/run/newest.h"
#include "dtrain/run/signals.h"
#include "dtrain/run/startup.h"
#include "dtrain/train/start.h"
#include "folder.h"
#include "plan.h"

/* The step of the newest checkpoint in a folder, even a damaged one; -1: there is none. */
static dt_status find_newest(int64_t *newest, const char *folder) {
    int64_t *steps = NULL;
    size_t count = 0;
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    *newest = count ? steps[0] : -1;
    dt_memory_free(&steps);
    return DT_OK;
}

/* Continuing from an older file in its own folder would leave two branches there. */
static dt_status check_no_newer(const char *folder, int64_t newest, int64_t step) {
    DT_REQUIRE(newest <= step, DT_ERR_ARG,
               "%s has a checkpoint of step %lld, newer than the step %lld to go on from; give the "
               "new branch a folder of its own with --out DIR",
               folder, (long long)newest, (long long)step);
    return DT_OK;
}

static dt_status find_checkpoint(dt_start_plan *plan, dt_checkpoint *checkpoint,
                                 const dt_start_request *request, bool *found) {
    *found = false;
    if (request->resume) {
        /* For a folder: its newest readable checkpoint. */
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
        /* Without --out the run continues in the file's own folder. */
        if (!dt_overrides_has(&request->given, "out"))
            DT_TRY(dt_run_folder_of(plan->config.out, sizeof plan->config.out, plan->path));
        if (!dt_is_folder(plan->config.out)) return DT_OK;
        DT_TRY(find_newest(&plan->newest, plan->config.out));
        return check_no_newer(plan->config.out, plan->newest, checkpoint->state.step);
    }
    if (request->fresh) return DT_OK;
    /* If a file has the folder's name, dt_run_folder_open reports it. */
    if (!dt_is_folder(plan->config.out)) return DT_OK;
    DT_TRY(find_newest(&plan->newest, plan->config.out));
    return dt_newest_read(checkpoint, plan->path, sizeof plan->path, plan->config.out, INT64_MAX,
                          DT_READ_ALL, found);
}

/* The base is where the plan says, seen from the folder of the checkpoint. */
static dt_status move_base(dt_checkpoint *checkpoint, const dt_start_plan *plan) {
    char base[DT_PATH_MAX], folder[DT_PATH_MAX];
    DT_TRY(dt_path_from(base, sizeof base, plan->config.out, plan->config.base));
    DT_TRY(dt_run_folder_of(folder, sizeof folder, plan->path));
    return dt_path_between(checkpoint->config.base, sizeof checkpoint->config.base, folder, base);
}

/* Adapters need their base at every start, and where it is. */
static dt_status check_aside(const dt_start_plan *plan, const char *from) {
    const size_t length = strlen(plan->config.out);
    const bool inside =
        from && strncmp(plan->path, plan->config.out, length) == 0 && plan->path[length] == '/';
    DT_REQUIRE(!inside || plan->config.lora_rank == 0, DT_ERR_ARG,
               "--fresh renames the folder %s, in which the base of the adapters is; give another "
               "--out",
               plan->config.out);
    return DT_OK;
}

/* Look at what exists, and decide. */
static dt_status plan_start(dt_start_plan *plan, dt_checkpoint *checkpoint,
                            const dt_start_request *request, size_t ranks) {
    bool found;
    DT_TRY(dt_plan_begin(plan, request));
    DT_TRY(find_checkpoint(plan, checkpoint, request, &found));
    if (request->check_gradients) plan->config.out[0] = '\0'; /* nothing is kept */
    char base[DT_PATH_MAX];
    const char *from = request->init_from;
    /* A file of settings, such as that of another run, may name the base of adapters. */
    if (!from && plan->config.base[0]) {
        DT_TRY(dt_path_from(base, sizeof base, plan->config.out, plan->config.base));
        from = base;
    }
    const bool weights = !found && from;
    if (weights) {
        DT_TRY(dt_run_resolve(plan->path, sizeof plan->path, from));
        DT_TRY(dt_checkpoint_read(checkpoint, plan->path, DT_READ_WEIGHTS));
    }
    /* As late as can be: what comes next may write to the folder, such as tokens of a text. */
    if (request->fresh && !request->check_gradients) {
        DT_TRY(check_aside(plan, from));
        DT_TRY(dt_folder_set_aside(plan->config.out));
    }
    DT_TRY(dt_plan_decide(plan,
                          found     ? DT_FOUND_CHECKPOINT
                          : weights ? DT_FOUND_WEIGHTS
                                    : DT_FOUND_NOTHING,
                          checkpoint, request, ranks));
    if (found) checkpoint->state = plan->state;
    const bool goes_on = plan->kind == DT_START_RESUME || request->check_gradients;
    if (!found || !goes_on) return DT_OK;
    if (dt_overrides_has(&request->given, "base")) DT_TRY(move_base(checkpoint, plan));
    return dt_base_read(checkpoint, plan->path);
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
    bool made = false;
    for (;;) {
        DT_TRY(plan_start(plan, checkpoint, request, ranks));
        if (request->check_gradients) return DT_OK;
        const bool goes_on = plan->kind == DT_START_RESUME || plan->kind == DT_START_FINISHED;
        const dt_config *before = goes_on ? &checkpoint->config : NULL;
        /* A finished run writes nothing to another --out: its folder is that of its checkpoint. */
        if (plan->kind == DT_START_FINISHED && request->resume)
            DT_TRY(dt_run_folder_of(plan->config.out, sizeof plan->config.out, plan->path));
        DT_TRY(dt_folder_check(plan, before, request));
        if (plan->kind == DT_START_FINISHED) return DT_OK;
        made = made || !dt_is_folder(plan->config.out);
        plan->made = made;
        DT_TRY(dt_run_folder_open(plan->config.out));
        if (!*lock) DT_TRY(dt_run_lock_take(lock, plan->config.out, ranks));
        int64_t newest;
        DT_TRY(find_newest(&newest, plan->config.out));
        if (newest == plan->newest) {
            warn_of_links(plan);
            DT_TRY(dt_folder_clear(plan, before, request));
            dt_folder_bring_best(plan);
            return DT_OK;
        }
        /* Another process has continued the run before this one got the lock: look again. */
        DT_REQUIRE(!request->fresh, DT_ERR_CREATE,
                   "another dtrain has just begun in the folder %s; start again", plan->config.out);
        dt_checkpoint_destroy(checkpoint);
    }
}

/* ---- while rank 0 decides ---- */

/* Reading a large text takes long: rank 0 says now and then that it goes on, and the others wait as
 * long as it does. */
typedef struct {
    dt_comm *comm;
    double told, shown; /* dt_seconds_now() */
    dt_status status;   /* of telling */
} leader;

static dt_status tell(leader *l, int64_t going) {
    if (l->status == DT_OK) l->status = dt_comm_broadcast(l->comm, &going, sizeof going);
    return l->status;
}

static dt_status go_on(void *context, const char *what, uint64_t done, uint64_t all) {
    static const double TELL = 1, SHOW = 5;
    leader *l = context;
    const double now = dt_seconds_now();
    if (now - l->told >= TELL) {
        l->told = now;
        dt_startup_enter(DT_STARTUP_FOLDER);
        (void)tell(l, 1);
    }
    if (dt_signals_stop()) {
        dt_log_warn("stopped by %s while %s", dt_signals_name(dt_signals_stop()), what);
        DT_RAISE(DT_ERR_STOPPED, "the start was stopped");
    }
    if (now - l->shown < SHOW) return DT_OK;
    l->shown = now;
    if (all > 0) {
        dt_log_info("%s: %.0f %%", what, 100 * (double)done / (double)all);
    } else {
        dt_log_info("%s: %.0f MB", what, (double)done / 1e6);
    }
    return DT_OK;
}

static dt_status lead(dt_start_plan *plan, dt_checkpoint *checkpoint, dt_run_lock **lock,
                      dt_comm *comm, const dt_start_request *request) {
    const double now = dt_seconds_now();
    leader l = {.comm = comm, .told = now, .shown = now};
    dt_work_listen(go_on, &l);
    const dt_status status = decide(plan, checkpoint, lock, request, dt_comm_size(comm));
    dt_work_listen(NULL, NULL);
    return tell(&l, 0) == DT_OK ? status : l.status;
}

static dt_status follow(dt_comm *comm) {
    for (int64_t going = 1; going;) {
        DT_TRY(dt_comm_broadcast(comm, &going, sizeof going));
        if (going) dt_startup_enter(DT_STARTUP_FOLDER);
    }
    return DT_OK;
}

dt_status dt_start_decide(dt_start_plan *plan, dt_checkpoint *checkpoint, dt_run_lock **lock,
                          dt_session *s, const dt_start_request *request) {
    memset(plan, 0, sizeof *plan);
    const dt_status status = dt_comm_rank(s->comm) == 0
                                 ? lead(plan, checkpoint, lock, s->comm, request)
                                 : follow(s->comm);
    DT_TRY(dt_comm_agree(s->comm, status));
    DT_TRY(dt_comm_broadcast(s->comm, plan, sizeof *plan));
    dt_log_open((dt_log_level)plan->config.log_level, (int)dt_comm_rank(s->comm));
    return dt_comm_split_nodes(s->comm, (size_t)plan->config.ranks_per_node);
}
