/* The import command: a model of other programs as the beginning of a run. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "dtrain/export/import.h"
#include "dtrain/folder/run_folder.h"
#include "new_run.h"

typedef struct {
    const char *source;    /* a folder, or a file of tensors */
    const char *init_from; /* the base of an adapter */
    bool json;
} import_options;

static dt_status read_adapter(dt_checkpoint *checkpoint, const import_options *options,
                              const char *out) {
    char path[DT_PATH_MAX];
    DT_REQUIRE(options->init_from, DT_ERR_ARG,
               "%s is an adapter of PEFT; give its base, as dtrain has it: --init-from RUN",
               options->source);
    DT_TRY(dt_run_resolve(path, sizeof path, options->init_from));
    DT_TRY(dt_checkpoint_read(checkpoint, path, DT_READ_WEIGHTS));
    DT_TRY(dt_checkpoint_expect_floats(checkpoint, path));
    DT_REQUIRE(!dt_checkpoint_is_adapter(checkpoint), DT_ERR_ARG,
               "%s is an adapter itself; give its base, or merge them first", path);
    return dt_import_adapter(checkpoint, options->source, path, out);
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const import_options *options = own;
    dt_checkpoint checkpoint = {0};
    char out[DT_PATH_MAX], from[256];
    dt_status status;
    (void)s;
    DT_TRY(new_run_folder(out, given));
    if (dt_import_is_adapter(options->source)) {
        DT_TRY_DONE(read_adapter(&checkpoint, options, out));
    } else {
        DT_REQUIRE_DONE(!options->init_from, DT_ERR_ARG,
                        "--init-from names the base of an adapter, and %s is none; leave it out",
                        options->source);
        DT_TRY_DONE(dt_import_read(&checkpoint, options->source));
    }
    memcpy(checkpoint.config.out, out, sizeof out);
    snprintf(from, sizeof from, "weights from %.200s", options->source);
    status = new_run_write(&checkpoint, "imported", from, options->json);
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(import_options, source), "MODEL", NULL, NULL},
    {OPTION_PATH, offsetof(import_options, init_from), "init-from", "RUN",
     "the base of an adapter of PEFT, which a folder with adapter_config.json is"},
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
