/* Fuzzes files of tensors: what is accepted lies inside the file, and can be read. */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dtrain/core/memory.h"
#include "dtrain/export/safetensors.h"

/* Every value comes from bytes of the file. */
static void read_tensor(const dt_safetensors *in, const dt_safetensor *tensor, size_t size) {
    float *x = NULL;
    MUST(tensor->begin <= tensor->end && tensor->end <= size);
    MUST(tensor->count <= size);
    MUST(dt_memory_alloc(&x, tensor->count + 1, sizeof *x, "values") == DT_OK);
    const dt_status status = dt_safetensors_read(x, in, tensor);
    MUST(status == DT_OK || status == DT_ERR_DATA);
    dt_memory_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    dt_safetensors in;
    const int file = memfd_create("fuzz", 0);
    MUST(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const dt_status status = dt_safetensors_open(&in, path);
    MUST(status == DT_OK || status == DT_ERR_DATA);
    MUST(status == DT_OK || *dt_error_text());
    uint64_t bytes = 0;
    for (size_t i = 0; i < in.tensors; i++) {
        const dt_safetensor *tensor = &in.tensor[i];
        MUST(dt_safetensors_find(&in, tensor->name) == tensor);
        bytes += tensor->end - tensor->begin;
        if (tensor->begin < tensor->end) read_tensor(&in, tensor, size);
    }
    MUST(bytes <= size);
    dt_safetensors_close(&in);
    close(file);
    return 0;
}
