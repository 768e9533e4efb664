/* Fuzzes models of others: config.json, tokenizer.json, dtrain.ini and model.safetensors in one
 * input, each ended by 0x1e. What is taken is a whole model. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/export/import.h"

static char folder[] = "/tmp/dtrain-fuzz-XXXXXX";

static void remove_folder(void) {
    char path[128];
    static const char *const name[] = {"config.json", "tokenizer.json", "dtrain.ini",
                                       "model.safetensors"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, name[i]);
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

/* Without a mark there is no file. */
static void write_file(const char *name, const uint8_t *bytes, size_t size, bool there) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    if (!there) return;
    FILE *file = fopen(path, "wb");
    MUST(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* The tensors are the rest. */
static void write_files(const uint8_t *data, size_t size) {
    static const char *const name[] = {"config.json", "tokenizer.json", "dtrain.ini"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const uint8_t *end = size ? memchr(data, 0x1e, size) : NULL;
        const size_t length = end ? (size_t)(end - data) : size;
        write_file(name[i], data, length, length > 0);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    write_file("model.safetensors", data, size, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dt_checkpoint checkpoint;
    write_files(data, size);
    const dt_status status = dt_import_read(&checkpoint, folder);
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
