/* Fuzzes models of others: config.json, tokenizer.json, dtrain.ini and model.safetensors in one
 * input, each ended by 0x1e. What is taken is a whole model. */
#include "dtrain/export/import.h"
#include "folder.h"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static const fuzz_file FILES[] = {{"config.json", false},
                                      {"tokenizer.json", false},
                                      {"dtrain.ini", false},
                                      {"model.safetensors", true}};
    (void)argc, (void)argv;
    fuzz_folder_open(FILES, sizeof FILES / sizeof *FILES);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dt_checkpoint checkpoint;
    fuzz_folder_fill(data, size);
    const dt_status status = dt_import_read(&checkpoint, fuzz_folder());
    MUST(status == DT_OK || status == DT_ERR_DATA || status == DT_ERR_NO_INPUT);
    MUST(status == DT_OK || *dt_error_text());
    if (status == DT_OK) {
        MUST(checkpoint.weights && checkpoint.m && checkpoint.v && checkpoint.metrics);
        MUST(dt_tokenizer_size(checkpoint.tokenizer) == checkpoint.shape.V);
        for (size_t i = 0; i < checkpoint.layout.count; i++)
            MUST(checkpoint.weights[i] == checkpoint.weights[i]);
    }
    dt_checkpoint_destroy(&checkpoint);
    return 0;
}
