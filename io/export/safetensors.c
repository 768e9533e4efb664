/* Reads files of tensors without trusting them. */
#include "dtrain/export/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/half.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/utf8.h"
#include "dtrain/file/replace.h"
#include "json.h"

/* A header has some hundred bytes for each tensor; its tree in memory some times as many. */
enum { HEADER_MAX = 8 << 20 };

static const struct {
    const char *name;
    size_t bytes;
} ELEMENTS[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"U64", 8}, {"I32", 4},
                {"U32", 4}, {"I16", 2}, {"U16", 2},  {"I8", 1},  {"U8", 1},  {"BOOL", 1}};

/* ---- reading bytes ---- */

static dt_status read_bytes(void *bytes, const dt_safetensors *in, size_t size, uint64_t offset) {
    char text[128];
    for (char *next = bytes; size > 0;) {
        const ssize_t got = pread(in->file, next, dt_min_size(size, 1 << 30), (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        DT_REQUIRE(got >= 0, DT_ERR_IO, "cannot read %s: %s", in->path,
                   dt_file_reason(errno, text));
        DT_REQUIRE(got > 0, DT_ERR_DATA, "%s has become shorter while it was read", in->path);
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return DT_OK;
}

static dt_status open_file(dt_safetensors *in, uint64_t *size, const char *path) {
    struct stat info;
    char text[128];
    snprintf(in->path, sizeof in->path, "%s", path);
    in->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    DT_REQUIRE(in->file >= 0, DT_ERR_NO_INPUT, "cannot read %s: %s", path,
               dt_file_reason(errno, text));
    DT_REQUIRE(fstat(in->file, &info) == 0 && S_ISREG(info.st_mode), DT_ERR_NO_INPUT,
               "cannot read %s: it is no file", path);
    *size = (uint64_t)info.st_size;
    return DT_OK;
}

/* ---- the header ---- */

static dt_status read_element(dt_safetensor *tensor, size_t *bytes, const cJSON *value,
                              const char *path) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "dtype"));
    for (size_t i = 0; name && i < sizeof ELEMENTS / sizeof *ELEMENTS; i++) {
        if (strcmp(name, ELEMENTS[i].name) != 0) continue;
        tensor->element = ELEMENTS[i].name;
        *bytes = ELEMENTS[i].bytes;
        return DT_OK;
    }
    DT_RAISE(DT_ERR_DATA, "%s: tensor %s has no type that dtrain knows", path, tensor->name);
}

static dt_status read_shape(dt_safetensor *tensor, const cJSON *value, const char *path) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(value, "shape"), *item;
    DT_REQUIRE(cJSON_IsArray(shape), DT_ERR_DATA, "%s: tensor %s has no shape", path, tensor->name);
    tensor->count = 1;
    cJSON_ArrayForEach(item, shape) {
        uint64_t extent;
        DT_REQUIRE(tensor->rank < DT_SAFETENSOR_RANK_MAX && json_whole(&extent, item) &&
                       !__builtin_mul_overflow(tensor->count, (size_t)extent, &tensor->count),
                   DT_ERR_DATA, "%s: the shape of tensor %s makes no sense", path, tensor->name);
        tensor->extent[tensor->rank++] = (size_t)extent;
    }
    return DT_OK;
}

static dt_status read_offsets(dt_safetensor *tensor, const cJSON *value, size_t element,
                              uint64_t begin, const char *path) {
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(value, "data_offsets");
    uint64_t first, last;
    size_t bytes;
    DT_REQUIRE(cJSON_IsArray(offsets) && cJSON_GetArraySize(offsets) == 2 &&
                   json_whole(&first, cJSON_GetArrayItem(offsets, 0)) &&
                   json_whole(&last, cJSON_GetArrayItem(offsets, 1)) && first <= last,
               DT_ERR_DATA, "%s: the data_offsets of tensor %s make no sense", path, tensor->name);
    DT_REQUIRE(!__builtin_mul_overflow(tensor->count, element, &bytes) && last - first == bytes,
               DT_ERR_DATA,
               "%s: tensor %s has %" PRIu64 " bytes, which do not fit its shape and type %s", path,
               tensor->name, last - first, tensor->element);
    tensor->begin = begin + first;
    tensor->end = begin + last;
    return DT_OK;
}

static dt_status keep_name(dt_safetensor *tensor, const char *name) {
    const size_t size = strlen(name) + 1;
    DT_TRY(dt_memory_alloc(&tensor->name, size, 1, "the name of a tensor"));
    memcpy(tensor->name, name, size);
    dt_utf8_make_printable(tensor->name, "");
    return DT_OK;
}

static dt_status read_tensors(dt_safetensors *in, const cJSON *header, uint64_t begin) {
    const cJSON *value;
    size_t count = 0;
    cJSON_ArrayForEach(value, header) count++;
    DT_TRY(dt_memory_alloc(&in->tensor, count + 1, sizeof *in->tensor, "the table of tensors"));
    cJSON_ArrayForEach(value, header) {
        size_t element = 0;
        if (strcmp(value->string, "__metadata__") == 0) continue;
        dt_safetensor *tensor = &in->tensor[in->tensors];
        DT_TRY(keep_name(tensor, value->string));
        in->tensors++;
        DT_TRY(read_element(tensor, &element, value, in->path));
        DT_TRY(read_shape(tensor, value, in->path));
        DT_TRY(read_offsets(tensor, value, element, begin, in->path));
    }
    return DT_OK;
}

/* ---- what tensors say together ---- */

static int compare_begin(const void *x, const void *y) {
    const dt_safetensor *a = x, *b = y;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

static int compare_name(const void *x, const void *y) {
    return strcmp(((const dt_safetensor *)x)->name, ((const dt_safetensor *)y)->name);
}

static dt_status check_tensors(dt_safetensors *in, uint64_t begin, uint64_t size) {
    uint64_t end = begin;
    qsort(in->tensor, in->tensors, sizeof *in->tensor, compare_begin);
    for (size_t i = 0; i < in->tensors; i++) {
        const dt_safetensor *tensor = &in->tensor[i];
        DT_REQUIRE(tensor->begin == end, DT_ERR_DATA,
                   "%s: tensor %s does not begin where the one before it ends", in->path,
                   tensor->name);
        end = tensor->end;
    }
    DT_REQUIRE(end == size, DT_ERR_DATA,
               "%s: the tensors end at byte %" PRIu64 ", and the file has %" PRIu64, in->path, end,
               size);
    qsort(in->tensor, in->tensors, sizeof *in->tensor, compare_name);
    for (size_t i = 1; i < in->tensors; i++) {
        DT_REQUIRE(compare_name(&in->tensor[i - 1], &in->tensor[i]) != 0, DT_ERR_DATA,
                   "%s: there are two tensors %s", in->path, in->tensor[i].name);
    }
    return DT_OK;
}

dt_status dt_safetensors_open(dt_safetensors *in, const char *path) {
    char *text = NULL;
    cJSON *header = NULL;
    uint64_t size = 0, length = 0;
    dt_status status;
    *in = (dt_safetensors){.file = -1};
    DT_TRY_DONE(open_file(in, &size, path));
    DT_REQUIRE_DONE(size > sizeof length, DT_ERR_DATA, "%s is no safetensors file", path);
    DT_TRY_DONE(read_bytes(&length, in, sizeof length, 0));
    DT_REQUIRE_DONE(length <= size - sizeof length, DT_ERR_DATA,
                    "%s is no safetensors file: its header would be longer than the file", path);
    DT_REQUIRE_DONE(length <= HEADER_MAX, DT_ERR_DATA,
                    "%s: its header has %" PRIu64 " bytes; %d are the most", path, length,
                    HEADER_MAX);
    DT_TRY_DONE(dt_memory_alloc(&text, (size_t)length + 1, 1, "the header of a file"));
    DT_TRY_DONE(read_bytes(text, in, (size_t)length, sizeof length));
    DT_TRY_DONE(json_parse(&header, text, (size_t)length, path));
    const uint64_t begin = sizeof length + length;
    DT_TRY_DONE(read_tensors(in, header, begin));
    status = check_tensors(in, begin, size);
done:
    cJSON_Delete(header);
    dt_memory_free(&text);
    if (status != DT_OK) dt_safetensors_close(in);
    return status;
}

void dt_safetensors_close(dt_safetensors *in) {
    for (size_t i = 0; i < in->tensors; i++) dt_memory_free(&in->tensor[i].name);
    dt_memory_free(&in->tensor);
    if (in->file >= 0) close(in->file);
    *in = (dt_safetensors){.file = -1};
}

const dt_safetensor *dt_safetensors_find(const dt_safetensors *in, const char *name) {
    size_t low = 0, high = in->tensors;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(in->tensor[middle].name, name);
        if (order == 0) return &in->tensor[middle];
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* ---- values ---- */

static dt_status read_halves(float *x, const dt_safetensors *in, const dt_safetensor *tensor,
                             float value(uint16_t)) {
    enum { MOST = 4096 };
    uint16_t half[MOST] = {0};
    for (size_t i = 0; i < tensor->count; i += MOST) {
        const size_t count = dt_min_size(MOST, tensor->count - i);
        DT_TRY(read_bytes(half, in, count * sizeof *half, tensor->begin + i * sizeof *half));
        for (size_t k = 0; k < count; k++) x[i + k] = value(half[k]);
    }
    return DT_OK;
}

dt_status dt_safetensors_read(float *x, const dt_safetensors *in, const dt_safetensor *tensor) {
    if (strcmp(tensor->element, "F32") == 0) {
        DT_TRY(read_bytes(x, in, tensor->count * sizeof *x, tensor->begin));
    } else if (strcmp(tensor->element, "F16") == 0) {
        DT_TRY(read_halves(x, in, tensor, dt_half_value));
    } else {
        DT_REQUIRE(strcmp(tensor->element, "BF16") == 0, DT_ERR_DATA,
                   "%s: tensor %s has type %s; F32, F16 and BF16 can be read", in->path,
                   tensor->name, tensor->element);
        DT_TRY(read_halves(x, in, tensor, dt_bfloat16_value));
    }
    for (size_t i = 0; i < tensor->count; i++) {
        DT_REQUIRE(isfinite(x[i]), DT_ERR_DATA, "%s: tensor %s is %g at element %zu", in->path,
                   tensor->name, (double)x[i], i);
    }
    return DT_OK;
}
