/* Lists the OpenCL devices of this machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

/* A device's string without the spaces that some drivers add around it. */
static void device_text(char *text, size_t size, cl_device_id id, cl_device_info what) {
    char full[1024] = "";
    if (clGetDeviceInfo(id, what, sizeof full - 1, full, NULL) != CL_SUCCESS) full[0] = '\0';
    size_t length = strlen(full);
    while (length > 0 && full[length - 1] == ' ') length--;
    const size_t skip = strspn(full, " ");
    snprintf(text, size, "%.*s", (int)(length > skip ? length - skip : 0), full + skip);
}

static bool is_usable(cl_device_id id) {
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    char version[128] = "", *end; /* "OpenCL 3.0 PoCL" */
    clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    clGetDeviceInfo(id, CL_DEVICE_VERSION, sizeof version - 1, version, NULL);
    const long major = strtol(version + strlen("OpenCL "), &end, 10);
    const long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return available && compiler && major * 10 + minor >= 12;
}

static void describe(opencl_device *d) {
    cl_ulong memory = 0;
    cl_device_type type = 0;
    device_text(d->about.name, sizeof d->about.name, d->id, CL_DEVICE_NAME);
    device_text(d->about.driver, sizeof d->about.driver, d->id, CL_DRIVER_VERSION);
    clGetDeviceInfo(d->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
    clGetDeviceInfo(d->id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    clGetPlatformInfo(d->platform, CL_PLATFORM_NAME, sizeof d->about.platform - 1,
                      d->about.platform, NULL);
    d->about.memory = memory;
    d->about.usable = is_usable(d->id);
    d->about.gpu = (type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR)) != 0;
}

static dt_status add_platform(opencl_device **device, size_t *count, size_t *capacity,
                              cl_platform_id platform) {
    enum { MOST = 64 };
    cl_device_id id[MOST];
    cl_uint found = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MOST, id, &found) != CL_SUCCESS) return DT_OK;
    for (cl_uint i = 0; i < found && i < MOST; i++) {
        DT_TRY(
            dt_memory_grow(device, capacity, *count + 1, sizeof **device, "the list of devices"));
        opencl_device *d = &(*device)[(*count)++];
        *d = (opencl_device){.platform = platform, .id = id[i]};
        describe(d);
    }
    return DT_OK;
}

static int preference(const opencl_device *d) { return 2 * d->about.usable + d->about.gpu; }

/* The best devices first, otherwise in OpenCL's order. */
static void sort_devices(opencl_device *device, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const opencl_device d = device[i];
        size_t at = i;
        for (; at > 0 && preference(&d) > preference(&device[at - 1]); at--)
            device[at] = device[at - 1];
        device[at] = d;
    }
}

dt_status opencl_devices_find(opencl_device **device, size_t *count) {
    enum { MOST = 16 };
    cl_platform_id platform[MOST];
    cl_uint platforms = 0;
    size_t capacity = 0;
    dt_status status = DT_OK;
    *device = NULL;
    *count = 0;
    /* On a machine without drivers the loader returns an error. */
    if (clGetPlatformIDs(MOST, platform, &platforms) != CL_SUCCESS) return DT_OK;
    for (cl_uint i = 0; i < platforms && i < MOST && status == DT_OK; i++) {
        status = add_platform(device, count, &capacity, platform[i]);
    }
    if (status != DT_OK) {
        dt_memory_free(device);
        *count = 0;
        return status;
    }
    sort_devices(*device, *count);
    return DT_OK;
}

dt_status opencl_devices(dt_device **device, size_t *count) {
    opencl_device *found;
    *device = NULL;
    DT_TRY(opencl_devices_find(&found, count));
    dt_status status = DT_OK;
    if (*count > 0)
        status = dt_memory_alloc(device, *count, sizeof **device, "the list of devices");
    for (size_t i = 0; status == DT_OK && i < *count; i++) (*device)[i] = found[i].about;
    dt_memory_free(&found);
    return status;
}
