/* Token, position and place embeddings. */
#include "mixed.h"

static void gather(float *x, const dt_packed *batch, const float *tok_embed, const float *pos_embed,
                   const float *place_embed, size_t C) {
    const int32_t *token = cpu_i32(batch->token), *position = cpu_i32(batch->position),
                  *place = cpu_i32(batch->place);
    for (size_t i = 0; i < batch->tokens; i++) {
        const float *t = tok_embed + (size_t)token[i] * C;
        const float *p = pos_embed + (size_t)position[i] * C;
        float *row = x + i * C;
        if (!place_embed) {
            for (size_t c = 0; c < C; c++) row[c] = t[c] + p[c];
            continue;
        }
        const float *q = place_embed + (size_t)place[i] * C;
        for (size_t c = 0; c < C; c++) row[c] = t[c] + p[c] + q[c];
    }
}

dt_status cpu_embed_forward(dt_backend *backend, dt_tensor x, const dt_packed *batch,
                            dt_tensor tok_embed, dt_tensor pos_embed, dt_tensor place_embed,
                            size_t C) {
    (void)backend;
    CPU_FLOATS("embed_forward", x, tok_embed, pos_embed);
    if (place_embed.buffer) CPU_FLOATS("embed_forward", place_embed);
    CPU_INTS("embed_forward", batch->token, batch->position, batch->place);
    gather(cpu_f32(x), batch, cpu_f32(tok_embed), cpu_f32(pos_embed), cpu_f32(place_embed), C);
    return DT_OK;
}

static void scatter(float *d_tok, float *d_pos, float *d_place, const dt_packed *batch,
                    const float *d_x, size_t C) {
    const int32_t *token = cpu_i32(batch->token), *position = cpu_i32(batch->position),
                  *place = cpu_i32(batch->place);
    for (size_t i = 0; i < batch->tokens; i++) {
        float *restrict t = d_tok + (size_t)token[i] * C;
        float *restrict p = d_pos + (size_t)position[i] * C;
        float *restrict q = d_place + (size_t)place[i] * C;
        const float *restrict row = d_x + i * C;
        for (size_t c = 0; c < C; c++) {
            t[c] += row[c];
            p[c] += row[c];
            q[c] += row[c];
        }
    }
}

static void scatter_one(float *d_table, const int32_t *id, size_t N, const float *d_x, size_t C) {
    for (size_t i = 0; i < N; i++) {
        float *row = d_table + (size_t)id[i] * C;
        for (size_t c = 0; c < C; c++) row[c] += d_x[i * C + c];
    }
}

dt_status cpu_embed_backward(dt_backend *backend, dt_tensor d_tok_embed, dt_tensor d_pos_embed,
                             dt_tensor d_place_embed, const dt_packed *batch, dt_tensor d_x,
                             size_t C) {
    (void)backend;
    CPU_FLOATS("embed_backward", d_tok_embed, d_pos_embed, d_place_embed, d_x);
    CPU_INTS("embed_backward", batch->token, batch->position, batch->place);
    if (d_tok_embed.buffer && d_pos_embed.buffer && d_place_embed.buffer) {
        scatter(cpu_f32(d_tok_embed), cpu_f32(d_pos_embed), cpu_f32(d_place_embed), batch,
                cpu_f32(d_x), C);
        return DT_OK;
    }
    const dt_tensor table[] = {d_tok_embed, d_pos_embed, d_place_embed};
    const dt_tensor id[] = {batch->token, batch->position, batch->place};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].buffer)
            scatter_one(cpu_f32(table[i]), cpu_i32(id[i]), batch->tokens, cpu_f32(d_x), C);
    }
    return DT_OK;
}

/* One row of queries or keys. */
static void turn_floats(float *restrict x, const float *restrict turns, float sign, size_t C) {
    for (size_t c = 0; c + 1 < C; c += 2) {
        const float cosine = turns[c], sine = sign * turns[c + 1], a = x[c], b = x[c + 1];
        x[c] = cosine * a - sine * b;
        x[c + 1] = sine * a + cosine * b;
    }
}
static void turn_halves(dt_tensor x, const float *restrict turns, float sign, size_t C) {
    for (size_t c = 0; c + 1 < C; c += 2) {
        const float cosine = turns[c], sine = sign * turns[c + 1], a = mixed_load(x, c),
                    b = mixed_load(x, c + 1);
        mixed_store(x, c, cosine * a - sine * b);
        mixed_store(x, c + 1, sine * a + cosine * b);
    }
}

dt_status cpu_turn(dt_backend *backend, dt_tensor qkv, const dt_packed *batch, dt_tensor turns,
                   size_t C, bool back) {
    (void)backend;
    CPU_MIXED("turn", qkv);
    CPU_FLOATS("turn", turns);
    CPU_INTS("turn", batch->place);
    const int32_t *place = cpu_i32(batch->place);
    const float sign = back ? -1 : 1;
    const bool halves = qkv.element == DT_ELEMENT_BFLOAT16;
    for (size_t i = 0; i < batch->tokens; i++) {
        const float *row = cpu_f32(turns) + (size_t)place[i] * C;
        for (size_t part = 0; part < 2; part++) { /* queries, keys */
            const size_t at = i * 3 * C + part * C;
            if (halves) {
                turn_halves(dt_tensor_at(qkv, at), row, sign, C);
            } else {
                turn_floats(cpu_f32(qkv) + at, row, sign, C);
            }
        }
    }
    return DT_OK;
}
