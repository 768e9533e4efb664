/* Estimates the memory of a run. */
#include "dtrain/train/footprint.h"

#include <math.h>
#include <stdio.h>

#include "dtrain/core/memory.h"
#include "dtrain/optim/optim.h"
#include "dtrain/run/writer.h"
#include "dtrain/train/evaluate.h"

/* Measured: PSS of a rank without a model, with Open MPI 4.1 and OpenBLAS. */
static const double LIBRARIES = 30e6;

/* From this width on BLAS, which packs for itself, computes nearly all products. */
enum { OWN_KERNELS_BELOW = 512 };

size_t dt_footprint_texts(const dt_config *config) {
    const int64_t of_shard = (config->batch + config->shards - 1) / config->shards;
    return (size_t)(config->micro_batch < of_shard ? config->micro_batch : of_shard);
}

size_t dt_footprint_tokens(const dt_config *config, const dt_model_shape *shape) {
    return dt_max_size(dt_footprint_texts(config) * shape->T, DT_EVAL_TOKENS + shape->T);
}

/* Weights packed for the forward and for the backward pass. Those of bfloat16 always are, as floats
 * where the processor's instruction is not used. */
static double packed_bytes(const dt_config *config, const dt_model_shape *shape,
                           const dt_layout *layout) {
    const bool by_blas = !shape->bfloat16 && shape->C >= OWN_KERNELS_BELOW;
    if (config->backend == DT_BACKEND_BLAS || by_blas) return 0;
    return 2 * ((double)layout->count * sizeof(float) + (double)layout->frozen_bytes);
}

dt_footprint dt_footprint_of(const dt_config *config, const dt_model_shape *shape,
                             const dt_layout *layout, const dt_footprint_ranks *ranks) {
    const double block = (double)layout->count * sizeof(float);
    const double blocks = config->average > 0 ? 4 : 3;
    const double shards = (double)config->shards / (double)ranks->ranks;
    const double slots = 1 + floor(log2(fmax(1, shards))); /* partial sums stored at once */
    const size_t texts = dt_max_size(dt_footprint_texts(config), DT_EVAL_CHUNK);
    return (dt_footprint){
        .state = block * blocks + (double)layout->frozen_bytes,
        .gradients = block * slots,
        .activations = (double)dt_model_bytes(shape, texts, dt_footprint_tokens(config, shape)),
        .packed = packed_bytes(config, shape, layout),
        .scratch = (double)dt_matrices_scratch(layout, config) * sizeof(float),
        .snapshots = DT_SNAPSHOTS * block * blocks,
        .libraries = LIBRARIES,
    };
}

double dt_footprint_node(const dt_footprint *f, const dt_footprint_ranks *ranks) {
    const double local = (double)ranks->local;
    return f->state + f->snapshots +
           local * (f->gradients + f->activations + f->packed + f->scratch + f->libraries);
}

void dt_footprint_text(char *text, size_t size, const dt_footprint *f,
                       const dt_footprint_ranks *ranks) {
    const double ranks_here = (double)ranks->local;
    snprintf(text, size,
             "weights and moments %.1f MB, gradients of %.0f rank%s %.1f MB, activations %.1f MB, "
             "packed weights %.1f MB, updates %.1f MB, copies for checkpoints %.1f MB, libraries "
             "%.1f MB",
             f->state / 1e6, ranks_here, ranks->local == 1 ? "" : "s",
             ranks_here * f->gradients / 1e6, ranks_here * f->activations / 1e6,
             ranks_here * f->packed / 1e6, ranks_here * f->scratch / 1e6, f->snapshots / 1e6,
             ranks_here * f->libraries / 1e6);
}
