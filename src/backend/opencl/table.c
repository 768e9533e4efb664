/* The OpenCL backend's table of operations, and how its device is chosen and opened. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <clblast_c.h>

#include "entries.h"
#include "opencl.h"

static void opencl_close(dt_backend **backend) {
    opencl_backend *ocl = (opencl_backend *)*backend;
    if (!ocl) return;
    if (ocl->queue) clFinish(ocl->queue);
    if (ocl->transfer) clFinish(ocl->transfer);
    for (size_t i = 0; i < KERNELS; i++) {
        if (ocl->kernel[i]) clReleaseKernel(ocl->kernel[i]);
    }
    if (ocl->program) clReleaseProgram(ocl->program);
    if (ocl->scratch.memory) clReleaseMemObject(ocl->scratch.memory);
    CLBlastClearCache();
    if (ocl->queue) clReleaseCommandQueue(ocl->queue);
    if (ocl->transfer) clReleaseCommandQueue(ocl->transfer);
    if (ocl->context) clReleaseContext(ocl->context);
    dt_memory_free(&ocl->staging);
    dt_memory_free(&ocl->host);
    dt_memory_free(&ocl);
    *backend = NULL;
}

static const dt_backend_table OPENCL_TABLE = {
    .name = "opencl",
    .close = opencl_close,
    .buffer_create = opencl_buffer_create,
    .buffer_attach = opencl_buffer_attach,
    .buffer_destroy = opencl_buffer_destroy,
    .push = opencl_push,
    .pull = opencl_pull,
    .finish = opencl_finish,
    .upload = opencl_upload,
    .download = opencl_download,
    .fill_zero = opencl_fill_zero,
    .embed_forward = opencl_embed_forward,
    .embed_backward = opencl_embed_backward,
    .turn = opencl_turn,
    .norm_forward = opencl_norm_forward,
    .norm_backward = opencl_norm_backward,
    .linear_forward = opencl_linear_forward,
    .linear_backward = opencl_linear_backward,
    .attention_forward = opencl_attention_forward,
    .attention_backward = opencl_attention_backward,
    .attention_decode = opencl_attention_decode,
    .add = opencl_add,
    .dropout = opencl_dropout,
    .loss = opencl_loss,
};

static dt_status raise_none(const opencl_device *device, size_t count) {
    char found[600] = "none";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof found; i++) {
        const dt_device *d = &device[i].about;
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%s (%s, driver %s)",
                                 i ? ", " : "", d->name, d->platform, d->driver);
    }
    DT_RAISE(DT_ERR_UNAVAILABLE,
             "--backend opencl: no OpenCL device that kernels can be built for, with OpenCL 1.2 "
             "and a compiler; found: %s; install its "
             "driver (for a CPU: pocl-opencl-icd), or give --backend cpu",
             found);
}

/* Chooses the first device or an identical one, so that all ranks compute the same bits. */
static dt_status choose(opencl_device *chosen, size_t local_rank) {
    opencl_device *device;
    size_t count, alike = 0;
    dt_status status = DT_OK;
    DT_TRY(opencl_devices_find(&device, &count));
    if (count == 0 || !device[0].about.usable) {
        status = raise_none(device, count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        const dt_device *a = &device[0].about, *b = &device[i].about;
        const bool same = b->usable && strcmp(a->name, b->name) == 0 &&
                          strcmp(a->driver, b->driver) == 0 &&
                          device[0].platform == device[i].platform;
        if (same) device[alike++] = device[i];
    }
    *chosen = device[local_rank % alike];
done:
    dt_memory_free(&device);
    return status;
}

static dt_status open_queues(opencl_backend *ocl, cl_platform_id platform) {
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)platform, 0};
    cl_int code;
    cl_ulong local = 0, most = 0;
    ocl->context = clCreateContext(properties, 1, &ocl->device, NULL, NULL, &code);
    CL_TRY(ocl, code, "opening it");
    ocl->queue = clCreateCommandQueue(ocl->context, ocl->device, 0, &code);
    CL_TRY(ocl, code, "opening its first queue");
    ocl->transfer = clCreateCommandQueue(ocl->context, ocl->device, 0, &code);
    CL_TRY(ocl, code, "opening its second queue");
    CL_TRY(ocl, clGetDeviceInfo(ocl->device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL),
           "asking for its local memory");
    CL_TRY(ocl,
           clGetDeviceInfo(ocl->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, NULL),
           "asking for its memory");
    ocl->local_memory = local;
    ocl->most_at_once = most;
    return DT_OK;
}

static void describe(opencl_backend *ocl) {
    const dt_device *d = &ocl->about;
    snprintf(ocl->description, sizeof ocl->description, "%s, %.1f GB (%s, driver %s)", d->name,
             (double)d->memory / 1e9, d->platform, d->driver);
    ocl->table.description = ocl->description;
}

static dt_status opencl_open(dt_backend **backend, size_t local_rank) {
    opencl_device device = {0};
    opencl_backend *ocl = NULL;
    dt_status status;
    *backend = NULL;
    DT_TRY(choose(&device, local_rank));
    DT_TRY(dt_memory_alloc(&ocl, 1, sizeof *ocl, "the OpenCL backend"));
    ocl->table = OPENCL_TABLE;
    ocl->base.op = &ocl->table;
    ocl->device = device.id;
    ocl->about = device.about;
    describe(ocl);
    DT_TRY_DONE(open_queues(ocl, device.platform));
    DT_TRY_DONE(opencl_program_build(ocl));
    DT_TRY_DONE(opencl_blas_test(ocl));
    *backend = &ocl->base;
    ocl = NULL;
done:
    if (ocl) opencl_close(&(dt_backend *){&ocl->base});
    return status;
}

static dt_status opencl_probe(bool *usable, char *why, size_t size) {
    opencl_device *device;
    size_t count;
    DT_TRY(opencl_devices_find(&device, &count));
    *usable = count > 0 && device[0].about.usable && device[0].about.gpu;
    snprintf(why, size, "%s", count > 0 ? "no usable GPU" : "no device");
    dt_memory_free(&device);
    return DT_OK;
}

const dt_backend_entry entry_opencl = {
    .name = "opencl",
    .help = "a device by OpenCL and CLBlast",
    .priority = 20,
    .needs = "a GPU",
    .in_turns = true,
    .probe = opencl_probe,
    .devices = opencl_devices,
    .open = opencl_open,
};
