/* Verifies a checkpoint: reads it as for use, and names everything that is wrong. */
#include <stdio.h>
#include <string.h>

#include "checkpoint_read.h"
#include "dtrain/core/memory.h"
#include "finite.h"
#include "manifest.h"
#include "schema.h"

/* A NaN is a fault of its tensor; the first one is enough to report. */
static dt_status check_finite(const dt_hdf5_file *in, const dt_hdf5_object *tensor,
                              const float *x) {
    const size_t count = tensor->size / sizeof *x, at = dt_finite_count(x, count);
    DT_USABLE(at == count, in, tensor->path, "is %g at element %zu", (double)x[at], at);
    return DT_OK;
}

/* All bytes of all datasets. Only tensors are of type float32. */
static dt_status check_bytes(const dt_hdf5_file *in) {
    dt_status status = DT_OK;
    float *x = NULL;
    size_t largest = 1;
    for (size_t i = 0; i < in->objects; i++) {
        const dt_hdf5_object *object = &in->object[i];
        if (!object->group && object->type.kind == DT_STORED_FLOAT32) {
            largest = dt_max_size(largest, object->size);
        }
    }
    DT_TRY(dt_memory_alloc(&x, largest, 1, "the largest tensor"));
    for (size_t i = 0; i < in->objects; i++) {
        const dt_hdf5_object *object = &in->object[i];
        if (object->group) continue;
        const bool tensor = object->type.kind == DT_STORED_FLOAT32;
        status = dt_hdf5_bytes(tensor ? x : NULL, in, object);
        const bool whole = status == DT_OK;
        DT_TRY_DONE(dt_hdf5_note(in, status));
        if (tensor && whole) DT_TRY_DONE(dt_hdf5_note(in, check_finite(in, object, x)));
    }
done:
    dt_memory_free(&x);
    return status;
}

/* Of quantised matrices: their scales. What is damaged has been noted. */
static dt_status check_scales(const dt_hdf5_file *in, const dt_checkpoint *checkpoint) {
    char path[DT_STORED_PATH_MAX];
    dt_status status = DT_OK;
    for (size_t i = 0; i < checkpoint->layout.parameters && status == DT_OK; i++) {
        const dt_parameter *p = &checkpoint->layout.parameter[i];
        const dt_stored_tensor tensor = dt_schema_tensor(p);
        snprintf(path, sizeof path, "/weights/%s", p->name);
        const dt_hdf5_object *object = dt_hdf5_find(in, path);
        if (tensor.type.kind != DT_STORED_UINT8 || !object || object->size != tensor.extent[0])
            continue;
        void *bytes = NULL;
        DT_TRY(dt_memory_alloc(&bytes, object->size, 1, "a quantised matrix"));
        status = dt_hdf5_read_at(bytes, in, object->offset, object->size, path);
        const size_t at = dt_finite_elements(bytes, p->element, p->count);
        if (status == DT_OK && at < p->count)
            status = dt_hdf5_note(in, dt_hdf5_unusable(in, path, __FILE__, __LINE__,
                                                       "is not finite at element %zu", at));
        dt_memory_free(&bytes);
    }
    return status;
}

static dt_status check_all(dt_verdict *verdict, dt_hdf5_file *in) {
    dt_checkpoint checkpoint = {0};
    dt_status status;
    DT_TRY_DONE(dt_checkpoint_survey(in));
    for (size_t i = 0; i < in->objects; i++) verdict->datasets += !in->object[i].group;
    verdict->attributes = in->attributes;
    int64_t step;
    if (dt_hdf5_value(&step, in, "/", "step", DT_INT64) == DT_OK) verdict->step = step;
    DT_TRY_DONE(check_bytes(in));
    DT_TRY_DONE(dt_checkpoint_fill(&checkpoint, in, DT_READ_SUMMARY));
    if (dt_checkpoint_is_quantised(&checkpoint)) status = check_scales(in, &checkpoint);
done:
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

dt_status dt_checkpoint_verify(dt_verdict *verdict, const char *path) {
    *verdict = (dt_verdict){.step = -1};
    dt_fault_notes notes = {.verdict = verdict};
    dt_hdf5_file in;
    dt_status status = dt_hdf5_open(&in, path, &notes);
    if (status == DT_OK) status = check_all(verdict, &in);
    status = dt_hdf5_note(&in, status);
    if (verdict->faults == DT_FAULTS_MAX && status == DT_ERR_DATA) status = DT_OK;
    verdict->bytes = in.size;
    dt_hdf5_close(&in);
    dt_error_clear();
    return status;
}

const dt_fault *dt_verdict_refusal(const dt_verdict *verdict) {
    for (size_t i = 0; i < verdict->faults; i++) {
        if (!verdict->fault[i].others) return &verdict->fault[i];
    }
    return NULL;
}

void dt_verdict_clear(dt_verdict *verdict) {
    dt_memory_free(&verdict->fault);
    dt_memory_free(&verdict->remark);
    *verdict = (dt_verdict){.step = -1};
}
