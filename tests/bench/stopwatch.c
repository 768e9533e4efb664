/* Times the operations of a backend, and adds up the times by the part of a step. */
#include "stopwatch.h"

#include <stdint.h>
#include <string.h>

const char *part_name(part p) {
    static const char *const NAMES[PARTS] = {
        [PART_EMBEDDING] = "embedding",
        [PART_NORM] = "norm",
        [PART_QKV] = "qkv",
        [PART_ATTENTION] = "attention",
        [PART_PROJECTION] = "projection",
        [PART_MLP] = "mlp",
        [PART_LOGITS] = "logits",
        [PART_LOSS] = "loss",
        [PART_DROPOUT] = "dropout",
        [PART_COPIES] = "copies",
        [PART_REDUCTION] = "reduction",
        [PART_UPDATE] = "update",
        [PART_DATA] = "data",
        [PART_WAITING] = "waiting",
    };
    return NAMES[p];
}

/* The table is the stopwatch's first member. */
static stopwatch *watch_of(const dt_backend *backend) {
    return (stopwatch *)(uintptr_t)backend->op;
}

/* Counts the time since the last operation for `gap`: some operations always follow the same work.
 */
static double enter_after(stopwatch *watch, part gap) {
    const double now = watch->now();
    watch->seconds[gap][FORWARD] += now - watch->last;
    return now;
}

static void leave(stopwatch *watch, part p, direction d, double start) {
    watch->last = watch->now();
    watch->seconds[p][d] += watch->last - start;
}

static part part_of_product(const stopwatch *watch, size_t in, size_t out) {
    const dt_model_shape *s = &watch->shape;
    if (out == s->V) return PART_LOGITS;
    if (in == s->C && out == 3 * s->C) return PART_QKV;
    if (in == s->C && out == s->C) return PART_PROJECTION;
    return PART_MLP;
}

/* An operation of a table between two readings; START reads the first. */
#define TIMED_FROM(START, TABLE, PART, DIRECTION, name, parameters, ...)                           \
    static dt_status timed_##name parameters {                                                     \
        stopwatch *watch = watch_of(backend);                                                      \
        const double start = START;                                                                \
        const dt_status status = watch->TABLE->name(backend, __VA_ARGS__);                         \
        leave(watch, PART, DIRECTION, start);                                                      \
        return status;                                                                             \
    }
#define TIMED(...) TIMED_FROM(watch->now(), inner, __VA_ARGS__)
#define TIMED_AFTER(GAP, ...) TIMED_FROM(enter_after(watch, GAP), inner, __VA_ARGS__)

/* Batches are uploaded as soon as they are made, and weights are pushed or changed as soon as all
 * ranks are ready. */
TIMED_AFTER(PART_DATA, PART_COPIES, FORWARD, upload,
            (dt_backend * backend, dt_tensor to, const void *from, size_t count), to, from, count)
TIMED_AFTER(PART_WAITING, PART_COPIES, FORWARD, push,
            (dt_backend * backend, dt_tensor tensor, size_t count), tensor, count)
TIMED(PART_COPIES, BACKWARD, pull, (dt_backend * backend, dt_tensor tensor, size_t count), tensor,
      count)
TIMED(PART_COPIES, BACKWARD, fill_zero, (dt_backend * backend, dt_tensor tensor, size_t count),
      tensor, count)
TIMED(PART_COPIES, FORWARD, download,
      (dt_backend * backend, void *to, dt_tensor from, size_t count), to, from, count)

TIMED(PART_EMBEDDING, FORWARD, embed_forward,
      (dt_backend * backend, dt_tensor x, const dt_packed *batch, dt_tensor tok_embed,
       dt_tensor pos_embed, dt_tensor place_embed, size_t C),
      x, batch, tok_embed, pos_embed, place_embed, C)
TIMED(PART_EMBEDDING, BACKWARD, embed_backward,
      (dt_backend * backend, dt_tensor d_tok_embed, dt_tensor d_pos_embed, dt_tensor d_place_embed,
       const dt_packed *batch, dt_tensor d_x, size_t C),
      d_tok_embed, d_pos_embed, d_place_embed, batch, d_x, C)

TIMED(PART_EMBEDDING, back ? BACKWARD : FORWARD, turn,
      (dt_backend * backend, dt_tensor qkv, const dt_packed *batch, dt_tensor turns, size_t C,
       bool back),
      qkv, batch, turns, C, back)

TIMED(PART_NORM, FORWARD, norm_forward,
      (dt_backend * backend, dt_tensor y, dt_tensor mean, dt_tensor rstd, dt_tensor x,
       dt_tensor scale, dt_tensor bias, size_t N, size_t C),
      y, mean, rstd, x, scale, bias, N, C)
TIMED(PART_NORM, BACKWARD, norm_backward,
      (dt_backend * backend, dt_tensor d_x, dt_tensor d_scale, dt_tensor d_bias, dt_tensor d_y,
       dt_tensor x, dt_tensor mean, dt_tensor rstd, dt_tensor scale, size_t N, size_t C),
      d_x, d_scale, d_bias, d_y, x, mean, rstd, scale, N, C)

TIMED(part_of_product(watch, in, out), FORWARD, linear_forward,
      (dt_backend * backend, dt_tensor y, dt_tensor z, dt_tensor x, dt_tensor weight,
       dt_tensor bias, dt_tensor residual, size_t N, size_t in, size_t out,
       dt_activation activation),
      y, z, x, weight, bias, residual, N, in, out, activation)
TIMED(part_of_product(watch, in, out), BACKWARD, linear_backward,
      (dt_backend * backend, dt_tensor d_x, dt_tensor d_weight, dt_tensor d_bias, dt_tensor d_y,
       dt_tensor z, dt_tensor x, dt_tensor weight, size_t N, size_t in, size_t out,
       dt_activation activation),
      d_x, d_weight, d_bias, d_y, z, x, weight, N, in, out, activation)

TIMED(PART_ATTENTION, FORWARD, attention_forward,
      (dt_backend * backend, dt_tensor y, dt_tensor lse, dt_tensor qkv, const dt_packed *batch,
       size_t C, const dt_heads *heads),
      y, lse, qkv, batch, C, heads)
TIMED(PART_ATTENTION, BACKWARD, attention_backward,
      (dt_backend * backend, dt_tensor d_qkv, dt_tensor d_y, dt_tensor y, dt_tensor lse,
       dt_tensor qkv, const dt_packed *batch, size_t C, const dt_heads *heads),
      d_qkv, d_y, y, lse, qkv, batch, C, heads)
TIMED(PART_ATTENTION, FORWARD, attention_decode,
      (dt_backend * backend, dt_tensor y, const dt_attention_cache *cache, dt_tensor qkv,
       dt_tensor spot, dt_tensor length, size_t B, size_t C, const dt_heads *heads),
      y, cache, qkv, spot, length, B, C, heads)

TIMED(PART_DROPOUT, FORWARD, dropout,
      (dt_backend * backend, dt_tensor y, dt_tensor x, dt_tensor residual, const dt_packed *batch,
       size_t C, const dt_dropout *dropout),
      y, x, residual, batch, C, dropout)
TIMED(PART_LOSS, FORWARD, loss,
      (dt_backend * backend, dt_score *score, dt_tensor matched, dt_tensor logits,
       const dt_packed *batch, size_t V, bool want_gradient),
      score, matched, logits, batch, V, want_gradient)

#define TIMED_UPDATE(START, ...) TIMED_FROM(START, inner_update, PART_UPDATE, FORWARD, __VA_ARGS__)
TIMED_UPDATE(watch->now(), square_sum,
             (dt_backend * backend, double *sum, dt_tensor x, size_t count), sum, x, count)
TIMED_UPDATE(enter_after(watch, PART_WAITING), adamw,
             (dt_backend * backend, dt_tensor weight, dt_tensor m, dt_tensor v, dt_tensor gradient,
              size_t count, const dt_adamw *constants),
             weight, m, v, gradient, count, constants)
TIMED_UPDATE(enter_after(watch, PART_WAITING), average,
             (dt_backend * backend, dt_tensor average, dt_tensor weight, size_t count, float gain),
             average, weight, count, gain)
TIMED_UPDATE(enter_after(watch, PART_WAITING), muon,
             (dt_backend * backend, dt_tensor weight, dt_tensor m, dt_tensor gradient, size_t rows,
              size_t columns, const dt_muon *constants),
             weight, m, gradient, rows, columns, constants)

static dt_status counted_buffer_create(dt_buffer **buffer, dt_backend *backend, size_t bytes,
                                       const char *what) {
    stopwatch *watch = watch_of(backend);
    watch->created += bytes;
    return watch->inner->buffer_create(buffer, backend, bytes, what);
}

void stopwatch_install(stopwatch *watch, dt_backend *backend, clock_reader *now) {
    *watch = (stopwatch){.table = *backend->op,
                         .inner = backend->op,
                         .update = {.adamw = timed_adamw,
                                    .muon = timed_muon,
                                    .average = timed_average,
                                    .square_sum = timed_square_sum},
                         .inner_update = backend->update,
                         .now = now};
    dt_backend_table *table = &watch->table;
    table->buffer_create = counted_buffer_create;
    table->upload = timed_upload;
    table->push = timed_push;
    table->pull = timed_pull;
    table->fill_zero = timed_fill_zero;
    table->download = timed_download;
    table->embed_forward = timed_embed_forward;
    table->embed_backward = timed_embed_backward;
    table->turn = timed_turn;
    table->norm_forward = timed_norm_forward;
    table->norm_backward = timed_norm_backward;
    table->linear_forward = timed_linear_forward;
    table->linear_backward = timed_linear_backward;
    table->attention_forward = timed_attention_forward;
    table->attention_backward = timed_attention_backward;
    table->attention_decode = timed_attention_decode;
    table->dropout = timed_dropout;
    table->loss = timed_loss;
    watch->last = watch->now();
    backend->op = table;
    backend->update = &watch->update;
}

void stopwatch_remove(stopwatch *watch, dt_backend *backend) {
    if (!watch->inner || backend->op != &watch->table) return;
    backend->op = watch->inner;
    backend->update = watch->inner_update;
}

void stopwatch_clear(stopwatch *watch) {
    memset(watch->seconds, 0, sizeof watch->seconds);
    watch->last = watch->now();
}
