/* Preloaded into the program by tests: makes OpenCL fail as broken drivers and devices do.
 *
 * DTRAIN_TEST_OPENCL=
 *   "build"          the kernels do not build
 *   "memory BYTES"   no buffer of that size or a larger one can be had
 *   "name RANK"      rank RANK's device is of another type than the others'
 *   "read RANK N"    rank RANK's device is gone from its Nth read on
 *   "push RANK N"    the same, from the Nth time on that more than 64 KiB are queued to be written:
 * weights
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool lost;

/* The real function behind a name that this file defines. */
static void find(void *function, const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    memcpy(function, &found, sizeof found);
}

/* The numbers after a kind of fault; false: another kind is set. */
static bool wanted(const char *kind, long *first, long *second) {
    const char *text = getenv("DTRAIN_TEST_OPENCL");
    char named[16];
    *first = *second = 0;
    return text && sscanf(text, "%15s %ld %ld", named, first, second) >= 1 &&
           strcmp(named, kind) == 0;
}

static bool is_rank(long which) {
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return strtol(rank ? rank : "0", NULL, 10) == which;
}

/* Whether this rank's device is lost from this call on. */
static bool is_lost(const char *kind, long *calls) {
    long which, from;
    if (wanted(kind, &which, &from) && is_rank(which)) lost = lost || ++*calls >= from;
    return lost;
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t size, void *value,
                       size_t *needed) {
    static cl_int (*real)(cl_device_id, cl_device_info, size_t, void *, size_t *);
    static const char OTHER[] = "another device";
    long which, none;
    if (!real) find(&real, "clGetDeviceInfo");
    if (what == CL_DEVICE_NAME && value && size >= sizeof OTHER && wanted("name", &which, &none) &&
        is_rank(which)) {
        memcpy(value, OTHER, sizeof OTHER);
        return CL_SUCCESS;
    }
    return real(device, what, size, value, needed);
}

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **source,
                                     const size_t *length, cl_int *error) {
    static cl_program (*real)(cl_context, cl_uint, const char **, const size_t *, cl_int *);
    static const char *BROKEN = "kernel void broken(global float *x) { x[0] = missing_number; }";
    long none;
    if (!real) find(&real, "clCreateProgramWithSource");
    if (wanted("build", &none, &none)) return real(context, 1, &BROKEN, NULL, error);
    return real(context, count, source, length, error);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host,
                      cl_int *error) {
    static cl_mem (*real)(cl_context, cl_mem_flags, size_t, void *, cl_int *);
    long most, none;
    if (!real) find(&real, "clCreateBuffer");
    if (!wanted("memory", &most, &none) || size < (size_t)most) {
        return real(context, flags, size, host, error);
    }
    *error = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return NULL;
}

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                           size_t size, void *to, cl_uint events, const cl_event *event,
                           cl_event *done) {
    static cl_int (*real)(cl_command_queue, cl_mem, cl_bool, size_t, size_t, void *, cl_uint,
                          const cl_event *, cl_event *);
    static long calls;
    if (!real) find(&real, "clEnqueueReadBuffer");
    if (is_lost("read", &calls)) return CL_OUT_OF_RESOURCES;
    return real(queue, buffer, blocking, offset, size, to, events, event, done);
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                            size_t size, const void *from, cl_uint events, const cl_event *event,
                            cl_event *done) {
    static cl_int (*real)(cl_command_queue, cl_mem, cl_bool, size_t, size_t, const void *, cl_uint,
                          const cl_event *, cl_event *);
    static long calls;
    if (!real) find(&real, "clEnqueueWriteBuffer");
    const bool weights = !blocking && size > 65536;
    if (weights ? is_lost("push", &calls) : lost) return CL_OUT_OF_RESOURCES;
    return real(queue, buffer, blocking, offset, size, from, events, event, done);
}
