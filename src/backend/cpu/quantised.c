/* Weights of few bits, unpacked part by part: as a whole they would take as much memory as float32
 * ones, in each process. */
#include "cpu.h"

size_t cpu_columns_at_once(dt_tensor weight, size_t K, size_t N) {
    /* As many weights as our own kernel multiplies well. */
    enum { UNIT = DT_NF4_BLOCK, MOST = 256 * 1024 };
    if (!cpu_is_quantised(weight)) return N;
    return dt_min_size(N, dt_max_size(UNIT, MOST / K / UNIT * UNIT));
}

static void unpack(float *x, dt_tensor weight, size_t total, size_t first, size_t count) {
    if (weight.element == DT_ELEMENT_Q8_0) {
        dt_q8_0_unpack(x, cpu_bytes(weight), first, count);
    } else {
        dt_nf4_unpack(x, cpu_bytes(weight), total, first, count);
    }
}

dt_status cpu_unpack_columns(const float **part, cpu_backend *cpu, dt_tensor weight,
                             bool transposed, size_t K, size_t N, size_t first, size_t columns) {
    const size_t row = transposed ? K : N;
    DT_REQUIRE(row % DT_NF4_BLOCK == 0 ||
                   (weight.element == DT_ELEMENT_Q8_0 && row % DT_Q8_0_BLOCK == 0),
               DT_ERR_INTERNAL, "blocks of weights reach over the end of rows of %zu", row);
    DT_TRY(cpu_reserve(&cpu->unpacked, K * columns, "unpacked weights"));
    float *x = cpu->unpacked.at;
    *part = x;
    if (transposed) {
        unpack(x, weight, K * N, first * K, columns * K);
    } else {
        for (size_t k = 0; k < K; k++)
            unpack(x + k * columns, weight, K * N, k * N + first, columns);
    }
    return DT_OK;
}
