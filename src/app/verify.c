/* The verify command: whether checkpoints are whole, and what is wrong with those that are not. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/json.h"
#include "dtrain/core/memory.h"
#include "dtrain/folder/run_folder.h"
#include "dtrain/train/replay.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    const char *later;  /* the second checkpoint of a replay */
    bool json, replay;
} verify_options;

/* What has been looked at so far. */
typedef struct {
    bool json;
    size_t files, unusable;
    char first[DT_PATH_MAX]; /* the first unusable one */
} report;

/* ---- printing ---- */

static void print_list_json(const char *name, const dt_fault *list, size_t count) {
    printf(",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        printf("%s{\"part\":", i ? "," : "");
        dt_json_print_text(list[i].part);
        printf(",\"what\":");
        dt_json_print_text(list[i].what);
        printf("}");
    }
    printf("]");
}

static void print_text(const char *path, const dt_verdict *v) {
    if (v->faults == 0) {
        printf("%s: whole: step %lld, %zu datasets and %zu attributes in %llu bytes, digest %s\n",
               path, (long long)v->step, v->datasets, v->attributes, (unsigned long long)v->bytes,
               v->digest);
        for (size_t i = 0; i < v->remarks; i++) {
            printf("  remark: %s: %s\n", v->remark[i].part, v->remark[i].what);
        }
        return;
    }
    printf("%s: unusable: %zu fault%s%s\n", path, v->faults, v->faults == 1 ? "" : "s",
           v->faults == DT_FAULTS_MAX ? ", at least" : "");
    for (size_t i = 0; i < v->faults; i++) {
        printf("  %s: %s\n", v->fault[i].part, v->fault[i].what);
    }
}

static void print_json(const char *path, const dt_verdict *v) {
    printf("{\"checkpoint\":");
    dt_json_print_text(path);
    printf(",\"whole\":%s,\"step\":%lld,\"digest\":\"%s\",\"datasets\":%zu,\"attributes\":%zu,"
           "\"bytes\":%llu",
           v->faults ? "false" : "true", (long long)v->step, v->digest, v->datasets, v->attributes,
           (unsigned long long)v->bytes);
    print_list_json("faults", v->fault, v->faults);
    print_list_json("remarks", v->remark, v->remarks);
    printf("}\n");
}

static void print_verdict(report *r, const char *path, const dt_verdict *v) {
    (r->json ? print_json : print_text)(path, v);
    r->files++;
    if (v->faults == 0) return;
    if (r->unusable++ == 0) snprintf(r->first, sizeof r->first, "%s", path);
}

/* ---- verifying ---- */

static dt_status add_fault(dt_verdict *v, const char *part, const char *what) {
    DT_TRY(dt_memory_grow(&v->fault, &v->fault_capacity, v->faults + 1, sizeof *v->fault,
                          "the list of faults"));
    dt_fault *fault = &v->fault[v->faults++];
    snprintf(fault->part, sizeof fault->part, "%s", part);
    snprintf(fault->what, sizeof fault->what, "%s", what);
    return DT_OK;
}

/* named: the step in the file's name, or -1 if it has none. */
static dt_status verify_file(report *r, const char *path, int64_t named) {
    dt_verdict v;
    dt_status status = dt_checkpoint_verify(&v, path);
    if (status == DT_OK && v.faults == 0 && named >= 0 && v.step != named) {
        char what[96];
        snprintf(what, sizeof what, "says step %lld, but the file holds step %lld",
                 (long long)named, (long long)v.step);
        status = add_fault(&v, "its name", what);
    }
    if (status == DT_OK) print_verdict(r, path, &v);
    dt_verdict_clear(&v);
    return status;
}

/* best.h5 and latest.h5 are usually links to checkpoints that are verified anyway. A link to
 * nothing is a fault; a file is a checkpoint like others. */
static dt_status verify_link(report *r, const char *folder, const char *name) {
    char path[DT_PATH_MAX];
    struct stat itself;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) return DT_OK;
    if (dt_run_dangles(folder, name)) {
        dt_verdict v = {.step = -1};
        const dt_status status = add_fault(&v, "the link", "points to something that is not there");
        if (status == DT_OK) print_verdict(r, path, &v);
        dt_verdict_clear(&v);
        return status;
    }
    return lstat(path, &itself) == 0 && !S_ISLNK(itself.st_mode) ? verify_file(r, path, -1) : DT_OK;
}

static dt_status verify_run(report *r, const char *folder) {
    int64_t *steps;
    size_t count;
    dt_status status = DT_OK;
    DT_TRY(dt_run_checkpoints(&steps, &count, folder));
    for (size_t i = 0; i < count; i++) {
        char path[DT_PATH_MAX];
        DT_TRY_DONE(dt_run_checkpoint_path(path, sizeof path, folder, steps[i]));
        status = verify_file(r, path, steps[i]);
        /* A run that goes on meanwhile removes its older ones. */
        if (status == DT_ERR_NO_INPUT && access(path, F_OK) != 0) status = DT_OK;
        DT_TRY_DONE(status);
    }
    DT_TRY_DONE(verify_link(r, folder, "latest.h5"));
    DT_TRY_DONE(verify_link(r, folder, "best.h5"));
    DT_REQUIRE_DONE(r->files > 0, DT_ERR_NO_INPUT, "the folder %s has no checkpoint", folder);
done:
    dt_memory_free(&steps);
    return status;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const verify_options *options = own;
    if (options->replay) return dt_replay(s, given, options->target, options->later, options->json);
    report r = {.json = options->json};
    if (dt_is_folder(options->target)) {
        DT_TRY(verify_run(&r, options->target));
    } else {
        DT_TRY(verify_file(&r, options->target, -1));
    }
    DT_REQUIRE(r.unusable == 0 || r.files == 1, DT_ERR_DATA,
               "%zu of %zu files cannot be used, the first of them %s; training passes over such a "
               "checkpoint and goes on from the one before it",
               r.unusable, r.files, r.first);
    DT_REQUIRE(r.unusable == 0, DT_ERR_DATA, "%s cannot be used", r.first);
    return DT_OK;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(verify_options, target), "CHECKPOINT", NULL, NULL},
    {ARGUMENT, offsetof(verify_options, later), "LATER-CHECKPOINT", NULL, NULL},
    {OPTION_FLAG, offsetof(verify_options, json), "json", NULL, "print JSON"},
    {OPTION_FLAG, offsetof(verify_options, replay), "replay", NULL,
     "train in memory from the first checkpoint to the second, and compare every byte"},
};

static bool knows(const dt_setting *setting) {
    static const char *const known[] = {"log-level",     "backend",    "ranks-per-node",
                                        "stall-timeout", "train-file", "text"};
    return command_knows_name(setting, known, sizeof known / sizeof *known);
}

static bool needs_ranks(const void *own) { return ((const verify_options *)own)->replay; }

static dt_status check(const void *own) {
    const verify_options *options = own;
    DT_TRY(command_check_target(options->target));
    DT_REQUIRE(options->replay == (options->later != NULL), DT_ERR_ARG,
               "--replay takes two checkpoints, and without it verify takes one");
    return DT_OK;
}

const command VERIFY = {
    .name = "verify",
    .usage = "CHECKPOINT|RUN\n--replay CHECKPOINT LATER-CHECKPOINT",
    .help = "Find out whether a checkpoint, or every checkpoint of a run, is whole, and name all "
            "that is wrong."
            "\vWith --replay, on any number of ranks (mpirun), the training between two "
            "checkpoints of a run is done once more in memory: the second must come out to the "
            "byte. Nothing is written. Exit code 65 if anything is wrong.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(verify_options),
    .needs_ranks = needs_ranks,
    .check = check,
    .run = run,
};
