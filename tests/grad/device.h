/* Tensors with two copies: on a device, between guards, and on the host in double precision. */
#ifndef DTRAIN_TESTS_DEVICE_H
#define DTRAIN_TESTS_DEVICE_H

#include <math.h>

#include "fixture.h"

/* The backend's operation works on `at`, the reference on `host`; then both must hold the same. */
typedef struct {
    const char *name;
    dt_backend *backend;
    dt_buffer *buffer;
    dt_tensor at;
    double *host;
    size_t count;
} device_tensor;

/* The same random numbers in both copies. */
device_tensor device_random(const char *name, dt_backend *backend, size_t count, double centre,
                            double scale, fixture_random *random);
/* For a tensor that an operation must replace: NaN on the device, zeros on the host. */
device_tensor device_blank(const char *name, dt_backend *backend, size_t count);
/* Values that floats can hold. */
device_tensor device_from(const char *name, dt_backend *backend, const double *values,
                          size_t count);
/* An optional argument that is left out. */
static inline device_tensor device_none(void) { return (device_tensor){0}; }

/* Allocated, as doubles: free(). */
double *device_read(const device_tensor *tensor);
/* Frees all of them; the list ends with NULL. */
void device_destroy(device_tensor *first, ...) __attribute__((sentinel));

/* The device holds the values of `host`, to 1e-4 of the largest, and nothing was written outside.
 * The list, which ends with NULL, should contain the inputs too. The first argument names the case.
 */
#define expect_device(what, ...) device_expect((what), __FILE__, __LINE__, __VA_ARGS__)
void device_expect(const char *what, const char *file, int line, const device_tensor *first, ...)
    __attribute__((sentinel));

/* ---- int32 ---- */

dt_tensor device_ints(dt_buffer **buffer, dt_backend *backend, const int32_t *values, size_t count);

/* A batch's arrays on the device. */
typedef struct {
    dt_backend *backend;
    dt_buffer *offset, *token, *position, *place, *spot, *target;
    dt_packed packed;
} device_batch;

void device_batch_create(device_batch *device, dt_backend *backend, const dt_batch *batch);
void device_batch_destroy(device_batch *device);

/* ---- calls ---- */

/* Fails the test with the error's message. */
#define expect_ok(call) device_expect_ok((call), #call, __FILE__, __LINE__)
void device_expect_ok(dt_status status, const char *what, const char *file, int line);

/* cmocka's group fixtures: *state is the backend that the environment variable DTRAIN_TEST_BACKEND
 * names: blas (the CPU without its own kernel for products), avx512, avx2 or base (the CPU's
 * kernels for such vectors) or opencl; unset: the CPU's default kernels. Without such vectors or an
 * OpenCL device the test is skipped. */
int device_open(void **state);
int device_close(void **state);

/* A model's in training: scores are multiplied by 1/sqrt(D), D = C/H. */
static inline dt_heads heads_of(size_t C, size_t H, int32_t window) {
    const size_t D = C / H;
    return (dt_heads){H, 1.0f / sqrtf((float)D), window};
}

#endif
