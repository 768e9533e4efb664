/* Softmax cross-entropy over the scored tokens; the gradient replaces the logits. */
#include <math.h>

#include "cpu.h"

/* One row: loss in nats; the logits are overwritten, by softmax - target if wanted. *correct: the
   target has the highest logit (a tie counts for the lower id, as in generation). */
static double row_loss(float *logit, size_t V, int32_t target, bool want_gradient, bool *correct) {
    size_t best = 0;
    for (size_t j = 1; j < V; j++) {
        if (logit[j] > logit[best]) best = j;
    }
    *correct = best == (size_t)target;
    const float most = logit[best];
    const double wanted = (double)(logit[target] - most);
    double sum = 0;
    for (size_t j = 0; j < V; j++) {
        logit[j] = expf(logit[j] - most);
        sum += (double)logit[j];
    }
    if (want_gradient) {
        const float scale = (float)(1.0 / sum);
        for (size_t j = 0; j < V; j++) logit[j] *= scale;
        logit[target] -= 1.0f;
    }
    return log(sum) - wanted;
}

dt_status cpu_loss(dt_backend *backend, dt_score *score, dt_tensor matched, dt_tensor logits,
                   const dt_packed *batch, size_t V, bool want_gradient) {
    (void)backend;
    CPU_FLOATS("loss", logits);
    CPU_INTS("loss", matched, batch->target);
    float *row = cpu_f32(logits);
    const int32_t *target = cpu_i32(batch->target);
    int32_t *match = cpu_i32(matched);
    for (size_t b = 0; b < batch->problems; b++) {
        bool all_correct = true;
        for (size_t i = (size_t)batch->host_offset[b]; i < (size_t)batch->host_offset[b + 1]; i++) {
            if (target[i] < 0) {
                if (want_gradient) memset(row + i * V, 0, V * sizeof *row);
                continue;
            }
            bool correct;
            score->loss += row_loss(row + i * V, V, target[i], want_gradient, &correct);
            score->scored += 1;
            score->correct += correct;
            all_correct = all_correct && correct;
        }
        score->problems += 1;
        score->exact += all_correct;
        if (match) match[b] = all_correct;
    }
    return DT_OK;
}
