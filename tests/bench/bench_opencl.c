/* The peak of an OpenCL device, which dtrain's rate is a share of: multiplications and additions in
 * registers, and copies in its memory. Prints one line of JSON. */
#include <CL/cl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/clock.h"

static const char SOURCE[] =
    "__kernel void chains(__global float *y, float x, int rounds) {\n"
    "    float8 a = (float8)(0, 1, 2, 3, 4, 5, 6, 7) * x + get_global_id(0), b = a + 8;\n"
    "    for (int i = 0; i < rounds; i++) {\n"
    "        a = fma(a, (float8)x, (float8)0.5f); b = fma(b, (float8)x, (float8)0.5f);\n"
    "        a = fma(a, (float8)x, (float8)0.5f); b = fma(b, (float8)x, (float8)0.5f);\n"
    "        a = fma(a, (float8)x, (float8)0.5f); b = fma(b, (float8)x, (float8)0.5f);\n"
    "        a = fma(a, (float8)x, (float8)0.5f); b = fma(b, (float8)x, (float8)0.5f);\n"
    "    }\n"
    "    a += b;\n"
    "    y[get_global_id(0)] = a.s0 + a.s1 + a.s2 + a.s3 + a.s4 + a.s5 + a.s6 + a.s7;\n"
    "}\n"
    "__kernel void copy(__global float4 *y, __global const float4 *x) {\n"
    "    y[get_global_id(0)] = x[get_global_id(0)];\n"
    "}\n";
enum { FLOP_A_ROUND = 4 * 2 * 8 * 2 };

typedef struct {
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
} device;

static void check(cl_int error, const char *what) {
    if (error == CL_SUCCESS) return;
    fprintf(stderr, "bench_opencl: %s: OpenCL error %d\n", what, error);
    exit(69);
}

/* A GPU if there is one, as dtrain chooses. */
static cl_device_id find_device(void) {
    enum { MOST = 16 };
    cl_platform_id platform[MOST];
    cl_uint platforms = 0, found;
    clGetPlatformIDs(MOST, platform, &platforms);
    static const cl_device_type TYPE[] = {CL_DEVICE_TYPE_GPU, CL_DEVICE_TYPE_ALL};
    for (size_t t = 0; t < sizeof TYPE / sizeof *TYPE; t++) {
        for (cl_uint i = 0; i < platforms && i < MOST; i++) {
            cl_device_id id;
            if (clGetDeviceIDs(platform[i], TYPE[t], 1, &id, &found) == CL_SUCCESS) return id;
        }
    }
    fprintf(stderr, "bench_opencl: there is no OpenCL device\n");
    exit(69);
}

static void open_device(device *d) {
    cl_int error;
    const char *source = SOURCE;
    d->id = find_device();
    d->context = clCreateContext(NULL, 1, &d->id, NULL, NULL, &error);
    check(error, "context");
    d->queue = clCreateCommandQueue(d->context, d->id, 0, &error);
    check(error, "queue");
    d->program = clCreateProgramWithSource(d->context, 1, &source, NULL, &error);
    check(error, "program");
    check(clBuildProgram(d->program, 1, &d->id, "", NULL, NULL), "compiler");
}

static cl_kernel find_kernel(const device *d, const char *name) {
    cl_int error;
    const cl_kernel kernel = clCreateKernel(d->program, name, &error);
    check(error, name);
    return kernel;
}

static cl_mem make_buffer(const device *d, size_t bytes) {
    cl_int error;
    const cl_mem buffer = clCreateBuffer(d->context, CL_MEM_READ_WRITE, bytes, NULL, &error);
    check(error, "memory");
    return buffer;
}

/* Seconds of one run of a kernel: the best of some. */
static double time_kernel(const device *d, cl_kernel kernel, size_t items) {
    enum { RUNS = 6 };
    double best = 1e9;
    for (int i = 0; i < RUNS; i++) {
        const double start = dt_seconds_now();
        check(clEnqueueNDRangeKernel(d->queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL),
              "starting a kernel");
        check(clFinish(d->queue), "a kernel");
        const double spent = dt_seconds_now() - start;
        if (i > 0 && spent < best) best = spent;
    }
    return best;
}

/* FLOP per second. */
static double peak(const device *d, size_t items, int rounds) {
    const cl_kernel kernel = find_kernel(d, "chains");
    const cl_mem y = make_buffer(d, items * sizeof(float));
    const float x = 0.999f;
    check(clSetKernelArg(kernel, 0, sizeof y, &y), "an argument");
    check(clSetKernelArg(kernel, 1, sizeof x, &x), "an argument");
    check(clSetKernelArg(kernel, 2, sizeof rounds, &rounds), "an argument");
    const double seconds = time_kernel(d, kernel, items);
    clReleaseMemObject(y);
    clReleaseKernel(kernel);
    return (double)items * rounds * FLOP_A_ROUND / seconds;
}

/* Bytes read and written per second. */
static double bandwidth(const device *d, size_t bytes) {
    const cl_kernel kernel = find_kernel(d, "copy");
    const cl_mem y = make_buffer(d, bytes), x = make_buffer(d, bytes);
    check(clSetKernelArg(kernel, 0, sizeof y, &y), "an argument");
    check(clSetKernelArg(kernel, 1, sizeof x, &x), "an argument");
    const double seconds = time_kernel(d, kernel, bytes / sizeof(cl_float4));
    clReleaseMemObject(x);
    clReleaseMemObject(y);
    clReleaseKernel(kernel);
    return 2 * (double)bytes / seconds;
}

int main(void) {
    device d;
    char name[256] = "", driver[256] = "";
    cl_device_type type = 0;
    open_device(&d);
    clGetDeviceInfo(d.id, CL_DEVICE_NAME, sizeof name - 1, name, NULL);
    clGetDeviceInfo(d.id, CL_DRIVER_VERSION, sizeof driver - 1, driver, NULL);
    clGetDeviceInfo(d.id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    const bool gpu = type & CL_DEVICE_TYPE_GPU;
    const double flops = peak(&d, gpu ? 1 << 20 : 1 << 12, gpu ? 4096 : 1024);
    const double bytes = bandwidth(&d, (size_t)(gpu ? 512 : 64) << 20);
    printf("{\"device\":\"%s\",\"driver\":\"%s\",\"gpu\":%s,\"gflops\":%.1f,\"gbytes\":%.1f}\n",
           name, driver, gpu ? "true" : "false", 1e-9 * flops, 1e-9 * bytes);
    clReleaseProgram(d.program);
    clReleaseCommandQueue(d.queue);
    clReleaseContext(d.context);
    return 0;
}
