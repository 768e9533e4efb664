/* Buffers on the device, and copies between them and the host. */
#include <limits.h>
#include <string.h>

#include "opencl.h"

enum { STAGING_BYTES = 1 << 20 };

static dt_status raise_no_room(const opencl_backend *ocl, const char *what, size_t bytes,
                               cl_int code) {
    DT_RAISE(DT_ERR_MEMORY,
             "out of memory on %s: %s need %.1f MB; it has %.1f MB in all, and gives at most %.1f "
             "MB at once (%s); lower --width, "
             "--layers, --batch or --micro-batch, or let fewer ranks share it",
             ocl->about.name, what, (double)bytes / 1e6, (double)ocl->about.memory / 1e6,
             (double)ocl->most_at_once / 1e6, opencl_error_name(code));
}

/* Drivers may delay the allocation until the memory is written, so it is written at once. */
static dt_status create_memory(cl_mem *memory, opencl_backend *ocl, size_t bytes,
                               const char *what) {
    const float zero = 0;
    cl_int code = CL_SUCCESS;
    *memory = NULL;
    const size_t count = bytes / sizeof(float);
    bytes = dt_round_up(bytes, sizeof zero);
    DT_REQUIRE(count <= INT_MAX, DT_ERR_MEMORY,
               "%s: %zu elements are more than CLBlast can count; lower --width, --layers, --batch "
               "or --micro-batch",
               what, count);
    if (bytes > ocl->most_at_once) {
        return raise_no_room(ocl, what, bytes, CL_INVALID_BUFFER_SIZE);
    }
    cl_mem created = clCreateBuffer(ocl->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (code == CL_SUCCESS) {
        code =
            clEnqueueFillBuffer(ocl->queue, created, &zero, sizeof zero, 0, bytes, 0, NULL, NULL);
    }
    if (code == CL_SUCCESS) code = clFinish(ocl->queue);
    if (code != CL_SUCCESS) {
        if (created) clReleaseMemObject(created);
        if (code == CL_OUT_OF_RESOURCES) code = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        if (code == CL_MEM_OBJECT_ALLOCATION_FAILURE) return raise_no_room(ocl, what, bytes, code);
        return opencl_check(ocl, code, what);
    }
    *memory = created;
    return DT_OK;
}

dt_status opencl_buffer_attach(dt_buffer **buffer, dt_backend *backend, void *host, size_t bytes,
                               const char *what) {
    cl_mem memory;
    *buffer = NULL;
    DT_TRY(create_memory(&memory, (opencl_backend *)backend, bytes, what));
    const dt_status status = dt_memory_alloc(buffer, 1, sizeof **buffer, what);
    if (status != DT_OK) {
        clReleaseMemObject(memory);
        return status;
    }
    **buffer = (dt_buffer){.memory = memory, .bytes = bytes, .host = host};
    return DT_OK;
}

dt_status opencl_buffer_create(dt_buffer **buffer, dt_backend *backend, size_t bytes,
                               const char *what) {
    return opencl_buffer_attach(buffer, backend, NULL, bytes, what);
}

void opencl_buffer_destroy(dt_buffer **buffer, dt_backend *backend) {
    opencl_backend *ocl = (opencl_backend *)backend;
    if (!*buffer) return;
    /* The host's memory may be freed next. */
    if ((*buffer)->host) {
        clFinish(ocl->queue);
        clFinish(ocl->transfer);
    }
    clReleaseMemObject((*buffer)->memory);
    dt_memory_free(buffer);
}

/* A count of 0 is allowed here, but an error in OpenCL. */
static dt_status check_range(dt_tensor tensor, size_t count) {
    const size_t bytes = dt_element_bytes(tensor.element, count);
    DT_REQUIRE(tensor.buffer && tensor.offset <= tensor.buffer->bytes &&
                   bytes <= tensor.buffer->bytes - tensor.offset,
               DT_ERR_INTERNAL, "a copy of %zu bytes at %zu leaves its buffer of %zu", bytes,
               tensor.offset, tensor.buffer ? tensor.buffer->bytes : 0);
    return DT_OK;
}

static dt_status check_attached(dt_tensor tensor, size_t count) {
    DT_TRY(check_range(tensor, count));
    DT_REQUIRE(tensor.buffer->host, DT_ERR_INTERNAL,
               "a buffer of %zu bytes has no memory on the host", tensor.buffer->bytes);
    return DT_OK;
}

dt_status opencl_push(dt_backend *backend, dt_tensor tensor, size_t count) {
    opencl_backend *ocl = (opencl_backend *)backend;
    DT_TRY(check_attached(tensor, count));
    if (count == 0) return DT_OK;
    CL_TRY(ocl,
           clEnqueueWriteBuffer(ocl->queue, tensor.buffer->memory, CL_FALSE, tensor.offset,
                                dt_element_bytes(tensor.element, count),
                                (char *)tensor.buffer->host + tensor.offset, 0, NULL, NULL),
           "pushing to it");
    CL_TRY(ocl, clFlush(ocl->queue), "pushing to it");
    return DT_OK;
}

/* On the second queue, after all work queued on the first one so far; the first one can go on with
 * later work meanwhile. */
dt_status opencl_pull(dt_backend *backend, dt_tensor tensor, size_t count) {
    opencl_backend *ocl = (opencl_backend *)backend;
    cl_event computed;
    DT_TRY(check_attached(tensor, count));
    if (count == 0) return DT_OK;
    CL_TRY(ocl, clEnqueueMarkerWithWaitList(ocl->queue, 0, NULL, &computed), "pulling from it");
    cl_int code = clFlush(ocl->queue);
    if (code == CL_SUCCESS) {
        code = clEnqueueReadBuffer(ocl->transfer, tensor.buffer->memory, CL_FALSE, tensor.offset,
                                   dt_element_bytes(tensor.element, count),
                                   (char *)tensor.buffer->host + tensor.offset, 1, &computed, NULL);
    }
    if (code == CL_SUCCESS) code = clFlush(ocl->transfer);
    clReleaseEvent(computed);
    CL_TRY(ocl, code, "pulling from it");
    return DT_OK;
}

dt_status opencl_finish(dt_backend *backend) {
    opencl_backend *ocl = (opencl_backend *)backend;
    CL_TRY(ocl, clFinish(ocl->queue), "waiting for it");
    CL_TRY(ocl, clFinish(ocl->transfer), "waiting for it");
    ocl->staging_used = 0;
    return DT_OK;
}

/* Small data are copied first, so that the caller need not wait for the queue. */
dt_status opencl_upload(dt_backend *backend, dt_tensor to, const void *from, size_t count) {
    opencl_backend *ocl = (opencl_backend *)backend;
    const size_t bytes = dt_element_bytes(to.element, count);
    DT_TRY(check_range(to, count));
    if (count == 0) return DT_OK;
    const bool staged = bytes <= STAGING_BYTES - ocl->staging_used;
    if (staged) {
        if (!ocl->staging) DT_TRY(dt_memory_alloc(&ocl->staging, STAGING_BYTES, 1, "staging"));
        from = memcpy((char *)ocl->staging + ocl->staging_used, from, bytes);
        ocl->staging_used += dt_round_up(bytes, DT_ALIGNMENT);
    }
    CL_TRY(ocl,
           clEnqueueWriteBuffer(ocl->queue, to.buffer->memory, staged ? CL_FALSE : CL_TRUE,
                                to.offset, bytes, from, 0, NULL, NULL),
           "writing to it");
    if (!staged) ocl->staging_used = 0; /* the queue is empty */
    return DT_OK;
}

dt_status opencl_download(dt_backend *backend, void *to, dt_tensor from, size_t count) {
    opencl_backend *ocl = (opencl_backend *)backend;
    DT_TRY(check_range(from, count));
    if (count == 0) return DT_OK;
    CL_TRY(ocl,
           clEnqueueReadBuffer(ocl->queue, from.buffer->memory, CL_TRUE, from.offset,
                               dt_element_bytes(from.element, count), to, 0, NULL, NULL),
           "reading from it");
    ocl->staging_used = 0;
    return DT_OK;
}

dt_status opencl_fill_zero(dt_backend *backend, dt_tensor tensor, size_t count) {
    opencl_backend *ocl = (opencl_backend *)backend;
    const float zero = 0;
    DT_TRY(check_range(tensor, count));
    if (count == 0) return DT_OK;
    CL_TRY(ocl,
           clEnqueueFillBuffer(ocl->queue, tensor.buffer->memory, &zero, sizeof zero, tensor.offset,
                               dt_element_bytes(tensor.element, count), 0, NULL, NULL),
           "clearing a buffer");
    return DT_OK;
}

dt_status opencl_reserve(dt_tensor *scratch, opencl_backend *ocl, size_t count) {
    *scratch = dt_floats(&ocl->scratch, 0);
    const size_t bytes = count * sizeof(float);
    if (bytes <= ocl->scratch.bytes) return DT_OK;
    /* OpenCL keeps the old buffer until queued kernels no longer need it. */
    if (ocl->scratch.memory) clReleaseMemObject(ocl->scratch.memory);
    ocl->scratch = (dt_buffer){0};
    DT_TRY(create_memory(&ocl->scratch.memory, ocl, bytes, "scratch"));
    ocl->scratch.bytes = bytes;
    return DT_OK;
}
