/* Finds out how products of bfloat16 are fastest, and whether they are faster than those of
 * float32. Processors that have the instruction differ: AMD's has twice the rate of a float32
 * multiply-add, Intel's half, so that there it is better to do without. */
#include <math.h>

#include "cpu.h"
#include "dtrain/core/clock.h"

/* A linear layer of the default model's size, which takes less than a tenth of a millisecond. */
enum { TOKENS = 128, IN = 128, OUT = 256, ROUNDS = 9 };

/* Shortest time of a round, since other programs can only lengthen it. */
static dt_status shorten(double *least, cpu_backend *cpu, dt_tensor y, dt_tensor x,
                         dt_tensor weight) {
    const dt_tensor none = DT_NO_TENSOR;
    const double start = dt_seconds_now();
    DT_TRY(cpu->table.linear_forward(&cpu->base, y, none, x, weight, none, none, TOKENS, IN, OUT,
                                     DT_IDENTITY));
    *least = fmin(*least, dt_seconds_now() - start);
    return DT_OK;
}

dt_status cpu_bf16_choose(cpu_backend *cpu, const cpu_bf16_kernels *native) {
    enum { X = 0, WEIGHT = TOKENS * IN, Y = WEIGHT + OUT * IN, ALL = Y + TOKENS * OUT };
    const cpu_bf16_kernels *const fused = cpu_bf16_fused(cpu->kernels);
    double whole = INFINITY, with = INFINITY, without = INFINITY;
    dt_buffer *all = NULL;
    dt_status status;
    /* Zeros: no product takes longer for its numbers. */
    DT_TRY(cpu_buffer_create(&all, &cpu->base, ALL * sizeof(float), "the timing of products"));
    const dt_tensor y = dt_floats(all, Y), weight = dt_floats(all, WEIGHT);
    const dt_tensor x = dt_floats(all, X);
    const dt_tensor x_half = {.buffer = all, .element = DT_ELEMENT_BFLOAT16};
    for (int i = 0; i < ROUNDS; i++) {
        DT_TRY_DONE(shorten(&whole, cpu, y, x, weight));
        cpu->bf16 = native;
        DT_TRY_DONE(shorten(&with, cpu, y, x_half, weight));
        cpu->bf16 = fused;
        DT_TRY_DONE(shorten(&without, cpu, y, x_half, weight));
    }
    cpu->bf16 = with < without ? native : fused;
    cpu->table.bfloat16 = fmin(with, without) < 0.85 * whole ? DT_FAST_BFLOAT16 : DT_EVEN_BFLOAT16;
    status = DT_OK;
done:
    cpu_buffer_destroy(&all, &cpu->base);
    return status;
}
