/* AdamW for the parts of all parameters that lie in a slice. */
#include <math.h>

#include "dtrain/core/memory.h"
#include "dtrain/optim/optim.h"
#include "matrices.h"

dt_status dt_optimizer_update(dt_backend *host, dt_buffer *weights, dt_buffer *m, dt_buffer *v,
                              dt_tensor gradient, const dt_layout *layout, size_t begin, size_t end,
                              const dt_config *config, int64_t step, double gradient_scale) {
    dt_adamw constants = {
        .lr = (float)dt_schedule_lr(config, step),
        .beta1 = (float)config->beta1,
        .beta2 = (float)config->beta2,
        .epsilon = (float)config->epsilon,
        .gradient_scale = (float)gradient_scale,
        .correction1 = (float)(1.0 / (1.0 - pow(config->beta1, (double)(step + 1)))),
        .correction2 = (float)(1.0 / (1.0 - pow(config->beta2, (double)(step + 1)))),
    };
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        /* The gap after a parameter is updated too: it is zero and stays zero, and the vector loop
         * needs no tail. */
        const size_t from = dt_max_size(begin, p->offset);
        const size_t to = dt_min_size(end, p->offset + dt_round_up(p->count, DT_ALIGNED_FLOATS));
        if (p->frozen || p->constant || from >= to || matrix_count(p, config)) continue;
        constants.decay = p->role == DT_ROLE_VECTOR ? 0.0f : (float)config->weight_decay;
        DT_TRY(host->update->adamw(host, dt_floats(weights, from), dt_floats(m, from),
                                   dt_floats(v, from), dt_tensor_at(gradient, from), to - from,
                                   &constants));
    }
    return DT_OK;
}
