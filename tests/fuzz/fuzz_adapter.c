/* Fuzzes adapters of PEFT: adapter_config.json, dtrain.ini and adapter_model.safetensors in one
 * input, each ended by 0x1e. What is taken is a whole adapter of a base that fits. */
#include <math.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/export/import.h"
#include "folder.h"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static const fuzz_file FILES[] = {
        {"adapter_config.json", true}, {"dtrain.ini", false}, {"adapter_model.safetensors", true}};
    (void)argc, (void)argv;
    fuzz_folder_open(FILES, sizeof FILES / sizeof *FILES);
    return 0;
}

/* As run.sh trains it. */
static void make_base(dt_checkpoint *base) {
    static const char *const SETTING[][2] = {{"layers", "1"},     {"width", "4"},  {"heads", "1"},
                                             {"format", "plain"}, {"digits", "1"}, {"ops", "+"},
                                             {"context", "7"},    {"places", "3"}};
    dt_source source = {0};
    *base = (dt_checkpoint){0};
    dt_config_defaults(&base->config);
    for (size_t i = 0; i < sizeof SETTING / sizeof *SETTING; i++) {
        const dt_setting *setting = dt_setting_find(SETTING[i][0]);
        MUST(dt_config_set(&base->config, setting, SETTING[i][1], "base") == DT_OK);
    }
    MUST(dt_source_open(&source, &base->config, NULL) == DT_OK);
    base->tokenizer = source.own_tokenizer;
    source.own_tokenizer = NULL;
    dt_source_close(&source);
    MUST(dt_model_shape_from(&base->shape, &base->config, dt_tokenizer_size(base->tokenizer)) ==
         DT_OK);
    MUST(dt_layout_create(&base->layout, &base->shape) == DT_OK);
    MUST(dt_memory_alloc(&base->weights, base->layout.count, sizeof *base->weights, "weights") ==
         DT_OK);
    memset(base->digest, '0', sizeof base->digest - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dt_checkpoint checkpoint;
    char base_path[128];
    const char *folder = fuzz_folder();
    fuzz_folder_fill(data, size);
    make_base(&checkpoint);
    /* A file that is there; it is not read. */
    snprintf(base_path, sizeof base_path, "%s/adapter_config.json", folder);
    const dt_status status = dt_import_adapter(&checkpoint, folder, base_path, folder);
    MUST(status == DT_OK || status == DT_ERR_DATA || status == DT_ERR_NO_INPUT);
    MUST(status == DT_OK || *dt_error_text());
    if (status == DT_OK) {
        MUST(dt_checkpoint_is_adapter(&checkpoint) && checkpoint.metrics);
        MUST(checkpoint.weights && checkpoint.m && checkpoint.v);
        MUST(checkpoint.layout.count > 0 && checkpoint.layout.frozen_bytes > 0);
        for (size_t i = 0; i < checkpoint.layout.count; i++) MUST(isfinite(checkpoint.weights[i]));
    }
    dt_checkpoint_destroy(&checkpoint);
    return 0;
}
