/* Layer norm: a work-group per row; sums over rows in chunks of a fixed size. */
#include "opencl.h"

dt_status opencl_norm_forward(dt_backend *backend, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                              dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C) {
    launch l = launch_begin(backend, KERNEL_NORM_FORWARD);
    launch_tensor(&l, y);
    launch_tensor(&l, mean);
    launch_tensor(&l, rstd);
    launch_tensor(&l, x);
    launch_tensor(&l, scale);
    launch_tensor(&l, bias);
    launch_uint(&l, C);
    return launch_run(&l, N * l.ocl->group, 1, 1);
}

static dt_status backward_rows(dt_backend *backend, dt_tensor d_x, dt_tensor d_y, dt_tensor x,
                               dt_tensor mean, dt_tensor rstd, dt_tensor scale, size_t N,
                               size_t C) {
    launch l = launch_begin(backend, KERNEL_NORM_BACKWARD);
    launch_tensor(&l, d_x);
    launch_tensor(&l, d_y);
    launch_tensor(&l, x);
    launch_tensor(&l, mean);
    launch_tensor(&l, rstd);
    launch_tensor(&l, scale);
    launch_uint(&l, C);
    return launch_run(&l, N * l.ocl->group, 1, 1);
}

static dt_status backward_columns(dt_backend *backend, dt_tensor d_scale, dt_tensor d_bias,
                                  dt_tensor d_y, dt_tensor x, dt_tensor mean, dt_tensor rstd,
                                  size_t N, size_t C) {
    const size_t chunks = opencl_chunks(N);
    dt_tensor partial;
    DT_TRY(opencl_reserve(&partial, (opencl_backend *)backend, chunks * 2 * C));
    launch l = launch_begin(backend, KERNEL_NORM_COLUMNS);
    launch_tensor(&l, partial);
    launch_tensor(&l, d_y);
    launch_tensor(&l, x);
    launch_tensor(&l, mean);
    launch_tensor(&l, rstd);
    launch_uint(&l, N);
    launch_uint(&l, C);
    launch_uint(&l, OPENCL_ROWS);
    DT_TRY(launch_run(&l, C, chunks, 1));
    if (d_scale.buffer) DT_TRY(opencl_add_partials(backend, d_scale, partial, chunks, 2 * C, C));
    if (!d_bias.buffer) return DT_OK;
    return opencl_add_partials(backend, d_bias, dt_tensor_at(partial, C), chunks, 2 * C, C);
}

dt_status opencl_norm_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_scale,
                               dt_tensor d_bias, dt_tensor d_y, dt_tensor x, dt_tensor mean,
                               dt_tensor rstd, dt_tensor scale, size_t N, size_t C) {
    if (d_scale.buffer || d_bias.buffer)
        DT_TRY(backward_columns(backend, d_scale, d_bias, d_y, x, mean, rstd, N, C));
    return backward_rows(backend, d_x, d_y, x, mean, rstd, scale, N, C);
}
