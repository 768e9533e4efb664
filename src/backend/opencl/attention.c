/* Causal attention: one work-group for each tile of tokens, head and problem. */
#include <math.h>

#include "opencl.h"

/* How the work is divided. */
typedef struct {
    size_t rows;   /* R: tokens of a tile */
    size_t tiles;  /* of the longest problem; groups past the end of a shorter one return at once */
    size_t square; /* floats of scores between two tiles */
    size_t tile;   /* floats of one tile */
} tiling;

/* The largest tiles for which `tiles` tiles and `squares` squares of scores fit a work-group's
 * local memory. */
static dt_status cut(tiling *t, const opencl_backend *ocl, const dt_packed *batch, size_t C,
                     const dt_heads *heads, size_t tiles, size_t squares) {
    const size_t D = C / heads->count;
    size_t longest = 0;
    for (size_t b = 0; b < batch->problems; b++) {
        longest = dt_max_size(longest, (size_t)(batch->host_offset[b + 1] - batch->host_offset[b]));
    }
    for (size_t R = 16; R > 0; R /= 2) {
        *t = (tiling){
            .rows = R, .tiles = (longest + R - 1) / R, .square = R * R, .tile = R * (D + 1)};
        const size_t floats = tiles * t->tile + squares * t->square + 3 * R;
        if (floats * sizeof(float) <= ocl->local_memory) return DT_OK;
    }
    DT_RAISE(DT_ERR_UNAVAILABLE,
             "heads of %zu channels do not fit the %zu bytes of local memory that %s gives to a "
             "work-group; raise --heads",
             D, ocl->local_memory, ocl->about.name);
}

static dt_status run(launch *l, const tiling *t, const dt_packed *batch, const dt_heads *heads) {
    return launch_run(l, t->tiles * l->ocl->group, heads->count, batch->problems);
}

/* Kernels take a tensor in any case: without a window they do not read it. */
static void add_window(launch *l, dt_tensor spot, dt_tensor instead, const dt_heads *heads) {
    launch_ids(l, heads->window > 0 ? spot : instead);
    launch_uint(l, (size_t)heads->window);
}

/* The last arguments of the three kernels. */
static void add_shape(launch *l, const tiling *t, const dt_packed *batch, size_t C,
                      const dt_heads *heads, float scale, size_t tiles, size_t squares) {
    launch_ids(l, batch->offset);
    add_window(l, batch->spot, batch->offset, heads);
    launch_uint(l, C);
    launch_uint(l, heads->count);
    launch_uint(l, t->rows);
    launch_float(l, scale);
    launch_local(l, tiles * t->tile + squares * t->square + 3 * t->rows);
}

/* With which the backward pass is computed. */
static float trained_scale(size_t C, const dt_heads *heads) {
    const size_t D = C / heads->count;
    return 1.0f / sqrtf((float)D);
}

dt_status opencl_attention_forward(dt_backend *backend, dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                   const dt_packed *batch, size_t C, const dt_heads *heads) {
    enum { TILES = 4, SQUARES = 1 };
    tiling t;
    launch l = launch_begin(backend, KERNEL_ATTENTION_FORWARD);
    DT_TRY(cut(&t, l.ocl, batch, C, heads, TILES, SQUARES));
    launch_tensor(&l, y);
    launch_tensor(&l, lse);
    launch_tensor(&l, qkv);
    add_shape(&l, &t, batch, C, heads, heads->scale, TILES, SQUARES);
    return run(&l, &t, batch, heads);
}

static dt_status backward_q(dt_backend *backend, dt_tensor d_qkv, dt_tensor delta, dt_tensor d_y,
                            dt_tensor y, dt_tensor lse, dt_tensor qkv, const dt_packed *batch,
                            size_t C, const dt_heads *heads) {
    enum { TILES = 5, SQUARES = 1 };
    tiling t;
    launch l = launch_begin(backend, KERNEL_ATTENTION_BACKWARD_Q);
    DT_TRY(cut(&t, l.ocl, batch, C, heads, TILES, SQUARES));
    launch_tensor(&l, d_qkv);
    launch_tensor(&l, delta);
    launch_tensor(&l, d_y);
    launch_tensor(&l, y);
    launch_tensor(&l, lse);
    launch_tensor(&l, qkv);
    add_shape(&l, &t, batch, C, heads, trained_scale(C, heads), TILES, SQUARES);
    return run(&l, &t, batch, heads);
}

static dt_status backward_kv(dt_backend *backend, dt_tensor d_qkv, dt_tensor delta, dt_tensor d_y,
                             dt_tensor lse, dt_tensor qkv, const dt_packed *batch, size_t C,
                             const dt_heads *heads) {
    enum { TILES = 6, SQUARES = 2 };
    tiling t;
    launch l = launch_begin(backend, KERNEL_ATTENTION_BACKWARD_KV);
    DT_TRY(cut(&t, l.ocl, batch, C, heads, TILES, SQUARES));
    launch_tensor(&l, d_qkv);
    launch_tensor(&l, delta);
    launch_tensor(&l, d_y);
    launch_tensor(&l, lse);
    launch_tensor(&l, qkv);
    add_shape(&l, &t, batch, C, heads, trained_scale(C, heads), TILES, SQUARES);
    return run(&l, &t, batch, heads);
}

dt_status opencl_attention_backward(dt_backend *backend, dt_tensor d_qkv, dt_tensor d_y,
                                    dt_tensor y, dt_tensor lse, dt_tensor qkv,
                                    const dt_packed *batch, size_t C, const dt_heads *heads) {
    dt_tensor delta;
    DT_TRY(opencl_reserve(&delta, (opencl_backend *)backend, batch->tokens * heads->count));
    DT_TRY(backward_q(backend, d_qkv, delta, d_y, y, lse, qkv, batch, C, heads));
    return backward_kv(backend, d_qkv, delta, d_y, lse, qkv, batch, C, heads);
}

dt_status opencl_attention_decode(dt_backend *backend, dt_tensor y, const dt_attention_cache *cache,
                                  dt_tensor qkv, dt_tensor spot, dt_tensor length, size_t B,
                                  size_t C, const dt_heads *heads) {
    const size_t D = C / heads->count;
    launch l = launch_begin(backend, KERNEL_ATTENTION_DECODE);
    launch_tensor(&l, y);
    launch_tensor(&l, cache->k);
    launch_tensor(&l, cache->v);
    launch_tensor(&l, qkv);
    launch_ids(&l, length);
    launch_ids(&l, heads->window > 0 ? cache->spot : length);
    add_window(&l, spot, length, heads);
    launch_uint(&l, cache->T);
    launch_uint(&l, C);
    launch_uint(&l, heads->count);
    launch_float(&l, heads->scale);
    launch_local(&l, 2 * D + l.ocl->group);
    return launch_run(&l, heads->count * l.ocl->group, B, 1);
}
