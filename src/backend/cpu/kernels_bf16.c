/* The table of one instruction set's bfloat16 kernels, and the shorter of these kernels. */
#include "bfloat16.h"
#include "cpu.h"
#include "norm.h"

dt_status cpu_bf16_norm_forward(cpu_backend *cpu, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                                dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C) {
    CPU_HALVES("norm_forward", y);
    CPU_FLOATS("norm_forward", mean, rstd, x, scale, bias);
    (void)cpu;
    const float *s = cpu_f32(scale), *b = cpu_f32(bias);
    const size_t whole = C / LANES * LANES;
    for (size_t i = 0; i < N; i++) {
        const float *from = cpu_f32(x) + i * C;
        bfloat16 *to = cpu_bf16(y) + i * C;
        float *mu = cpu_f32(mean) + i, *r = cpu_f32(rstd) + i;
        row_moments(mu, r, from, C);
        for (size_t c = 0; c < whole; c += LANES) {
            bfloat16_store(to + c,
                           (vec_load(from + c) - *mu) * *r * vec_load(s + c) + vec_load(b + c));
        }
        for (size_t c = whole; c < C; c++) to[c] = bfloat16_of((from[c] - *mu) * *r * s[c] + b[c]);
    }
    return DT_OK;
}

/* One token of each sequence: its few products are computed in float32. */
dt_status cpu_bf16_attention_decode(cpu_backend *cpu, dt_tensor y, const dt_attention_cache *cache,
                                    dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B,
                                    size_t C, const dt_heads *heads) {
    CPU_HALVES("attention_decode", y, qkv);
    CPU_FLOATS("attention_decode", cache->k, cache->v);
    const size_t wide = dt_round_up(B * 3 * C, LANES), narrow = dt_round_up(B * C, LANES);
    DT_TRY(cpu_reserve(&cpu->padded, wide + narrow, "queries, keys and values as floats"));
    float *at = cpu->padded.at;
    dt_buffer whole = {.data = at, .bytes = (wide + narrow) * sizeof *at};
    const dt_tensor floats = dt_floats(&whole, 0), attended = dt_floats(&whole, wide);
    for (size_t i = 0; i < B * 3 * C; i++) at[i] = bfloat16_float(cpu_bf16(qkv)[i]);
    DT_TRY(cpu->table.attention_decode(&cpu->base, attended, cache, floats, spot, length, B, C,
                                       heads));
    for (size_t i = 0; i < B * C; i++) cpu_bf16(y)[i] = bfloat16_of(at[wide + i]);
    return DT_OK;
}

const cpu_bf16_kernels CPU_OF(cpu_bf16_kernels) = {
    .right_open = cpu_bf16_right_open,
    .round_rows = cpu_bf16_round_rows,
    .pair_rows = cpu_bf16_pair_rows,
    .multiply = cpu_bf16_multiply,
    .norm_forward = cpu_bf16_norm_forward,
    .linear_forward = cpu_bf16_linear_forward,
    .linear_backward = cpu_bf16_linear_backward,
    .attention_forward = cpu_bf16_attention_forward,
    .attention_backward = cpu_bf16_attention_backward,
    .attention_decode = cpu_bf16_attention_decode,
};
