/* What the files of the CPU backend share: its buffers, its operations, its products. */
#ifndef DTRAIN_CPU_H
#define DTRAIN_CPU_H

#include <string.h>

#include "dtrain/backend/backend.h"
#include "dtrain/core/memory.h"
#include "element.h"

/* Memory that grows on demand. */
typedef struct {
    float *at;
    size_t count;
} cpu_scratch;

/* The right side of a product, packed for our own kernel. */
typedef struct cpu_packing cpu_packing;
struct cpu_packing {
    cpu_scratch room;
    bool stays;  /* valid until the next push; otherwise for one product */
    bool bf16;   /* as words of two bfloat16 numbers */
    bool filled; /* is packed, and stays valid */
    /* if it stays: the byte of the buffer where the side begins, whether it is transposed, and the
     * buffer's next packing */
    size_t offset;
    bool transposed;
    cpu_packing *next;
};

typedef struct cpu_kernels cpu_kernels;
typedef struct cpu_bf16_kernels cpu_bf16_kernels;

typedef struct cpu_backend {
    dt_backend base;
    dt_backend_table table; /* with the kernels, and a description of what computes products */
    dt_update_table update; /* likewise */
    char description[160];
    const cpu_kernels *kernels;
    const cpu_bf16_kernels *bf16;
    bool own;             /* products by our own kernel, otherwise by BLAS */
    cpu_scratch unpacked; /* part of weights of few bits */
    cpu_scratch padded;   /* rows of bfloat16 in whole words */
    cpu_scratch scratch;  /* of one problem and head in attention, or of one matrix in muon */
    cpu_packing packing;  /* for one product, if its right side may change without a push */
} cpu_backend;

struct dt_buffer {
    void *data;
    size_t bytes;
    bool owned;           /* otherwise attached: its content changes only at a push */
    cpu_packing *packing; /* of an attached buffer: packed sides of products since the last push */
};

static inline void *cpu_bytes(dt_tensor tensor) {
    return tensor.buffer ? (char *)tensor.buffer->data + tensor.offset : NULL;
}
static inline bool cpu_is_quantised(dt_tensor tensor) {
    return tensor.element == DT_ELEMENT_Q8_0 || tensor.element == DT_ELEMENT_NF4;
}
static inline float *cpu_f32(dt_tensor tensor) { return cpu_bytes(tensor); }
static inline int32_t *cpu_i32(dt_tensor tensor) { return cpu_bytes(tensor); }

/* The upper half of a float. Also read as words of two, which it may alias. */
typedef uint16_t __attribute__((may_alias)) cpu_bfloat16;
static inline cpu_bfloat16 *cpu_bf16(dt_tensor tensor) { return cpu_bytes(tensor); }

/* Raises an error if one of the tensors holds other elements. */
#define CPU_EXPECT(operation, expected, ...)                                                       \
    DT_TRY(element_expect("cpu", operation, expected, (const dt_tensor[]){__VA_ARGS__},            \
                          sizeof((const dt_tensor[]){__VA_ARGS__}) / sizeof(dt_tensor)))
#define CPU_FLOATS(operation, ...) CPU_EXPECT(operation, DT_ELEMENT_FLOAT32, __VA_ARGS__)
/* The same for weights of a linear layer. */
#define CPU_WEIGHTS(operation, weight)                                                             \
    if (!cpu_is_quantised(weight)) CPU_FLOATS(operation, weight)
#define CPU_HALVES(operation, ...) CPU_EXPECT(operation, DT_ELEMENT_BFLOAT16, __VA_ARGS__)
#define CPU_INTS(operation, ...) CPU_EXPECT(operation, DT_ELEMENT_INT32, __VA_ARGS__)

/* At least `count` floats of scratch, whose content is not kept. */
static inline dt_status cpu_reserve(cpu_scratch *scratch, size_t count, const char *what) {
    if (count <= scratch->count) return DT_OK;
    dt_memory_free(&scratch->at);
    scratch->count = 0;
    DT_TRY(dt_memory_alloc(&scratch->at, count, sizeof *scratch->at, what));
    scratch->count = count;
    return DT_OK;
}

/* ---- products ---- */

/* The left side of a product, a (M,K): element (i, k) is at p[i * row + k * step], and one of the
 * two is 1. */
typedef struct {
    const float *p;
    size_t row, step;
} cpu_left;

/* The right side, b (K,N), or its transpose stored (N,K). */
typedef struct {
    const float *b;
    bool transposed;
    size_t K, N;
    size_t row;         /* elements between rows of the result; initially N */
    size_t columns;     /* the first columns of the result are computed; initially all N */
    const float *panel; /* packed, the backend's; NULL: BLAS multiplies */
    size_t rows; /* of the left side, best for one call: later work on the result finds it in the
                    cache */
} cpu_right;

/* The left side of a product of bfloat16, in words of two along the depth: word (i, k) is at
 * p[i * row + k * step]. */
typedef struct {
    const uint32_t *p;
    size_t row, step;
} cpu_left_words;

/* What a product is added to: `rows` (M,N), each with `bias` (N); NULL stands for zeros. */
typedef struct {
    const float *rows, *bias;
} cpu_addend;

/* ---- the kernels, compiled once for each instruction set ---- */

/* CPU_ISA is the instruction set for which a file of vector code is compiled (CMakeLists.txt lists
 * these files). It becomes part of the names of their functions. All other code calls them through
 * the backend's cpu_kernels. */
#ifdef CPU_ISA
#define CPU_JOIN(name, isa) name##_##isa
#define CPU_NAME(name, isa) CPU_JOIN(name, isa)
#define CPU_OF(name) CPU_NAME(name, CPU_ISA)
#define cpu_adamw CPU_OF(cpu_adamw)
#define cpu_attention_backward CPU_OF(cpu_attention_backward)
#define cpu_attention_decode CPU_OF(cpu_attention_decode)
#define cpu_attention_forward CPU_OF(cpu_attention_forward)
#define cpu_average CPU_OF(cpu_average)
#define cpu_bf16_attention_backward CPU_OF(cpu_bf16_attention_backward)
#define cpu_bf16_attention_decode CPU_OF(cpu_bf16_attention_decode)
#define cpu_bf16_attention_forward CPU_OF(cpu_bf16_attention_forward)
#define cpu_bf16_linear_backward CPU_OF(cpu_bf16_linear_backward)
#define cpu_bf16_linear_forward CPU_OF(cpu_bf16_linear_forward)
#define cpu_bf16_multiply CPU_OF(cpu_bf16_multiply)
#define cpu_bf16_norm_forward CPU_OF(cpu_bf16_norm_forward)
#define cpu_bf16_pair_rows CPU_OF(cpu_bf16_pair_rows)
#define cpu_bf16_right_open CPU_OF(cpu_bf16_right_open)
#define cpu_bf16_round_rows CPU_OF(cpu_bf16_round_rows)
#define cpu_embed_backward CPU_OF(cpu_embed_backward)
#define cpu_embed_forward CPU_OF(cpu_embed_forward)
#define cpu_kernel_suits CPU_OF(cpu_kernel_suits)
#define cpu_linear_backward CPU_OF(cpu_linear_backward)
#define cpu_linear_forward CPU_OF(cpu_linear_forward)
#define cpu_multiply CPU_OF(cpu_multiply)
#define cpu_momentum CPU_OF(cpu_momentum)
#define cpu_muon CPU_OF(cpu_muon)
#define cpu_norm_backward CPU_OF(cpu_norm_backward)
#define cpu_norm_forward CPU_OF(cpu_norm_forward)
#define cpu_right_open CPU_OF(cpu_right_open)
#define cpu_square_sum CPU_OF(cpu_square_sum)
#define cpu_turn CPU_OF(cpu_turn)
#define cpu_unpack_columns CPU_OF(cpu_unpack_columns)

/* Whether our own kernel is faster than BLAS for a linear layer. Depends only on sizes and
 * instruction set, and so is the same on all ranks. */
bool cpu_kernel_suits(size_t in, size_t out, bool weight_gradient);

/* Pack for our own kernel, unless b is already packed; without a packing, BLAS multiplies. Do not
 * change b or the packing before the last cpu_multiply. DT_ERR_MEMORY. */
dt_status cpu_right_open(cpu_right *right, cpu_packing *packing, const float *b, bool transposed,
                         size_t K, size_t N);

/* c (M,N) = addend + a b, K > 0. The addend's rows, which are as far apart as those of c, may be c
 * itself. */
void cpu_multiply(float *c, cpu_addend addend, cpu_left a, const cpu_right *right, size_t M);

/* ---- weights of few bits ---- */

/* Unpack some columns of weights (K,N), or of the transpose of (N,K). They stay until the next
 * call. DT_ERR_MEMORY. */
dt_status cpu_unpack_columns(const float **part, cpu_backend *cpu, dt_tensor weight,
                             bool transposed, size_t K, size_t N, size_t first, size_t columns);

/* Columns of a product with weights, (K,N) or their transpose, that are computed at once: all, or
 * of weights of few bits so many that what is unpacked of them fits into the cache. */
static inline size_t cpu_columns_at_once(dt_tensor weight, size_t K, size_t N) {
    /* As many weights as our own kernel multiplies well. */
    enum { UNIT = DT_NF4_BLOCK, MOST = 256 * 1024 };
    if (!cpu_is_quantised(weight)) return N;
    return dt_min_size(N, dt_max_size(UNIT, MOST / K / UNIT * UNIT));
}

/* ---- bfloat16 ---- */

/* Pack b, floats (K,N) or their transpose (N,K), or bfloat16 (K,N), in words of two along the
 * depth. DT_ERR_MEMORY. */
dt_status cpu_bf16_right_open(cpu_right *right, cpu_packing *packing, const void *b, bool is_bf16,
                              bool transposed, size_t K, size_t N);

/* to (M,K) = from rounded; each row padded to whole words. */
void cpu_bf16_round_rows(cpu_bfloat16 *to, const float *from, size_t M, size_t K);

/* to (K/2,M), words: the left side of a product whose transpose is stored, from (K,M). */
void cpu_bf16_pair_rows(uint32_t *to, const float *from, size_t K, size_t M);

/* The same with sums in float32. */
void cpu_bf16_multiply(float *c, cpu_addend addend, cpu_left_words a, const cpu_right *right,
                       size_t M);

/* The operations of the table whose operands are bfloat16. */
dt_status cpu_bf16_norm_forward(cpu_backend *cpu, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                                dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C);
dt_status cpu_bf16_linear_forward(cpu_backend *cpu, dt_tensor y, dt_tensor slope, dt_tensor x,
                                  dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                                  size_t in, size_t out, dt_activation activation);
dt_status cpu_bf16_linear_backward(cpu_backend *cpu, dt_tensor d_x, dt_tensor d_weight,
                                   dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                                   dt_tensor weight, size_t N, size_t in, size_t out,
                                   dt_activation activation);
dt_status cpu_bf16_attention_forward(cpu_backend *cpu, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                     const dt_packed *batch, size_t C, const dt_heads *heads);
dt_status cpu_bf16_attention_backward(cpu_backend *cpu, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                      dt_tensor lse, dt_tensor qkv, const dt_packed *batch,
                                      size_t C, const dt_heads *heads);
dt_status cpu_bf16_attention_decode(cpu_backend *cpu, dt_tensor y, const dt_attention_cache *cache,
                                    dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B,
                                    size_t C, const dt_heads *heads);

dt_status cpu_embed_forward(dt_backend *backend, dt_tensor x, const dt_packed *batch,
                            dt_tensor tok_embed, dt_tensor pos_embed, dt_tensor place_embed,
                            size_t C);
dt_status cpu_embed_backward(dt_backend *backend, dt_tensor d_tok_embed, dt_tensor d_pos_embed,
                             dt_tensor d_place_embed, const dt_packed *batch, dt_tensor d_x,
                             size_t C);
dt_status cpu_turn(dt_backend *backend, dt_tensor qkv, const dt_packed *batch, dt_tensor turns,
                   size_t C, bool back);
dt_status cpu_norm_forward(dt_backend *backend, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                           dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C);
dt_status cpu_norm_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_scale, dt_tensor d_bias,
                            dt_tensor d_y, dt_tensor x, dt_tensor mean, dt_tensor rstd,
                            dt_tensor scale, size_t N, size_t C);
dt_status cpu_linear_forward(dt_backend *backend, dt_tensor y, dt_tensor slope, dt_tensor x,
                             dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                             size_t in, size_t out, dt_activation activation);
dt_status cpu_linear_backward(dt_backend *backend, dt_tensor d_x, dt_tensor d_weight,
                              dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                              dt_tensor weight, size_t N, size_t in, size_t out,
                              dt_activation activation);
dt_status cpu_attention_forward(dt_backend *backend, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                const dt_packed *batch, size_t C, const dt_heads *heads);
dt_status cpu_attention_backward(dt_backend *backend, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                 dt_tensor lse, dt_tensor qkv, const dt_packed *batch, size_t C,
                                 const dt_heads *heads);
dt_status cpu_attention_decode(dt_backend *backend, dt_tensor y, const dt_attention_cache *cache,
                               dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B, size_t C,
                               const dt_heads *heads);
dt_status cpu_adamw(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor v,
                    dt_tensor gradient, size_t count, const dt_adamw *constants);
dt_status cpu_muon(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor gradient,
                   size_t rows, size_t columns, const dt_muon *constants);
dt_status cpu_momentum(dt_backend *backend, dt_tensor m, dt_tensor gradient, size_t count,
                       const dt_muon *constants);
dt_status cpu_average(dt_backend *backend, dt_tensor average, dt_tensor weight, size_t count,
                      float gain);
dt_status cpu_square_sum(dt_backend *backend, double *sum, dt_tensor x, size_t count);
#endif

/* The kernels whose operands are bfloat16. */
struct cpu_bf16_kernels {
    dt_status (*right_open)(cpu_right *right, cpu_packing *packing, const void *b, bool is_bf16,
                            bool transposed, size_t K, size_t N);
    void (*round_rows)(cpu_bfloat16 *to, const float *from, size_t M, size_t K);
    void (*pair_rows)(uint32_t *to, const float *from, size_t K, size_t M);
    void (*multiply)(float *c, cpu_addend addend, cpu_left_words a, const cpu_right *right,
                     size_t M);
    dt_status (*norm_forward)(cpu_backend *cpu, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                              dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C);
    dt_status (*linear_forward)(cpu_backend *cpu, dt_tensor y, dt_tensor slope, dt_tensor x,
                                dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                                size_t in, size_t out, dt_activation activation);
    dt_status (*linear_backward)(cpu_backend *cpu, dt_tensor d_x, dt_tensor d_weight,
                                 dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                                 dt_tensor weight, size_t N, size_t in, size_t out,
                                 dt_activation activation);
    dt_status (*attention_forward)(cpu_backend *cpu, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                   const dt_packed *batch, size_t C, const dt_heads *heads);
    dt_status (*attention_backward)(cpu_backend *cpu, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                    dt_tensor lse, dt_tensor qkv, const dt_packed *batch, size_t C,
                                    const dt_heads *heads);
    dt_status (*attention_decode)(cpu_backend *cpu, dt_tensor y, const dt_attention_cache *cache,
                                  dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B,
                                  size_t C, const dt_heads *heads);
};
extern const cpu_bf16_kernels cpu_bf16_kernels_native, cpu_bf16_kernels_fused,
    cpu_bf16_kernels_avx512, cpu_bf16_kernels_avx2, cpu_bf16_kernels_base;

/* The kernels of one instruction set. */
struct cpu_kernels {
    const char *name; /* as people read it: "AVX2" */
    bool products;    /* has our own kernel for them */
    const cpu_bf16_kernels *bf16;
    void (*enter)(dt_backend_table *table, dt_update_table *update);
    bool (*suits)(size_t in, size_t out, bool weight_gradient);
    dt_status (*right_open)(cpu_right *right, cpu_packing *packing, const float *b, bool transposed,
                            size_t K, size_t N);
    void (*multiply)(float *c, cpu_addend addend, cpu_left a, const cpu_right *right, size_t M);
    dt_status (*unpack_columns)(const float **part, cpu_backend *cpu, dt_tensor weight,
                                bool transposed, size_t K, size_t N, size_t first, size_t columns);
};
extern const cpu_kernels cpu_kernels_avx512, cpu_kernels_avx2, cpu_kernels_base;

/* The kernels of the instruction set "avx512", "avx2" or "base", or with NULL of the widest one
 * that the processor supports. NULL if it is not supported or not built. */
const cpu_kernels *cpu_kernels_find(const char *name);

/* Kernels for bfloat16 with vectors as wide as these kernels have. The former multiply by the
 * processor's instruction, and are NULL if the processor or the build has none for such vectors;
 * the latter do without it. Both give the same bits. */
const cpu_bf16_kernels *cpu_bf16_native(const cpu_kernels *kernels);
const cpu_bf16_kernels *cpu_bf16_fused(const cpu_kernels *kernels);

/* Use these kernels from now on. */
void cpu_kernels_use(cpu_backend *cpu, const cpu_kernels *kernels);

/* ---- the operations, one file per subject ---- */

dt_status cpu_buffer_create(dt_buffer **buffer, dt_backend *backend, size_t bytes,
                            const char *what);
dt_status cpu_buffer_attach(dt_buffer **buffer, dt_backend *backend, void *host, size_t bytes,
                            const char *what);
void cpu_buffer_destroy(dt_buffer **buffer, dt_backend *backend);
/* Where a right side is packed: for an attached buffer (weights) until the next push, otherwise
 * (activations) for one product. DT_ERR_MEMORY. */
dt_status cpu_packing_of(cpu_packing **packing, cpu_backend *cpu, dt_tensor b, bool transposed,
                         bool bf16);
dt_status cpu_push(dt_backend *backend, dt_tensor tensor, size_t count);
dt_status cpu_pull(dt_backend *backend, dt_tensor tensor, size_t count);
dt_status cpu_finish(dt_backend *backend);
dt_status cpu_upload(dt_backend *backend, dt_tensor to, const void *from, size_t count);
dt_status cpu_download(dt_backend *backend, void *to, dt_tensor from, size_t count);
dt_status cpu_fill_zero(dt_backend *backend, dt_tensor tensor, size_t count);

dt_status cpu_add(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual, size_t count,
                  float factor);
dt_status cpu_dropout(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                      const dt_packed *batch, size_t C, const dt_dropout *dropout);
dt_status cpu_loss(dt_backend *backend, dt_score *score, dt_tensor matched, dt_tensor logits,
                   const dt_packed *batch, size_t V, bool want_gradient);

/* Write the description of BLAS and kernels; set BLAS to one thread. */
void cpu_blas_describe(cpu_backend *cpu);

/* Compare products of every kind that the model uses with a plain double loop, by BLAS and by our
 * own kernels if the backend has them; then choose those for bfloat16.
 * DT_ERR_UNAVAILABLE names the one that is wrong or crashes. */
dt_status cpu_products_test(cpu_backend *cpu);

/* Time a linear layer in bfloat16 with and without the processor's instruction and in float32. Use
 * the faster of the former, and tell in the table whether it is faster than float32.
 * DT_ERR_MEMORY. */
dt_status cpu_bf16_choose(cpu_backend *cpu, const cpu_bf16_kernels *native);

#endif
