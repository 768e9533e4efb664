/* The one table of operations that a compute device fills in. Model code never knows where it runs.
 */
#ifndef DTRAIN_BACKEND_H
#define DTRAIN_BACKEND_H

#include <stdint.h>

#include "dtrain/core/quantise.h"
#include "dtrain/core/status.h"

/* Shapes: N packed tokens, B problems, T longest context, C width, F MLP width, H heads, D head
 * width, L layers, V vocabulary. */

typedef struct dt_backend dt_backend;
typedef struct dt_buffer dt_buffer; /* device memory; each backend defines the type */

/* The type of a tensor's elements. bfloat16 is the upper half of a float32. Of the last two, see
 * core's quantise.h: blocks along the rows of a matrix, only for the weights of linear layers. */
typedef enum {
    DT_ELEMENT_FLOAT32,
    DT_ELEMENT_INT32,
    DT_ELEMENT_BFLOAT16,
    DT_ELEMENT_Q8_0,
    DT_ELEMENT_NF4
} dt_element;

/* Bytes that `count` elements take. */
static inline size_t dt_element_bytes(dt_element element, size_t count) {
    switch (element) {
    case DT_ELEMENT_FLOAT32: return count * sizeof(float);
    case DT_ELEMENT_INT32: return count * sizeof(int32_t);
    case DT_ELEMENT_BFLOAT16: return count * sizeof(uint16_t);
    case DT_ELEMENT_Q8_0: return count / DT_Q8_0_BLOCK * DT_Q8_0_BYTES;
    case DT_ELEMENT_NF4: return dt_nf4_bytes(count);
    }
    return 0;
}

/* Where a tensor starts: byte `offset` of a buffer, which may hold tensors of several types.
 * Row-major; float32 unless a comment says otherwise. An operation returns DT_ERR_UNAVAILABLE for
 * an element type that it does not compute with. */
typedef struct {
    dt_buffer *buffer;
    size_t offset;
    dt_element element;
} dt_tensor;

static const dt_tensor DT_NO_TENSOR = {NULL, 0, DT_ELEMENT_FLOAT32};

/* The tensor that starts `count` elements later. */
static inline dt_tensor dt_tensor_at(dt_tensor tensor, size_t count) {
    return (dt_tensor){tensor.buffer, tensor.offset + dt_element_bytes(tensor.element, count),
                       tensor.element};
}

/* The tensor that starts at element `first` of a float32 or int32 buffer. */
static inline dt_tensor dt_floats(dt_buffer *buffer, size_t first) {
    return dt_tensor_at((dt_tensor){buffer, 0, DT_ELEMENT_FLOAT32}, first);
}
static inline dt_tensor dt_ints(dt_buffer *buffer, size_t first) {
    return dt_tensor_at((dt_tensor){buffer, 0, DT_ELEMENT_INT32}, first);
}

typedef enum { DT_IDENTITY, DT_GELU } dt_activation;

/* bfloat16 is not supported, much slower than float32, about as fast, or faster. */
typedef enum {
    DT_NO_BFLOAT16,
    DT_SLOW_BFLOAT16,
    DT_EVEN_BFLOAT16,
    DT_FAST_BFLOAT16
} dt_bfloat16_support;

/* A packed batch on the device; int32 tensors as in dt_batch. */
typedef struct {
    size_t problems;            /* B */
    size_t tokens;              /* N */
    dt_tensor offset;           /* (B+1) */
    dt_tensor token;            /* (N) */
    dt_tensor position;         /* (N) */
    dt_tensor place;            /* (N) */
    dt_tensor spot;             /* (N) as dt_tokenizer_places gives it; only read with a
                                   window */
    dt_tensor target;           /* (N), -1: not scored */
    const int32_t *host_offset; /* (B+1) a copy of `offset` on the host, for launching */
} dt_packed;

/* The sums behind one batch's loss: over its tokens, in a fixed order, in double. */
typedef struct {
    double loss;     /* nats, summed over scored tokens */
    double scored;   /* scored tokens */
    double correct;  /* scored tokens whose target has the highest logit */
    double problems; /* problems */
    double exact;    /* problems with every scored token correct */
} dt_score;

/* Constants of one AdamW update; weight' = weight (1 - lr*decay) - lr * m^/(sqrt(v^) + epsilon). */
typedef struct {
    float lr, beta1, beta2, epsilon;
    float decay;          /* 0 for tensors that are not decayed */
    float gradient_scale; /* multiplies the summed gradient: 1/scored tokens, times the clipping
                             factor */
    float correction1, correction2; /* 1/(1 - beta^t) */
} dt_adamw;

/* Constants of one Muon update; weight' = weight (1 - lr*decay) - lr * scale * orthogonalised. */
typedef struct {
    float lr, momentum, decay;
    float gradient_scale; /* multiplies the summed gradient */
    float scale;          /* makes the update about as large as AdamW's */
} dt_muon;

/* Floats that an update by muon works in: a direction and its next step, (rows,columns) each, and
 * two products of the smaller side. */
static inline size_t dt_muon_scratch(size_t rows, size_t columns) {
    const size_t r = rows < columns ? rows : columns;
    return 2 * rows * columns + 2 * r * r;
}

/* How attention looks at the tokens before. With a window, tokens see each other whose places are
 * at most so far apart, unless they are of numbers with different letters; all see those that have
 * no place, and those that are no digits see each other. */
typedef struct {
    size_t count;   /* H heads of D = C/H channels */
    float scale;    /* of the scores; the backward pass takes it to be 1/sqrt(D) */
    int32_t window; /* places; 0: each token sees all before it */
} dt_heads;

/* What has been computed of B sequences of up to T tokens. */
typedef struct {
    dt_tensor k, v; /* (B,T,C) of a layer */
    dt_tensor spot; /* (B,T) int32; only used with a window */
    size_t T;
} dt_attention_cache;

/* Keyed dropout: whether an element is kept depends only on (seed, step, site, number of the
 * problem, number of the token in it, channel). */
typedef struct {
    float probability;
    uint64_t seed;
    uint32_t step;
    uint32_t site;          /* which of the model's dropouts */
    uint64_t first_problem; /* number of the batch's first problem in the global batch */
    size_t T;               /* most tokens of a problem */
} dt_dropout;

/* Every entry must be set; dt_backend_open checks it. Calls may be queued; download, score and
 * finish wait for what they read. DT_ERR_DEVICE and DT_ERR_MEMORY may come from an earlier call.
 * "Accumulates": adds to what the output holds instead of replacing it. Names: d_x is the gradient
 * with respect to x. */
typedef struct {
    const char *name;        /* "cpu" */
    const char *description; /* "OpenBLAS 0.3.21, SkylakeX kernels, 1 thread" */
    /* Whether norms, linear layers and attention accept bfloat16 where their comments allow it. */
    dt_bfloat16_support bfloat16;
    bool quantised; /* whether the weights of linear layers may be */

    void (*close)(dt_backend **backend);

    /* -- memory -- */

    /* Zeroed device memory. */
    dt_status (*buffer_create)(dt_buffer **buffer, dt_backend *backend, size_t bytes,
                               const char *what);
    /* A buffer that copies host memory (a shared window): push copies host to device, pull device
     * to host; neither copies where the device can work on host memory itself. The host must not
     * touch that memory until finish. The memory stays the caller's and must outlive the buffer. */
    dt_status (*buffer_attach)(dt_buffer **buffer, dt_backend *backend, void *host, size_t bytes,
                               const char *what);
    void (*buffer_destroy)(dt_buffer **buffer, dt_backend *backend);
    /* `count`, here and below: elements of the tensor's type. */
    dt_status (*push)(dt_backend *backend, dt_tensor tensor, size_t count);
    dt_status (*pull)(dt_backend *backend, dt_tensor tensor, size_t count);
    /* Waits until all queued calls have ended. */
    dt_status (*finish)(dt_backend *backend);
    /* `from` may be changed as soon as this returns. */
    dt_status (*upload)(dt_backend *backend, dt_tensor to, const void *from, size_t count);
    dt_status (*download)(dt_backend *backend, void *to, dt_tensor from, size_t count);
    dt_status (*fill_zero)(dt_backend *backend, dt_tensor tensor, size_t count);

    /* -- embedding -- x (N,C) = tok_embed[token] + pos_embed[position] + place_embed[place];
     * without the last if its buffer is NULL */
    dt_status (*embed_forward)(dt_backend *backend, dt_tensor x, const dt_packed *batch,
                               dt_tensor tok_embed, dt_tensor pos_embed, dt_tensor place_embed,
                               size_t C);
    /* Accumulates into the three tables' gradients, rows in ascending order. Here and below, a
     * gradient of weights whose buffer is NULL is not computed. */
    dt_status (*embed_backward)(dt_backend *backend, dt_tensor d_tok_embed, dt_tensor d_pos_embed,
                                dt_tensor d_place_embed, const dt_packed *batch, dt_tensor d_x,
                                size_t C);

    /* -- layer norm -- y (N,C), which may be bfloat16; mean, rstd (N) are kept for the backward
     * pass */
    dt_status (*norm_forward)(dt_backend *backend, dt_tensor y, dt_tensor mean, dt_tensor rstd,
                              dt_tensor x, dt_tensor scale, dt_tensor bias, size_t N, size_t C);
    /* Accumulates into d_x (the residual stream's gradient), d_scale and d_bias. */
    dt_status (*norm_backward)(dt_backend *backend, dt_tensor d_x, dt_tensor d_scale,
                               dt_tensor d_bias, dt_tensor d_y, dt_tensor x, dt_tensor mean,
                               dt_tensor rstd, dt_tensor scale, size_t N, size_t C);

    /* -- linear -- y (N,out) = act(x (N,in) weight^T (out,in) + bias (out) + residual). If x is
     * bfloat16, the weights are rounded to bfloat16, sums are float32, the slope is bfloat16, and y
     * may be (with DT_GELU it must be). residual (N,out) is added before the activation; with
     * DT_IDENTITY it may be y itself. With DT_GELU, slope (N,out) keeps the activation's derivative
     * (slope.buffer NULL: not wanted). bias.buffer, residual.buffer NULL: none. */
    dt_status (*linear_forward)(dt_backend *backend, dt_tensor y, dt_tensor slope, dt_tensor x,
                                dt_tensor weight, dt_tensor bias, dt_tensor residual, size_t N,
                                size_t in, size_t out, dt_activation activation);
    /* If x is bfloat16, d_y is rounded to bfloat16 for the products; d_x and d_y may be bfloat16.
     * d_weight += …, d_bias += …; d_x is replaced (d_x.buffer NULL: not wanted). With DT_GELU, a
     * float32 d_y is overwritten by the gradient of what went into the activation; a bfloat16 one
     * stays as it is. */
    dt_status (*linear_backward)(dt_backend *backend, dt_tensor d_x, dt_tensor d_weight,
                                 dt_tensor d_bias, dt_tensor d_y, dt_tensor slope, dt_tensor x,
                                 dt_tensor weight, size_t N, size_t in, size_t out,
                                 dt_activation activation);

    /* -- rotary places -- Turns queries and keys of qkv (N,3C), which may be bfloat16, in place:
     * channels 2j and 2j+1, as a complex number, are multiplied by cosine and sine, channels 2j and
     * 2j+1 of row place[n] of turns (P,C). back: by the conjugate, as their gradients are. */
    dt_status (*turn)(dt_backend *backend, dt_tensor qkv, const dt_packed *batch, dt_tensor turns,
                      size_t C, bool back);

    /* -- causal attention inside each problem -- y (N,C) from qkv (N,3C); both may be bfloat16, and
     * then so are their gradients. lse (N,H) keeps log(sum(exp(score))) for the backward pass. */
    dt_status (*attention_forward)(dt_backend *backend, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                   const dt_packed *batch, size_t C, const dt_heads *heads);
    /* d_qkv (N,3C) is replaced. */
    dt_status (*attention_backward)(dt_backend *backend, dt_tensor d_qkv, dt_tensor d_y,
                                    dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                    const dt_packed *batch, size_t C, const dt_heads *heads);

    /* -- sums -- y (count) = factor * x + residual. Here and in dropout, each of them may be
     * bfloat16; residual.buffer NULL: none; y may be x or residual. */
    dt_status (*add)(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                     size_t count, float factor);

    /* -- dropout -- y (N,C) = residual + x * kept / (1 - p). Forward and backward keep the same
     * elements. */
    dt_status (*dropout)(dt_backend *backend, dt_tensor y, dt_tensor x, dt_tensor residual,
                         const dt_packed *batch, size_t C, const dt_dropout *dropout);

    /* -- loss -- logits (N,V) are overwritten: with want_gradient by their gradient (softmax -
     * target), unnormalised, 0 where not scored; adds to score. matched (B), int32, optional
     * (buffer NULL): 1 where every scored token of the problem was right. */
    dt_status (*loss)(dt_backend *backend, dt_score *score, dt_tensor matched, dt_tensor logits,
                      const dt_packed *batch, size_t V, bool want_gradient);

    /* -- generation -- B sequences, one new token each. Appends k and v of qkv (B,3C), and with a
     * window spot (B), to the caches at position length[b] (int32) and attends over 0 … length[b];
     * y (B,C). */
    dt_status (*attention_decode)(dt_backend *backend, dt_tensor y, const dt_attention_cache *cache,
                                  dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B,
                                  size_t C, const dt_heads *heads);
} dt_backend_table;

/* The update of weights, on slices of the shared windows. */
typedef struct {
    dt_status (*adamw)(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor v,
                       dt_tensor gradient, size_t count, const dt_adamw *constants);
    /* One matrix (rows, columns): m = momentum m + g; the update is the orthogonal matrix nearest
     * to g + momentum m. Source: Jordan et al. 2024, "Muon"; Amsel et al. 2025, arXiv:2505.16932.
     */
    dt_status (*muon)(dt_backend *backend, dt_tensor weight, dt_tensor m, dt_tensor gradient,
                      size_t rows, size_t columns, const dt_muon *constants);
    /* Only the momentum of `count` elements of such matrices, with the same bits. */
    dt_status (*momentum)(dt_backend *backend, dt_tensor m, dt_tensor gradient, size_t count,
                          const dt_muon *constants);
    /* average += gain (weight - average) */
    dt_status (*average)(dt_backend *backend, dt_tensor average, dt_tensor weight, size_t count,
                         float gain);
    /* Sum of squares in a fixed order, in double. */
    dt_status (*square_sum)(dt_backend *backend, double *sum, dt_tensor x, size_t count);
} dt_update_table;

/* Every backend begins with its tables. */
struct dt_backend {
    const dt_backend_table *op;
    const dt_update_table *update; /* NULL for a device: weights are updated in the host's memory */
};

#endif
