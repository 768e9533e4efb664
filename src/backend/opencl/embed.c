/* Token, position and place embeddings. */
#include "opencl.h"

dt_status opencl_embed_forward(dt_backend *backend, dt_tensor x, const dt_packed *batch,
                               dt_tensor tok_embed, dt_tensor pos_embed, dt_tensor place_embed,
                               size_t C) {
    launch l = launch_begin(backend, KERNEL_EMBED_FORWARD);
    launch_tensor(&l, x);
    launch_ids(&l, batch->token);
    launch_ids(&l, batch->position);
    launch_ids(&l, batch->place);
    launch_tensor(&l, tok_embed);
    launch_tensor(&l, pos_embed);
    launch_tensor(&l, place_embed.buffer ? place_embed : pos_embed);
    launch_uint(&l, place_embed.buffer != NULL);
    launch_uint(&l, C);
    return launch_run(&l, C, batch->tokens, 1);
}

dt_status opencl_turn(dt_backend *backend, dt_tensor qkv, const dt_packed *batch, dt_tensor turns,
                      size_t C, bool back) {
    launch l = launch_begin(backend, KERNEL_TURN);
    launch_tensor(&l, qkv);
    launch_ids(&l, batch->place);
    launch_tensor(&l, turns);
    launch_uint(&l, back);
    launch_uint(&l, C);
    return launch_run(&l, C, batch->tokens, 1); /* a pair of queries or of keys each */
}

dt_status opencl_embed_backward(dt_backend *backend, dt_tensor d_tok_embed, dt_tensor d_pos_embed,
                                dt_tensor d_place_embed, const dt_packed *batch, dt_tensor d_x,
                                size_t C) {
    const dt_tensor table[] = {d_tok_embed, d_pos_embed, d_place_embed};
    const dt_tensor id[] = {batch->token, batch->position, batch->place};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!table[i].buffer) continue;
        launch l = launch_begin(backend, KERNEL_EMBED_BACKWARD);
        launch_tensor(&l, table[i]);
        launch_ids(&l, id[i]);
        launch_tensor(&l, d_x);
        launch_uint(&l, batch->tokens);
        launch_uint(&l, C);
        DT_TRY(launch_run(&l, C, batch->tokens, 1));
    }
    return DT_OK;
}
