/* Dropout: the kernel computes the mask where it uses it. */
#include "dtrain/core/random.h"
#include "opencl.h"

dt_status opencl_dropout(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                         const dt_packed *batch, size_t C, const dt_dropout *dropout) {
    launch l = launch_begin(backend, KERNEL_DROPOUT);
    launch_tensor(&l, y);
    launch_tensor(&l, x);
    launch_tensor(&l, residual);
    launch_ids(&l, batch->offset);
    launch_uint(&l, batch->tokens);
    launch_uint(&l, batch->problems);
    launch_uint(&l, C);
    launch_ulong(&l, dropout->first_problem);
    launch_ulong(&l, dropout->T);
    launch_ulong(&l, dropout->seed);
    launch_uint(&l, dropout->step);
    launch_uint(&l, DT_RANDOM_DROPOUT + (dropout->site << 8));
    launch_float(&l, dropout->probability);
    launch_float(&l, 1.0f / (1.0f - dropout->probability));
    return launch_run(&l, batch->tokens * ((C + 3) / 4), 1, 1);
}
