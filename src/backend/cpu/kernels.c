/* The table of one instruction set's kernels. */
#include "cpu.h"
#include "vector.h"

static void enter(dt_backend_table *table, dt_update_table *update) {
    table->embed_forward = cpu_embed_forward;
    table->embed_backward = cpu_embed_backward;
    table->turn = cpu_turn;
    table->norm_forward = cpu_norm_forward;
    table->norm_backward = cpu_norm_backward;
    table->linear_forward = cpu_linear_forward;
    table->linear_backward = cpu_linear_backward;
    table->attention_forward = cpu_attention_forward;
    table->attention_backward = cpu_attention_backward;
    table->attention_decode = cpu_attention_decode;
    *update = (dt_update_table){
        .adamw = cpu_adamw,
        .muon = cpu_muon,
        .momentum = cpu_momentum,
        .average = cpu_average,
        .square_sum = cpu_square_sum,
    };
}

#if CPU_LANES == 16
#define NAME "AVX-512"
#elif CPU_LANES == 8
#define NAME "AVX2"
#elif defined(__SSE__)
#define NAME "SSE"
#elif defined(__ARM_NEON)
#define NAME "NEON"
#else
#define NAME "short vectors"
#endif

/* Without optimisation the tiles of products would not stay in registers, and our own kernel was
 * only measured with the wider vectors. */
#ifdef __OPTIMIZE__
#define OWN (LANES >= 8)
#else
#define OWN false
#endif

const cpu_kernels CPU_OF(cpu_kernels) = {
    .name = NAME,
    .products = OWN,
    .bf16 = &CPU_OF(cpu_bf16_kernels),
    .enter = enter,
    .suits = cpu_kernel_suits,
    .right_open = cpu_right_open,
    .multiply = cpu_multiply,
    .unpack_columns = cpu_unpack_columns,
};
