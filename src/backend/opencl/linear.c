/* Linear layers: matrix products by CLBlast, then bias, residual and activation. */
#include "opencl.h"

#include <clblast_c.h>

dt_status opencl_multiply(opencl_backend *ocl, dt_tensor c, opencl_matrix a, opencl_matrix b,
                          size_t M, size_t N, size_t K, float beta) {
    const dt_tensor operand[] = {a.at, b.at, c};
    DT_TRY(element_expect("opencl", "a matrix product", DT_ELEMENT_FLOAT32, operand, 3));
    const CLBlastStatusCode code = CLBlastSgemm(
        CLBlastLayoutRowMajor, a.transposed ? CLBlastTransposeYes : CLBlastTransposeNo,
        b.transposed ? CLBlastTransposeYes : CLBlastTransposeNo, M, N, K, 1.0f, a.at.buffer->memory,
        a.at.offset / sizeof(float), a.row, b.at.buffer->memory, b.at.offset / sizeof(float), b.row,
        beta, c.buffer->memory, c.offset / sizeof(float), N, &ocl->queue, NULL);
    return opencl_check(ocl, (cl_int)code, "a matrix product of CLBlast");
}

dt_status opencl_add_partials(dt_backend *backend, dt_tensor to, dt_tensor partial, size_t chunks,
                              size_t stride, size_t columns) {
    launch l = launch_begin(backend, KERNEL_ADD_PARTIALS);
    launch_tensor(&l, to);
    launch_tensor(&l, partial);
    launch_uint(&l, chunks);
    launch_uint(&l, stride);
    launch_uint(&l, columns);
    return launch_run(&l, columns, 1, 1);
}

static dt_status add_bias(dt_backend *backend, dt_tensor y, dt_tensor bias, dt_tensor residual,
                          size_t N, size_t out) {
    launch l = launch_begin(backend, KERNEL_LINEAR_ADD);
    launch_tensor(&l, y);
    launch_tensor(&l, bias);
    launch_tensor(&l, residual);
    launch_uint(&l, out);
    return launch_run(&l, out, N, 1);
}

static dt_status add_bias_gelu(dt_backend *backend, dt_tensor y, dt_tensor slope, dt_tensor bias,
                               dt_tensor residual, size_t N, size_t out) {
    launch l = launch_begin(backend, KERNEL_LINEAR_GELU);
    launch_tensor(&l, y);
    launch_tensor(&l, slope);
    launch_tensor(&l, bias);
    launch_tensor(&l, residual);
    launch_uint(&l, out);
    return launch_run(&l, out, N, 1);
}

dt_status opencl_linear_forward(dt_backend *backend, dt_tensor y, dt_tensor slope, dt_tensor x,
                                dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                                size_t in, size_t out, dt_activation activation) {
    opencl_backend *ocl = (opencl_backend *)backend;
    const opencl_matrix left = {x, in, false}, right = {weight, in, true};
    if (activation == DT_GELU) {
        DT_TRY(opencl_multiply(ocl, slope.buffer ? slope : y, left, right, N, out, in, 0.0f));
        return add_bias_gelu(backend, y, slope, bias, residual, N, out);
    }
    /* If the residual is y itself, the product is added to it in place. */
    const bool onto = residual.buffer == y.buffer && residual.offset == y.offset;
    DT_TRY(opencl_multiply(ocl, y, left, right, N, out, in, onto ? 1.0f : 0.0f));
    if (onto) residual = DT_NO_TENSOR;
    if (!bias.buffer && !residual.buffer) return DT_OK;
    return add_bias(backend, y, bias, residual, N, out);
}

dt_status opencl_add(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                     size_t count, float factor) {
    launch l = launch_begin(backend, KERNEL_ADD);
    launch_tensor(&l, y);
    launch_tensor(&l, x);
    launch_tensor(&l, residual);
    launch_uint(&l, count);
    launch_float(&l, factor);
    return launch_run(&l, count, 1, 1);
}

/* With DT_GELU d_y is multiplied by the slope; its columns are summed in the same pass. */
static dt_status backward_columns(dt_backend *backend, dt_tensor d_bias, dt_tensor d_y,
                                  dt_tensor slope, size_t N, size_t out) {
    const size_t chunks = opencl_chunks(N);
    dt_tensor partial;
    DT_TRY(opencl_reserve(&partial, (opencl_backend *)backend, chunks * out));
    launch l = launch_begin(backend, KERNEL_LINEAR_COLUMNS);
    launch_tensor(&l, partial);
    launch_tensor(&l, d_y);
    launch_tensor(&l, slope);
    launch_uint(&l, N);
    launch_uint(&l, out);
    launch_uint(&l, OPENCL_ROWS);
    DT_TRY(launch_run(&l, out, chunks, 1));
    return d_bias.buffer ? opencl_add_partials(backend, d_bias, partial, chunks, out, out) : DT_OK;
}

dt_status opencl_linear_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_weight,
                                 dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                                 dt_tensor weight, size_t N, size_t in, size_t out,
                                 dt_activation activation) {
    opencl_backend *ocl = (opencl_backend *)backend;
    if (activation == DT_GELU) {
        DT_TRY(backward_columns(backend, d_bias, d_y, slope, N, out));
    } else if (d_bias.buffer) {
        DT_TRY(backward_columns(backend, d_bias, d_y, DT_NO_TENSOR, N, out));
    }
    if (d_weight.buffer) {
        DT_TRY(opencl_multiply(ocl, d_weight, (opencl_matrix){d_y, out, true},
                               (opencl_matrix){x, in, false}, out, in, N, 1.0f));
    }
    if (!d_x.buffer) return DT_OK;
    return opencl_multiply(ocl, d_x, (opencl_matrix){d_y, out, false},
                           (opencl_matrix){weight, in, false}, N, in, out, 0.0f);
}
