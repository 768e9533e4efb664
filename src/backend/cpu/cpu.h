/* What the files of the CPU backend share: its buffers, its operations, vectors of 16 floats. */
#ifndef DTRAIN_CPU_H
#define DTRAIN_CPU_H

#include <string.h>

#include "dtrain/backend.h"
#include "dtrain/memory.h"

/* Room that grows with what it is asked for. */
typedef struct {
    float *at;
    size_t count;
} cpu_scratch;

typedef struct {
    dt_backend base;
    dt_backend_table table; /* cpu_table with the description of what multiplies */
    char description[160];
    bool kernel;         /* products by our own kernel, otherwise by BLAS */
    cpu_scratch scratch; /* of one problem and head in attention, or of one matrix in muon */
    cpu_scratch panels;  /* one side of a product, packed */
} cpu_backend;

struct dt_buffer {
    float *data;
    size_t count;
    bool owned;
};

static inline float *cpu_f32(dt_tensor tensor) {
    return tensor.buffer ? tensor.buffer->data + tensor.offset : NULL;
}
static inline int32_t *cpu_i32(dt_tensor tensor) { return (int32_t *)(void *)cpu_f32(tensor); }

/* Sixteen floats: one AVX-512 register, two of AVX2, four of SSE or NEON. Loads need no alignment.
 */
typedef float vec __attribute__((vector_size(64)));
typedef int32_t ivec __attribute__((vector_size(64)));
typedef float loose_vec __attribute__((vector_size(64), aligned(4), may_alias));
enum { LANES = 16 };

#define CPU_INLINE static inline __attribute__((always_inline))

CPU_INLINE vec vec_load(const float *p) { return *(const loose_vec *)p; }
CPU_INLINE void vec_store(float *p, vec v) { *(loose_vec *)p = v; }
CPU_INLINE vec vec_all(float x) { return (vec){0} + x; }

/* Lane by lane: a where the mask is set, else b. */
CPU_INLINE vec vec_choose(ivec mask, vec a, vec b) {
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

CPU_INLINE vec vec_max(vec a, vec b) { return vec_choose(a > b, a, b); }

/* Lane i of the result is lane from[i] of a and b, one behind the other. */
#if defined(__clang__)
#define vec_shuffle(a, b, from)                                                                    \
    ({                                                                                             \
        vec shuffled;                                                                              \
        for (int lane = 0; lane < LANES; lane++)                                                   \
            shuffled[lane] = (from)[lane] < LANES ? (a)[(from)[lane]] : (b)[(from)[lane] - LANES]; \
        shuffled;                                                                                  \
    })
#else
#define vec_shuffle(a, b, from) __builtin_shuffle(a, b, from)
#endif

/* The first `count` lanes; the others are 0. */
CPU_INLINE vec vec_load_part(const float *p, size_t count) {
    float lane[LANES] = {0};
    memcpy(lane, p, count * sizeof *p);
    return vec_load(lane);
}
CPU_INLINE void vec_store_part(float *p, vec v, size_t count) { memcpy(p, &v, count * sizeof *p); }

/* Halves of a vector, down to one lane, added or compared: the same order on every machine. */
CPU_INLINE float vec_sum(vec v) {
    typedef float half __attribute__((vector_size(32)));
    typedef float quarter __attribute__((vector_size(16)));
    half h[2];
    quarter q[2];
    memcpy(h, &v, sizeof v);
    h[0] += h[1];
    memcpy(q, &h[0], sizeof h[0]);
    q[0] += q[1];
    return (q[0][0] + q[0][2]) + (q[0][1] + q[0][3]);
}
CPU_INLINE float vec_most(vec v) {
    float lane[LANES / 2];
    const ivec upper = {8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7};
    const vec halves = vec_max(v, vec_shuffle(v, v, upper));
    memcpy(lane, &halves, sizeof lane);
    for (int width = LANES / 4; width > 0; width /= 2) {
        for (int i = 0; i < width; i++)
            lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
    }
    return lane[0];
}

/* Sum of a[i] b[i]. */
CPU_INLINE float vec_dot(const float *a, const float *b, size_t count) {
    const size_t whole = count / LANES * LANES;
    vec sum = vec_all(0);
    for (size_t i = 0; i < whole; i += LANES) sum += vec_load(a + i) * vec_load(b + i);
    if (whole < count) {
        sum += vec_load_part(a + whole, count - whole) * vec_load_part(b + whole, count - whole);
    }
    return vec_sum(sum);
}

/* exp(x) to 2 units in the last place; below -87 it gives about 1e-38, above 88 about 1e38. NaN
   stays NaN. Source: Cody-Waite reduction, Cephes' expf polynomial; 2^n is added to the exponent
   bits. */
CPU_INLINE vec vec_exp(vec x) {
    const vec low = vec_all(-87.0f), high = vec_all(88.0f);
    x = vec_choose(x < low, low, x);
    x = vec_choose(x > high, high, x);
    const float to_integer =
        12582912.0f; /* 1.5 * 2^23: adding it rounds, its low bits are the integer */
    const vec shifted = x * 1.44269504f + to_integer;
    const vec n = shifted - to_integer;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const ivec exponent = (ivec)shifted << 23;
    /* The low bits of a NaN would have gone into the exponent. */
    return vec_choose(x == x, (vec)((ivec)p + exponent), x);
}

/* A square of lanes becomes its transpose: rows i and i + 8 interleaved, four times over. */
CPU_INLINE void vec_transpose(vec block[LANES]) {
    const ivec low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23},
               high = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    vec other[LANES];
    for (int stage = 0; stage < 2; stage++) {
        for (int i = 0; i < LANES / 2; i++) {
            other[2 * i] = vec_shuffle(block[i], block[i + LANES / 2], low);
            other[2 * i + 1] = vec_shuffle(block[i], block[i + LANES / 2], high);
        }
        for (int i = 0; i < LANES / 2; i++) {
            block[2 * i] = vec_shuffle(other[i], other[i + LANES / 2], low);
            block[2 * i + 1] = vec_shuffle(other[i], other[i + LANES / 2], high);
        }
    }
}

/* The transpose of `rows` rows of `columns` floats, `row` apart, padded with zeros. */
CPU_INLINE void vec_load_transposed(vec block[LANES], const float *from, size_t row, size_t rows,
                                    size_t columns) {
    for (size_t i = 0; i < LANES; i++) {
        const float *at = from + i * row;
        block[i] = i >= rows          ? vec_all(0)
                   : columns == LANES ? vec_load(at)
                                      : vec_load_part(at, columns);
    }
    vec_transpose(block);
}

/* At least `count` floats of scratch, whose content nobody keeps. */
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
    const float *panel; /* packed, the backend's; NULL: BLAS multiplies */
    size_t rows; /* of the left side, best for one call: what else is done with the result finds it
                    in the cache */
} cpu_right;

/* Whether this processor can run our own kernel. */
bool cpu_has_kernel(void);

/* Whether our own kernel is the faster one for a linear layer: by sizes alone, and so the same on
 * all ranks. */
bool cpu_kernel_suits(size_t in, size_t out, bool weight_gradient);

/* Pack for our own kernel, if the backend has it and `own` is set; until the backend's next
 * product. b stays as it is until the last cpu_multiply. DT_ERR_MEMORY. */
dt_status cpu_right_open(cpu_right *right, cpu_backend *cpu, const float *b, bool transposed,
                         size_t K, size_t N, bool own);

/* What a product is added to: `rows` (M,N), each with `bias` (N); NULL stands for zeros. */
typedef struct {
    const float *rows, *bias;
} cpu_addend;

/* c (M,N) = addend + a b, K > 0. The addend's rows may be c itself. */
void cpu_multiply(float *c, cpu_addend addend, cpu_left a, const cpu_right *right, size_t M);

/* ---- the operations, one file per subject ---- */

dt_status cpu_buffer_create(dt_buffer **buffer, dt_backend *backend, size_t count,
                            const char *what);
dt_status cpu_buffer_attach(dt_buffer **buffer, dt_backend *backend, void *host, size_t count,
                            const char *what);
void cpu_buffer_destroy(dt_buffer **buffer, dt_backend *backend);
dt_status cpu_push(dt_backend *backend, dt_tensor tensor, size_t count);
dt_status cpu_pull(dt_backend *backend, dt_tensor tensor, size_t count);
dt_status cpu_finish(dt_backend *backend);
dt_status cpu_upload(dt_backend *backend, dt_tensor to, const void *from, size_t count);
dt_status cpu_download(dt_backend *backend, void *to, dt_tensor from, size_t count);
dt_status cpu_fill_zero(dt_backend *backend, dt_tensor tensor, size_t count);

dt_status cpu_embed_forward(dt_backend *backend, dt_tensor x, const dt_packed *batch,
                            dt_tensor tok_embed, dt_tensor pos_embed, dt_tensor place_embed,
                            size_t C);
dt_status cpu_embed_backward(dt_backend *backend, dt_tensor d_tok_embed, dt_tensor d_pos_embed,
                             dt_tensor d_place_embed, const dt_packed *batch, dt_tensor d_x,
                             size_t C);

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
                                const dt_packed *batch, size_t C, size_t H);
dt_status cpu_attention_backward(dt_backend *backend, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y,
                                 dt_tensor lse, dt_tensor qkv, const dt_packed *batch, size_t C,
                                 size_t H);
dt_status cpu_attention_decode(dt_backend *backend, dt_tensor y, dt_tensor k_cache,
                               dt_tensor v_cache, dt_tensor qkv, dt_tensor length, size_t B,
                               size_t T, size_t C, size_t H);

dt_status cpu_dropout(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                      const dt_packed *batch, size_t C, const dt_dropout *dropout);
dt_status cpu_loss(dt_backend *backend, dt_score *score, dt_tensor matched, dt_tensor logits,
                   const dt_packed *batch, size_t V, bool want_gradient);

dt_status cpu_adamw(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor v,
                    dt_tensor gradient, size_t count, const dt_adamw *constants);
dt_status cpu_muon(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor gradient,
                   size_t rows, size_t columns, const dt_muon *constants);
dt_status cpu_square_sum(dt_backend *backend, double *sum, dt_tensor x, size_t count);

/* Library, version and kernels in words; one thread from here on. */
void cpu_blas_describe(char *text, size_t size, bool own_kernel);

/* Beside a plain double loop, products of every kind the model uses, by BLAS and by our own kernel
 * if the backend has it. DT_ERR_UNAVAILABLE names the one that is wrong or crashes. */
dt_status cpu_products_test(cpu_backend *cpu);

#endif
