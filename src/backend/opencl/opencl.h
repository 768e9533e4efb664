/* Shared by the files of the OpenCL backend: the device and its queues, buffers, kernels and their
 * launch. */
#ifndef DTRAIN_OPENCL_H
#define DTRAIN_OPENCL_H

#include <CL/cl.h>

#include "dtrain/backend/registry.h"
#include "dtrain/core/memory.h"
#include "element.h"

typedef enum {
    KERNEL_ADD_PARTIALS,
    KERNEL_EMBED_FORWARD,
    KERNEL_EMBED_BACKWARD,
    KERNEL_TURN,
    KERNEL_NORM_FORWARD,
    KERNEL_NORM_BACKWARD,
    KERNEL_NORM_COLUMNS,
    KERNEL_LINEAR_ADD,
    KERNEL_LINEAR_GELU,
    KERNEL_ADD,
    KERNEL_LINEAR_COLUMNS,
    KERNEL_ATTENTION_FORWARD,
    KERNEL_ATTENTION_BACKWARD_Q,
    KERNEL_ATTENTION_BACKWARD_KV,
    KERNEL_ATTENTION_DECODE,
    KERNEL_DROPOUT,
    KERNEL_LOSS,
    KERNELS
} kernel_id;

struct dt_buffer {
    cl_mem memory;
    size_t bytes;
    void *host; /* of an attached buffer; otherwise NULL */
};

typedef struct {
    dt_backend base;
    dt_backend_table table; /* OPENCL_TABLE with the description of this device */
    char description[512];
    dt_device about;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;    /* all computation, in order */
    cl_command_queue transfer; /* pulls, while the other queue computes */
    cl_program program;
    cl_kernel kernel[KERNELS];
    size_t group;        /* work-items per work-group; GROUP in the kernels */
    size_t local_memory; /* bytes of a work-group */
    size_t most_at_once; /* bytes of one buffer */

    dt_buffer scratch; /* of one operation */
    void *staging;     /* copies of uploaded data until the queue has read them */
    size_t staging_used;
    float *host; /* results that an operation downloads */
    size_t host_count;
} opencl_backend;

/* ---- errors ---- */

/* DT_OK for CL_SUCCESS. Otherwise DT_ERR_DEVICE, DT_ERR_MEMORY or DT_ERR_INTERNAL, whose message
 * begins with `doing`: "reading a buffer". */
dt_status opencl_check(const opencl_backend *ocl, cl_int code, const char *doing);
#define CL_TRY(ocl, code, doing) DT_TRY(opencl_check((ocl), (code), (doing)))

const char *opencl_error_name(cl_int code);

/* ---- devices ---- */

/* A device with its handles. */
typedef struct {
    cl_platform_id platform;
    cl_device_id id;
    dt_device about;
} opencl_device;

/* All devices, usable GPUs first, then other usable ones; allocated: dt_memory_free. An empty list
 * is no error. */
dt_status opencl_devices_find(opencl_device **device, size_t *count);
dt_status opencl_devices(dt_device **device, size_t *count); /* the same without handles */

/* ---- the program ---- */

/* The kernels' source, from the .cl files; made by bundle.cmake. */
extern const char *const OPENCL_SOURCE[];
extern const size_t OPENCL_SOURCES;

/* Builds the kernels with the largest work-groups that the device supports, at most 64.
 * DT_ERR_UNAVAILABLE with the compiler's log. */
dt_status opencl_program_build(opencl_backend *ocl);

/* Compares products of every kind that the model uses with a plain loop. This also builds CLBlast's
 * kernels. */
dt_status opencl_blas_test(opencl_backend *ocl);

/* ---- starting kernels ---- */

/* A kernel and its arguments so far; they are set in order. */
typedef struct {
    opencl_backend *ocl;
    kernel_id kernel;
    cl_uint next;
    cl_int error;     /* the first one */
    dt_status status; /* the error of the first refused tensor */
} launch;

launch launch_begin(dt_backend *backend, kernel_id kernel);
/* Sets two arguments, buffer and first element, of a float32 or int32 tensor. */
void launch_tensor(launch *l, dt_tensor tensor);
void launch_ids(launch *l, dt_tensor tensor);
void launch_uint(launch *l, size_t value);
void launch_ulong(launch *l, uint64_t value);
void launch_float(launch *l, float value);
void launch_local(launch *l, size_t floats);

/* Launches x work-items, rounded up to whole work-groups, times y times z. */
dt_status launch_run(launch *l, size_t x, size_t y, size_t z);

/* A matrix in memory: row-major, `row` elements from one row to the next. */
typedef struct {
    dt_tensor at;
    size_t row;
    bool transposed;
} opencl_matrix;

/* c (M,N) = a b + beta c, by CLBlast. */
dt_status opencl_multiply(opencl_backend *ocl, dt_tensor c, opencl_matrix a, opencl_matrix b,
                          size_t M, size_t N, size_t K, float beta);

/* Scratch of at least `count` elements of float32, whose content is not kept. */
dt_status opencl_reserve(dt_tensor *scratch, opencl_backend *ocl, size_t count);

/* Rows per partial sum; few enough that there are thousands of work-items. */
enum { OPENCL_ROWS = 64 };
static inline size_t opencl_chunks(size_t rows) { return (rows + OPENCL_ROWS - 1) / OPENCL_ROWS; }

/* to (columns) += the sum over chunks of partial (chunks, stride), in order. */
dt_status opencl_add_partials(dt_backend *backend, dt_tensor to, dt_tensor partial, size_t chunks,
                              size_t stride, size_t columns);

/* ---- the operations, one file per subject ---- */

dt_status opencl_buffer_create(dt_buffer **buffer, dt_backend *backend, size_t bytes,
                               const char *what);
dt_status opencl_buffer_attach(dt_buffer **buffer, dt_backend *backend, void *host, size_t bytes,
                               const char *what);
void opencl_buffer_destroy(dt_buffer **buffer, dt_backend *backend);
dt_status opencl_push(dt_backend *backend, dt_tensor tensor, size_t count);
dt_status opencl_pull(dt_backend *backend, dt_tensor tensor, size_t count);
dt_status opencl_finish(dt_backend *backend);
dt_status opencl_upload(dt_backend *backend, dt_tensor to, const void *from, size_t count);
dt_status opencl_download(dt_backend *backend, void *to, dt_tensor from, size_t count);
dt_status opencl_fill_zero(dt_backend *backend, dt_tensor tensor, size_t count);

dt_status opencl_embed_forward(dt_backend *backend, dt_tensor x, const dt_packed *batch,
                               dt_tensor tok_embed, dt_tensor pos_embed, dt_tensor place_embed,
                               size_t C);
dt_status opencl_embed_backward(dt_backend *backend, dt_tensor d_tok_embed, dt_tensor d_pos_embed,
                                dt_tensor d_place_embed, const dt_packed *batch, dt_tensor d_x,
                                size_t C);
dt_status opencl_turn(dt_backend *backend, dt_tensor qkv, const dt_packed *batch, dt_tensor turns,
                      size_t C, bool back);

dt_status opencl_norm_forward(dt_backend *backend, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                              dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C);
dt_status opencl_norm_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_scale,
                               dt_tensor d_bias, dt_tensor d_y, dt_tensor x, dt_tensor mean,
                               dt_tensor rstd, dt_tensor scale, size_t N, size_t C);

dt_status opencl_linear_forward(dt_backend *backend, dt_tensor y, dt_tensor slope, dt_tensor x,
                                dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                                size_t in, size_t out, dt_activation activation);
dt_status opencl_linear_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_weight,
                                 dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                                 dt_tensor weight, size_t N, size_t in, size_t out,
                                 dt_activation activation);

dt_status opencl_attention_forward(dt_backend *backend, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                   const dt_packed *batch, size_t C, const dt_heads *heads);
dt_status opencl_attention_backward(dt_backend *backend, dt_tensor d_qkv, dt_tensor d_y,
                                    dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                    const dt_packed *batch, size_t C, const dt_heads *heads);
dt_status opencl_attention_decode(dt_backend *backend, dt_tensor y, const dt_attention_cache *cache,
                                  dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B,
                                  size_t C, const dt_heads *heads);

dt_status opencl_add(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                     size_t count, float factor);
dt_status opencl_dropout(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                         const dt_packed *batch, size_t C, const dt_dropout *dropout);
dt_status opencl_loss(dt_backend *backend, dt_score *score, dt_tensor matched, dt_tensor logits,
                      const dt_packed *batch, size_t V, bool want_gradient);

#endif
