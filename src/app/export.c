/* The export command: a trained model as files of other programs. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "dtrain/core/digest.h"
#include "dtrain/core/json.h"
#include "dtrain/data/source.h"
#include "dtrain/export/export.h"
#include "dtrain/folder/run_folder.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    const char *to, *format, *quant;
    bool json;
} export_options;

static dt_status find_quant(dt_quant *quant, const char *name) {
    for (int i = 0; i < DT_QUANTS; i++) {
        *quant = (dt_quant)i;
        if (strcmp(name, dt_export_quants[i]) == 0) return DT_OK;
    }
    DT_RAISE(DT_ERR_ARG, "--quant: \"%s\" is none of f32, q8_0, q4_0", name);
}

/* The model travels with the digest of its file, which is computed anew. */
static dt_status read_digest(char digest[DT_DIGEST_LENGTH + 1], const char *path) {
    dt_verdict verdict = {0};
    dt_status status;
    DT_TRY_DONE(dt_checkpoint_verify(&verdict, path));
    DT_REQUIRE_DONE(verdict.faults == 0, DT_ERR_DATA, "%s is damaged: %s: %s", path,
                    verdict.fault[0].part, verdict.fault[0].what);
    snprintf(digest, DT_DIGEST_LENGTH + 1, "%s", verdict.digest);
done:
    dt_verdict_clear(&verdict);
    return status;
}

typedef struct {
    bool json;
    size_t files;
} printing;

static void print_file(void *context, const char *path) {
    printing *p = context;
    if (p->json) {
        if (p->files) printf(",");
        dt_json_print_text(path);
    } else {
        printf("%s\n", path);
    }
    p->files++;
}

static dt_status write_files(const dt_export *to, bool json) {
    printing p = {.json = json};
    DT_TRY(dt_export_check(to));
    DT_TRY(dt_run_folder_open(to->folder));
    if (json) {
        printf("{\"checkpoint\":");
        dt_json_print_text(to->path);
        printf(",\"step\":%lld,\"digest\":\"%s\",\"files\":[",
               (long long)to->checkpoint->state.step, to->digest);
    }
    const dt_status status = dt_export_write(to, print_file, &p);
    if (json) printf("]}\n");
    return status;
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const export_options *options = own;
    char path[DT_PATH_MAX], digest[DT_DIGEST_LENGTH + 1];
    dt_checkpoint checkpoint = {0};
    dt_quant quant;
    dt_status status;
    (void)s, (void)given;
    DT_TRY(find_quant(&quant, options->quant));
    DT_TRY(dt_run_resolve(path, sizeof path, options->target));
    DT_TRY(read_digest(digest, path));
    DT_TRY_DONE(dt_checkpoint_read(&checkpoint, path, DT_READ_WEIGHTS));
    DT_REQUIRE_DONE(strcmp(checkpoint.digest, digest) == 0, DT_ERR_DATA,
                    "%s has become another one while it was read; export it again", path);
    DT_TRY_DONE(dt_checkpoint_expect_floats(&checkpoint, path));
    DT_REQUIRE_DONE(!dt_source_kind_of(&checkpoint.config)->window, DT_ERR_ARG,
                    "%s has learned %s line by line, and other programs do not put the lines "
                    "together; ask it with dtrain ask",
                    path, dt_source_kind_of(&checkpoint.config)->name);
    if (dt_checkpoint_is_adapter(&checkpoint) && strcmp(options->format, "adapter") != 0) {
        DT_TRY_DONE(dt_base_read(&checkpoint, path));
        DT_TRY_DONE(dt_base_merge(&checkpoint));
    }
    const dt_export to = {.checkpoint = &checkpoint,
                          .path = path,
                          .digest = digest,
                          .folder = options->to,
                          .format = options->format,
                          .quant = quant};
    status = write_files(&to, options->json);
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(export_options, target), "CHECKPOINT", NULL, NULL},
    {OPTION_PATH, offsetof(export_options, to), "to", "DIR", "folder for the files"},
    {OPTION_TEXT, offsetof(export_options, format), "format", "NAME",
     "safetensors (transformers), gguf (llama.cpp), onnx, or adapter: what --lora-rank has "
     "trained, for "
     "PEFT and llama.cpp"},
    {OPTION_TEXT, offsetof(export_options, quant), "quant", "TYPE",
     "how gguf stores matrices: f32, q8_0 or q4_0"},
    {OPTION_FLAG, offsetof(export_options, json), "json", NULL, "print JSON"},
};

static bool knows(const dt_setting *setting) { return strcmp(setting->name, "log-level") == 0; }

static dt_status check(const void *own) {
    const export_options *options = own;
    DT_TRY(command_check_target(options->target));
    DT_REQUIRE(options->to, DT_ERR_ARG, "where to? Give a folder: --to DIR");
    return DT_OK;
}

const command EXPORT = {
    .name = "export",
    .usage = "CHECKPOINT|RUN --to DIR",
    .help = "Write a trained model, of a run the best one, as files that Hugging Face "
            "transformers, llama.cpp or ONNX Runtime read, with its tokenizer, its settings and "
            "what was measured.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(export_options),
    .initial = &(const export_options){.format = "safetensors", .quant = "f32"},
    .check = check,
    .run = run,
};
