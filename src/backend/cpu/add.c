/* Sums of tensors, element by element. */
#include "mixed.h"

dt_status cpu_add(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual, size_t count,
                  float factor) {
    (void)backend;
    CPU_MIXED("add", y, x, residual);
    for (size_t i = 0; i < count; i++) {
        const float scaled = factor * mixed_load(x, i);
        mixed_store(y, i, residual.buffer ? mixed_load(residual, i) + scaled : scaled);
    }
    return DT_OK;
}
