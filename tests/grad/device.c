/* Tensors with two copies: on a device, between guards, and on the host in double precision. */
#include "device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "dtrain/backend/registry.h"
#include "dtrain/core/memory.h"

enum { GUARD = 16 }; /* floats: tensors keep the alignment of their buffer */
static const float GUARD_VALUE = 12345.678f;
static const double TOLERANCE = 1e-4;

void device_expect_ok(dt_status status, const char *what, const char *file, int line) {
    if (status == DT_OK) return;
    print_error("%s: %s (%s)\n", what, dt_error_text(), dt_error_location());
    _fail(file, line);
}

/* SKIP_RETURN_CODE of ctest. */
enum { SKIPPED = 77 };

/* A backend of the registry, if this machine has a device for it. */
static dt_status open_entry(dt_backend **backend, const dt_backend_entry *entry) {
    dt_device *devices = NULL;
    size_t count = 0;
    if (!entry->host && entry->devices) DT_TRY(entry->devices(&devices, &count));
    const bool usable = entry->host || (count > 0 && devices[0].usable);
    dt_memory_free(&devices);
    if (!usable) {
        print_message("SKIPPED: needs header CL/cl.h and header clblast_c.h and icd pocl\n");
        exit(SKIPPED);
    }
    return dt_backend_open(backend, entry, 0);
}

/* A backend by its name, or the CPU's with the kernels of one instruction set. */
static dt_status open_chosen(dt_backend **backend) {
    const char *name = getenv("DTRAIN_TEST_BACKEND");
    const dt_backend_entry *entry = name ? dt_backend_find(name) : dt_backend_host();
    if (entry) return open_entry(backend, entry);
    const cpu_kernels *kernels = cpu_kernels_find(name);
    const bool known = strcmp(name, "avx512") == 0 || strcmp(name, "avx2") == 0;
    if (!kernels && known) {
        print_message("SKIPPED: needs processor %s\n", name);
        exit(SKIPPED);
    }
    DT_REQUIRE(kernels, DT_ERR_ARG, "DTRAIN_TEST_BACKEND: there is no backend %s", name);
    DT_TRY(dt_backend_open(backend, dt_backend_host(), 0));
    cpu_kernels_use((cpu_backend *)*backend, kernels);
    return cpu_products_test((cpu_backend *)*backend);
}

int device_open(void **state) {
    dt_backend *backend = NULL;
    if (open_chosen(&backend) != DT_OK) {
        print_error("%s\n", dt_error_text());
        return -1;
    }
    print_message("%s: %s\n", backend->op->name, backend->op->description);
    *state = backend;
    return 0;
}

int device_close(void **state) {
    dt_backend *backend = *state;
    backend->op->close(&backend);
    return backend ? -1 : 0;
}

/* A guarded tensor of NaN; the caller sets `host`. */
static device_tensor create(const char *name, dt_backend *backend, size_t count) {
    device_tensor t = {.name = name, .backend = backend, .count = count};
    const size_t whole = count + 2 * GUARD;
    float *words = reference_alloc(whole, sizeof *words);
    for (size_t i = 0; i < whole; i++) {
        words[i] = i < GUARD || i >= GUARD + count ? GUARD_VALUE : NAN;
    }
    expect_ok(backend->op->buffer_create(&t.buffer, backend, whole * sizeof(float), name));
    expect_ok(backend->op->upload(backend, dt_floats(t.buffer, 0), words, whole));
    t.at = dt_floats(t.buffer, GUARD);
    free(words);
    return t;
}

device_tensor device_blank(const char *name, dt_backend *backend, size_t count) {
    device_tensor t = create(name, backend, count);
    t.host = reference_doubles(count);
    return t;
}

device_tensor device_from(const char *name, dt_backend *backend, const double *values,
                          size_t count) {
    device_tensor t = create(name, backend, count);
    float *words = reference_alloc(count, sizeof *words);
    for (size_t i = 0; i < count; i++) words[i] = (float)values[i];
    expect_ok(backend->op->upload(backend, t.at, words, count));
    t.host = fixture_copy(values, count);
    free(words);
    return t;
}

device_tensor device_random(const char *name, dt_backend *backend, size_t count, double centre,
                            double scale, fixture_random *random) {
    double *values = fixture_values(count, centre, scale, random);
    const device_tensor t = device_from(name, backend, values, count);
    free(values);
    return t;
}

double *device_read(const device_tensor *tensor) {
    float *words = reference_alloc(tensor->count, sizeof *words);
    double *values = reference_doubles(tensor->count);
    expect_ok(tensor->backend->op->download(tensor->backend, words, tensor->at, tensor->count));
    for (size_t i = 0; i < tensor->count; i++) values[i] = (double)words[i];
    free(words);
    return values;
}

void device_destroy(device_tensor *first, ...) {
    va_list rest;
    va_start(rest, first);
    for (device_tensor *t = first; t; t = va_arg(rest, device_tensor *)) {
        if (t->buffer) t->backend->op->buffer_destroy(&t->buffer, t->backend);
        free(t->host);
        *t = device_none();
    }
    va_end(rest);
}

static void expect_one(const char *what, const char *file, int line, const device_tensor *t) {
    char text[200];
    snprintf(text, sizeof text, "%s: %s", what, t->name);
    double *actual = device_read(t);
    fixture_expect_close(text, actual, t->host, t->count, TOLERANCE, file, line);
    free(actual);

    float guard[2 * GUARD];
    dt_backend *const backend = t->backend;
    expect_ok(backend->op->download(backend, guard, dt_floats(t->buffer, 0), GUARD));
    expect_ok(backend->op->download(backend, guard + GUARD, dt_tensor_at(t->at, t->count), GUARD));
    for (size_t i = 0; i < 2 * GUARD; i++) {
        if (guard[i] == GUARD_VALUE) continue;
        print_error("%s: written %s its %zu elements\n", text, i < GUARD ? "before" : "behind",
                    t->count);
        _fail(file, line);
    }
}

void device_expect(const char *what, const char *file, int line, const device_tensor *first, ...) {
    va_list rest;
    va_start(rest, first);
    for (const device_tensor *t = first; t; t = va_arg(rest, const device_tensor *)) {
        if (t->buffer) expect_one(what, file, line, t);
    }
    va_end(rest);
}

dt_tensor device_ints(dt_buffer **buffer, dt_backend *backend, const int32_t *values,
                      size_t count) {
    expect_ok(
        backend->op->buffer_create(buffer, backend, count * sizeof *values, "integers of a test"));
    const dt_tensor at = dt_ints(*buffer, 0);
    expect_ok(backend->op->upload(backend, at, values, count));
    return at;
}

void device_batch_create(device_batch *device, dt_backend *backend, const dt_batch *batch) {
    const size_t B = batch->problems, N = batch->tokens;
    *device = (device_batch){.backend = backend};
    device->packed = (dt_packed){
        .problems = B,
        .tokens = N,
        .offset = device_ints(&device->offset, backend, batch->offset, B + 1),
        .token = device_ints(&device->token, backend, batch->token, N),
        .position = device_ints(&device->position, backend, batch->position, N),
        .place = device_ints(&device->place, backend, batch->place, N),
        .spot = device_ints(&device->spot, backend, batch->spot, N),
        .target = device_ints(&device->target, backend, batch->target, N),
        .host_offset = batch->offset,
    };
}

void device_batch_destroy(device_batch *device) {
    const dt_backend_table *op = device->backend->op;
    op->buffer_destroy(&device->offset, device->backend);
    op->buffer_destroy(&device->token, device->backend);
    op->buffer_destroy(&device->position, device->backend);
    op->buffer_destroy(&device->place, device->backend);
    op->buffer_destroy(&device->spot, device->backend);
    op->buffer_destroy(&device->target, device->backend);
}
