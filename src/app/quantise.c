/* The quantise command: a trained model with matrices in 8 or 4 bits. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "dtrain/core/json.h"
#include "dtrain/folder/run_folder.h"
#include "new_run.h"

typedef struct {
    const char *target; /* the checkpoint or run */
    const char *to;     /* the type of the matrices */
    const char *out;    /* the new file */
    bool json;
} quantise_options;

static void print(const quantise_options *options, const dt_checkpoint *c) {
    const dt_weight_count count = dt_layout_weights(&c->layout);
    if (options->json) {
        printf("{\"checkpoint\":");
        dt_json_print_text(options->out);
        printf(",\"to\":\"%s\",\"parameters\":%zu,\"quantised\":%zu,\"quantised_bytes\":%zu,"
               "\"bytes\":%zu}\n",
               options->to, c->layout.weights, count.quantised, count.quantised_bytes,
               count.frozen_bytes);
        return;
    }
    printf("%s: %zu parameters in %.6g MB, instead of %.6g in float32; %zu of them, the matrices "
           "of the layers, in %s\n",
           options->out, c->layout.weights, (double)count.frozen_bytes / 1e6,
           (double)(c->layout.weights * sizeof(float)) / 1e6, count.quantised, options->to);
}

static dt_status run(dt_session *s, const dt_overrides *given, const void *own) {
    const quantise_options *options = own;
    dt_checkpoint checkpoint = {0};
    char path[DT_PATH_MAX], from[DT_PATH_MAX + 16];
    dt_status status;
    (void)s, (void)given;
    DT_REQUIRE(access(options->out, F_OK) != 0, DT_ERR_CREATE,
               "%s is there already, and is not replaced; give another name, or remove it",
               options->out);
    DT_TRY(dt_run_resolve(path, sizeof path, options->target));
    DT_TRY_DONE(dt_checkpoint_read(&checkpoint, path, DT_READ_WEIGHTS));
    DT_TRY_DONE(dt_checkpoint_expect_floats(&checkpoint, path));
    if (dt_checkpoint_is_adapter(&checkpoint)) {
        DT_TRY_DONE(dt_base_read(&checkpoint, path));
        DT_TRY_DONE(dt_base_merge(&checkpoint));
    }
    DT_TRY_DONE(dt_checkpoint_quantise(&checkpoint, dt_quantised_find(options->to)));
    snprintf(from, sizeof from, "%s of %s", options->to, path);
    DT_TRY_DONE(new_run_tell(&checkpoint, "quantised", from));
    DT_TRY_DONE(dt_checkpoint_write(options->out, &checkpoint));
    print(options, &checkpoint);
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* ---- the command ---- */

static const command_option OPTIONS[] = {
    {ARGUMENT, offsetof(quantise_options, target), "CHECKPOINT", NULL, NULL},
    {OPTION_TEXT, offsetof(quantise_options, to), "to", "TYPE", "q8_0 (8 bits) or nf4 (4 bits)"},
    {OPTION_PATH, offsetof(quantise_options, out), "out", "FILE", "the new checkpoint"},
    {OPTION_FLAG, offsetof(quantise_options, json), "json", NULL, "print JSON"},
};

static bool knows(const dt_setting *setting) { return strcmp(setting->name, "log-level") == 0; }

static dt_status check(const void *own) {
    const quantise_options *options = own;
    DT_TRY(command_check_target(options->target));
    DT_REQUIRE(options->to, DT_ERR_ARG, "to what? Give --to q8_0 or --to nf4");
    DT_REQUIRE(dt_quantised_find(options->to) != DT_ELEMENT_FLOAT32, DT_ERR_ARG,
               "--to: \"%s\" is none of q8_0, nf4", options->to);
    DT_REQUIRE(options->out, DT_ERR_ARG, "where to? Give a file: --out FILE");
    return DT_OK;
}

const command QUANTISE = {
    .name = "quantise",
    .usage = "CHECKPOINT|RUN --to q8_0|nf4 --out FILE",
    .help = "Write a trained model, of a run the best one, with the matrices of its layers in 8 or "
            "4 bits, for eval, ask and sample. Adapters are merged into their base before."
            "\vEmbeddings, norms and biases stay float32. In memory the matrices are as in the "
            "file, once per node, and each product unpacks what it needs.",
    .option = OPTIONS,
    .options = sizeof OPTIONS / sizeof *OPTIONS,
    .knows = knows,
    .own_size = sizeof(quantise_options),
    .check = check,
    .run = run,
};
