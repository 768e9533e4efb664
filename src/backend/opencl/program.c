/* Builds the kernels and launches them. */
#include <stdio.h>
#include <string.h>

#include "opencl.h"

static const char *const NAME[KERNELS] = {
    [KERNEL_ADD_PARTIALS] = "add_partials",
    [KERNEL_EMBED_FORWARD] = "embed_forward",
    [KERNEL_EMBED_BACKWARD] = "embed_backward",
    [KERNEL_TURN] = "turn",
    [KERNEL_NORM_FORWARD] = "norm_forward",
    [KERNEL_NORM_BACKWARD] = "norm_backward",
    [KERNEL_NORM_COLUMNS] = "norm_columns",
    [KERNEL_LINEAR_ADD] = "linear_add",
    [KERNEL_LINEAR_GELU] = "linear_gelu",
    [KERNEL_ADD] = "add",
    [KERNEL_LINEAR_COLUMNS] = "linear_columns",
    [KERNEL_ATTENTION_FORWARD] = "attention_forward",
    [KERNEL_ATTENTION_BACKWARD_Q] = "attention_backward_q",
    [KERNEL_ATTENTION_BACKWARD_KV] = "attention_backward_kv",
    [KERNEL_ATTENTION_DECODE] = "attention_decode",
    [KERNEL_DROPOUT] = "dropout",
    [KERNEL_LOSS] = "loss",
};

static dt_status raise_build_error(const opencl_backend *ocl, cl_int code) {
    char *log = NULL;
    size_t size = 0;
    clGetProgramBuildInfo(ocl->program, ocl->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    DT_TRY(dt_memory_alloc(&log, size + 1, 1, "the log of OpenCL's compiler"));
    clGetProgramBuildInfo(ocl->program, ocl->device, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    const dt_status status =
        dt_error_raise(DT_ERR_UNAVAILABLE, __FILE__, __LINE__,
                       "the kernels cannot be built for %s (%s, driver %s; OpenCL error %d, %s); "
                       "another driver may help, or --backend cpu. Its "
                       "compiler says:\n%.1000s",
                       ocl->about.name, ocl->about.platform, ocl->about.driver, (int)code,
                       opencl_error_name(code), log);
    dt_memory_free(&log);
    return status;
}

static void release(opencl_backend *ocl) {
    for (size_t i = 0; i < KERNELS; i++) {
        if (ocl->kernel[i]) clReleaseKernel(ocl->kernel[i]);
        ocl->kernel[i] = NULL;
    }
    if (ocl->program) clReleaseProgram(ocl->program);
    ocl->program = NULL;
}

/* *granted: the smallest of the kernels' maximum work-group sizes. */
static dt_status build_for(opencl_backend *ocl, size_t *granted) {
    char options[64];
    cl_int code;
    /* The type of clCreateProgramWithSource's argument is not const. */
    ocl->program = clCreateProgramWithSource(ocl->context, (cl_uint)OPENCL_SOURCES,
                                             (const char **)(size_t)OPENCL_SOURCE, NULL, &code);
    CL_TRY(ocl, code, "creating the program");
    snprintf(options, sizeof options, "-cl-std=CL1.2 -DGROUP=%zu", ocl->group);
    code = clBuildProgram(ocl->program, 1, &ocl->device, options, NULL, NULL);
    if (code != CL_SUCCESS) return raise_build_error(ocl, code);
    *granted = ocl->group;
    for (size_t i = 0; i < KERNELS; i++) {
        ocl->kernel[i] = clCreateKernel(ocl->program, NAME[i], &code);
        CL_TRY(ocl, code, NAME[i]);
        size_t most = ocl->group;
        clGetKernelWorkGroupInfo(ocl->kernel[i], ocl->device, CL_KERNEL_WORK_GROUP_SIZE,
                                 sizeof most, &most, NULL);
        *granted = dt_min_size(*granted, most);
    }
    return DT_OK;
}

dt_status opencl_program_build(opencl_backend *ocl) {
    size_t most = 1, granted = 0;
    CL_TRY(ocl,
           clGetDeviceInfo(ocl->device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof most, &most, NULL),
           "asking for its work-group size");
    /* 64 is one wavefront of AMD or two warps of NVIDIA: barriers are cheap, and rows of a few
     * hundred channels keep all work-items busy. */
    for (ocl->group = 64; ocl->group > most; ocl->group /= 2) {
    }
    for (;;) {
        DT_TRY(build_for(ocl, &granted));
        if (granted >= ocl->group) return DT_OK;
        release(ocl);
        while (ocl->group > granted) ocl->group /= 2;
        DT_REQUIRE(ocl->group > 0, DT_ERR_UNAVAILABLE, "%s grants the kernels no work-group at all",
                   ocl->about.name);
    }
}

launch launch_begin(dt_backend *backend, kernel_id kernel) {
    return (launch){.ocl = (opencl_backend *)backend, .kernel = kernel};
}

static void add(launch *l, size_t size, const void *value) {
    const cl_int code = clSetKernelArg(l->ocl->kernel[l->kernel], l->next++, size, value);
    if (l->error == CL_SUCCESS) l->error = code;
}

static void add_tensor(launch *l, dt_tensor tensor, dt_element element) {
    const cl_uint first = (cl_uint)(tensor.offset / dt_element_bytes(element, 1));
    if (l->status == DT_OK)
        l->status = element_expect("opencl", NAME[l->kernel], element, &tensor, 1);
    add(l, sizeof(cl_mem), tensor.buffer ? &tensor.buffer->memory : NULL);
    add(l, sizeof first, &first);
}

void launch_tensor(launch *l, dt_tensor tensor) { add_tensor(l, tensor, DT_ELEMENT_FLOAT32); }

void launch_ids(launch *l, dt_tensor tensor) { add_tensor(l, tensor, DT_ELEMENT_INT32); }

void launch_uint(launch *l, size_t value) {
    const cl_uint number = (cl_uint)value;
    add(l, sizeof number, &number);
}

void launch_ulong(launch *l, uint64_t value) {
    const cl_ulong number = value;
    add(l, sizeof number, &number);
}

void launch_float(launch *l, float value) { add(l, sizeof value, &value); }

void launch_local(launch *l, size_t floats) { add(l, floats * sizeof(float), NULL); }

dt_status launch_run(launch *l, size_t x, size_t y, size_t z) {
    opencl_backend *ocl = l->ocl;
    const size_t global[3] = {dt_round_up(x, ocl->group), y, z}, local[3] = {ocl->group, 1, 1};
    DT_TRY(l->status);
    CL_TRY(ocl, l->error, NAME[l->kernel]);
    CL_TRY(ocl,
           clEnqueueNDRangeKernel(ocl->queue, ocl->kernel[l->kernel], 3, NULL, global, local, 0,
                                  NULL, NULL),
           NAME[l->kernel]);
    return DT_OK;
}
