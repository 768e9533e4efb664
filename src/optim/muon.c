/* Muon: updates each matrix inside the layers by the orthogonal matrix nearest to its momentum. */
#include <math.h>

#include "matrices.h"

size_t matrix_count(const dt_parameter *p, const dt_config *config) {
    const bool whole = config->optimizer == DT_OPTIMIZER_MUON && p->role == DT_ROLE_MATRIX;
    return whole && !p->frozen ? p->stacked : 0;
}

dt_status dt_optimizer_update_matrices(dt_backend *host, dt_buffer *weights, dt_buffer *m,
                                       dt_tensor gradient, const dt_layout *layout, size_t worker,
                                       size_t workers, const dt_config *config, int64_t step,
                                       double gradient_scale) {
    dt_muon constants = {
        .lr = (float)dt_schedule_lr(config, step),
        .momentum = (float)config->momentum,
        .decay = (float)config->weight_decay,
        .gradient_scale = (float)gradient_scale,
    };
    size_t whole_work = 0, work = 0;
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        if (matrix_count(p, config)) whole_work += p->count;
    }
    if (whole_work == 0) return DT_OK;
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        const size_t count = matrix_count(p, config);
        for (size_t k = 0; k < count; k++) {
            const size_t rows = p->extent[0] / count, size = rows * p->extent[1];
            const size_t at = p->offset + k * size;
            /* Contiguous shares of about equal work: the matrix belongs to the share that holds its
             * middle. */
            const bool mine = (work + size / 2) * workers / whole_work == worker;
            work += size;
            if (!mine) continue;
            /* Makes the update as large as AdamW's, so that both can use one learning rate. Source:
             * Liu et al. 2025, arXiv:2502.16982, section 2.2. */
            constants.scale = 0.2f * sqrtf((float)(rows > p->extent[1] ? rows : p->extent[1]));
            DT_TRY(host->update->muon(host, dt_floats(weights, at), dt_floats(m, at),
                                      dt_tensor_at(gradient, at), rows, p->extent[1], &constants));
        }
    }
    return DT_OK;
}
