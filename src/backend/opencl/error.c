/* Turns OpenCL's error codes into messages and kinds of errors. */
#include "opencl.h"

const char *opencl_error_name(cl_int code) {
    switch (code) {
    case CL_DEVICE_NOT_FOUND: return "CL_DEVICE_NOT_FOUND";
    case CL_DEVICE_NOT_AVAILABLE: return "CL_DEVICE_NOT_AVAILABLE";
    case CL_COMPILER_NOT_AVAILABLE: return "CL_COMPILER_NOT_AVAILABLE";
    case CL_MEM_OBJECT_ALLOCATION_FAILURE: return "CL_MEM_OBJECT_ALLOCATION_FAILURE";
    case CL_OUT_OF_RESOURCES: return "CL_OUT_OF_RESOURCES";
    case CL_OUT_OF_HOST_MEMORY: return "CL_OUT_OF_HOST_MEMORY";
    case CL_BUILD_PROGRAM_FAILURE: return "CL_BUILD_PROGRAM_FAILURE";
    case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
        return "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST";
    case CL_INVALID_VALUE: return "CL_INVALID_VALUE";
    case CL_INVALID_DEVICE: return "CL_INVALID_DEVICE";
    case CL_INVALID_CONTEXT: return "CL_INVALID_CONTEXT";
    case CL_INVALID_COMMAND_QUEUE: return "CL_INVALID_COMMAND_QUEUE";
    case CL_INVALID_MEM_OBJECT: return "CL_INVALID_MEM_OBJECT";
    case CL_INVALID_KERNEL_ARGS: return "CL_INVALID_KERNEL_ARGS";
    case CL_INVALID_WORK_GROUP_SIZE: return "CL_INVALID_WORK_GROUP_SIZE";
    case CL_INVALID_BUFFER_SIZE: return "CL_INVALID_BUFFER_SIZE";
    default: return "see CL/cl.h and clblast_c.h";
    }
}

/* Drivers report a lost or failed device with many codes; NVIDIA's own codes are below -9000.
 * Errors of the program itself have codes of -30 and below. */
static dt_status kind_of(cl_int code) {
    switch (code) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_HOST_MEMORY: return DT_ERR_MEMORY;
    case CL_INVALID_DEVICE:
    case CL_INVALID_CONTEXT:
    case CL_INVALID_COMMAND_QUEUE: return DT_ERR_DEVICE;
    default: return code > -30 || code < -9000 ? DT_ERR_DEVICE : DT_ERR_INTERNAL;
    }
}

dt_status opencl_check(const opencl_backend *ocl, cl_int code, const char *doing) {
    if (code == CL_SUCCESS) return DT_OK;
    const char *name = ocl->about.name;
    switch (kind_of(code)) {
    case DT_ERR_MEMORY:
        DT_RAISE(
            DT_ERR_MEMORY,
            "out of memory on %s, which has %.1f GB, %s (%s); lower --width, --layers, --batch or "
            "--micro-batch, or let fewer ranks share it",
            name, (double)ocl->about.memory / 1e9, doing, opencl_error_name(code));
    case DT_ERR_DEVICE:
        DT_RAISE(DT_ERR_DEVICE, "the device %s has failed, %s (OpenCL error %d, %s)", name, doing,
                 (int)code, opencl_error_name(code));
    default:
        DT_RAISE(DT_ERR_INTERNAL, "%s on %s: OpenCL error %d, %s", doing, name, (int)code,
                 opencl_error_name(code));
    }
}
