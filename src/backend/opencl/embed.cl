/* Token, position and place embeddings. */

KERNEL void embed_forward(OUT(x), INTS(token), INTS(position), INTS(place), IN(tok_embed), IN(pos_embed), IN(place_embed),
                          const uint C) {
    const uint c = get_global_id(0), n = get_global_id(1);
    if (c >= C) return;
    x[x_at + n * C + c] = tok_embed[tok_embed_at + (uint)token[token_at + n] * C + c] +
                          pos_embed[pos_embed_at + (uint)position[position_at + n] * C + c] +
                          place_embed[place_embed_at + (uint)place[place_at + n] * C + c];
}

/* The gradient of one table. The work-item of the first token with an id adds up the rows of all tokens with that id, in order: no two work-items write the same element, and the number of rows need not be known. */
KERNEL void embed_backward(OUT(d_embed), INTS(id), IN(d_x), const uint N, const uint C) {
    const uint c = get_global_id(0), n = get_global_id(1);
    id += id_at;
    const int mine = id[n];
    for (uint i = 0; i < n; i++) {
        if (id[i] == mine) return;
    }
    if (c >= C) return;
    const uint to = d_embed_at + (uint)mine * C + c;
    float sum = d_embed[to];
    for (uint i = n; i < N; i++) {
        if (id[i] == mine) sum += d_x[d_x_at + i * C + c];
    }
    d_embed[to] = sum;
}
