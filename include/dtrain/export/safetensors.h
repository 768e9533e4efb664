/* Reads files of tensors, which anybody may have written. Format:
 * https://github.com/huggingface/safetensors */
#ifndef DTRAIN_SAFETENSORS_H
#define DTRAIN_SAFETENSORS_H

#include <stdint.h>

#include "dtrain/core/config.h"

enum { DT_SAFETENSOR_RANK_MAX = 8 };

typedef struct {
    char *name;
    const char *element; /* "F32" */
    size_t rank, extent[DT_SAFETENSOR_RANK_MAX];
    size_t count;
    uint64_t begin, end; /* bytes in the file */
} dt_safetensor;

typedef struct {
    char path[DT_PATH_MAX];
    int file;              /* -1: none open */
    dt_safetensor *tensor; /* (tensors) by name */
    size_t tensors;
} dt_safetensors;

/**
 * Open a file and check its header: lengths, types, shapes; tensors lie one behind the other,
 * without gaps, up to the end of the file.
 *
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA naming file and tensor
 * Memory: some times the header, of which 8 MiB are read at most.
 */
dt_status dt_safetensors_open(dt_safetensors *in, const char *path);
void dt_safetensors_close(dt_safetensors *in);

/* NULL if there is none. */
const dt_safetensor *dt_safetensors_find(const dt_safetensors *in, const char *name);

/**
 * The values of a tensor: F32, or F16 and BF16, which float32 holds exactly.
 *
 * @param[out] x  (count)
 * @return DT_ERR_DATA: it has another type, or a value is not finite; DT_ERR_IO
 */
dt_status dt_safetensors_read(float *x, const dt_safetensors *in, const dt_safetensor *tensor);

#endif
