/* Learning rate over steps; clipping by the global norm. */
#include <math.h>

#include "dtrain/core/memory.h"
#include "dtrain/optim/optim.h"

double dt_schedule_lr(const dt_config *config, int64_t step) {
    if (step < config->warmup) return config->lr * (double)(step + 1) / (double)config->warmup;
    if (config->schedule == DT_SCHEDULE_CONSTANT) return config->lr;
    const double length = (double)(config->steps - config->warmup);
    const double at = length > 0 ? fmin(1.0, (double)(step - config->warmup) / length) : 1.0;
    const double share = 0.5 * (1.0 + cos(at * 3.14159265358979323846));
    return config->lr * (config->min_lr + (1.0 - config->min_lr) * share);
}

double dt_clip_factor(double norm, double clip) {
    return clip > 0 && norm > clip ? clip / norm : 1.0;
}

dt_status dt_norm_blocks(double *sums, dt_backend *host, dt_tensor gradient, size_t count,
                         size_t begin, size_t end) {
    for (size_t at = begin; at < end; at += DT_NORM_BLOCK) {
        const size_t length = dt_min_size(DT_NORM_BLOCK, count - at);
        DT_TRY(host->update->square_sum(host, &sums[at / DT_NORM_BLOCK], dt_tensor_at(gradient, at),
                                        length));
    }
    return DT_OK;
}
