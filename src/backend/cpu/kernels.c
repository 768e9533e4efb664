/* What one instruction set has: its kernels by one name. */
#include "cpu.h"
#include "vector.h"

static void enter(dt_backend_table *table) {
    table->norm_forward = cpu_norm_forward;
    table->norm_backward = cpu_norm_backward;
    table->linear_forward = cpu_linear_forward;
    table->linear_backward = cpu_linear_backward;
    table->attention_forward = cpu_attention_forward;
    table->attention_backward = cpu_attention_backward;
    table->attention_decode = cpu_attention_decode;
}

/* Unoptimised, the tiles of products would not stay in registers. */
#if !defined(__OPTIMIZE__) || LANES == 4
#define OWN NULL
#elif LANES == 8
#define OWN "AVX2"
#else
#define OWN "AVX-512"
#endif

const cpu_kernels CPU_OF(cpu_kernels) = {
    .own = OWN,
    .enter = enter,
    .suits = cpu_kernel_suits,
    .right_open = cpu_right_open,
    .multiply = cpu_multiply,
};
