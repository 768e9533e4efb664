/* Dropout whose mask depends on an element's identity, not on where or when it is computed. */
#include "dtrain/core/random.h"
#include "mixed.h"

dt_status cpu_dropout(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                      const dt_packed *batch, size_t C, const dt_dropout *dropout) {
    (void)backend;
    CPU_MIXED("dropout", y, x, residual);
    const float scale = 1.0f / (1.0f - dropout->probability);
    const uint32_t purpose = DT_RANDOM_DROPOUT + (dropout->site << 8);
    const uint64_t blocks = (C + 3) / 4;
    for (size_t b = 0; b < batch->problems; b++) {
        const uint64_t first = (dropout->first_problem + b) * dropout->T;
        const int32_t begin = batch->host_offset[b];
        for (int32_t i = begin; i < batch->host_offset[b + 1]; i++) {
            const uint64_t row = (first + (uint64_t)(i - begin)) * blocks;
            for (size_t c = 0; c < C; c += 4) {
                uint32_t word[4];
                dt_random_block(word, dropout->seed, purpose, dropout->step, row + c / 4);
                for (size_t k = 0; k < 4 && c + k < C; k++) {
                    const size_t at = (size_t)i * C + c + k;
                    const float kept = dt_random_unit(word[k]) >= dropout->probability
                                           ? mixed_load(x, at) * scale
                                           : 0.0f;
                    mixed_store(y, at, residual.buffer ? mixed_load(residual, at) + kept : kept);
                }
            }
        }
    }
    return DT_OK;
}
