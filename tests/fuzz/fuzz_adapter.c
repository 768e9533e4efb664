/* Fuzzes adapters of PEFT: adapter_config.json, dtrain.ini and adapter_model.safetensors in one
 * input, each ended by 0x1e. What is taken is a whole adapter of a base that fits. */
#include "fuzz.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/data/source.h"
#include "dtrain/export/import.h"

static char folder[] = "/tmp/dtrain-fuzz-XXXXXX";
static const char *const NAME[] = {"adapter_config.json", "dtrain.ini",
                                   "adapter_model.safetensors"};
enum { FILES = sizeof NAME / sizeof *NAME };

static void path_of(char path[128], size_t i) { snprintf(path, 128, "%s/%s", folder, NAME[i]); }

static void remove_folder(void) {
    char path[128];
    for (size_t i = 0; i < FILES; i++) {
        path_of(path, i);
        unlink(path);
    }
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    MUST(mkdtemp(folder));
    atexit(remove_folder);
    return 0;
}

/* Without a mark there is no dtrain.ini; the tensors are the rest. */
static void write_files(const uint8_t *data, size_t size) {
    char path[128];
    for (size_t i = 0; i < FILES; i++) {
        const uint8_t *end = size && i + 1 < FILES ? memchr(data, 0x1e, size) : NULL;
        const size_t length = end ? (size_t)(end - data) : size;
        path_of(path, i);
        unlink(path);
        if (i != 1 || length > 0) {
            FILE *file = fopen(path, "wb");
            MUST(file && fwrite(data, 1, length, file) == length && fclose(file) == 0);
        }
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
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
    write_files(data, size);
    make_base(&checkpoint);
    path_of(base_path, 0); /* a file that is there; it is not read */
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
