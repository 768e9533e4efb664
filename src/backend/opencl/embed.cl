/* Token, position and place embeddings. */

KERNEL void embed_forward(OUT(x), INTS(token), INTS(position), INTS(place), IN(tok_embed), IN(pos_embed), IN(place_embed),
                          const uint has_places, const uint C) {
    const uint c = get_global_id(0), n = get_global_id(1);
    if (c >= C) return;
    const float sum = tok_embed[tok_embed_at + (uint)token[token_at + n] * C + c] +
                      pos_embed[pos_embed_at + (uint)position[position_at + n] * C + c];
    x[x_at + n * C + c] = has_places ? sum + place_embed[place_embed_at + (uint)place[place_at + n] * C + c] : sum;
}

/* Work-items 0 ... C/2 - 1 of a token turn pairs of its queries, the others those of its keys. */
KERNEL void turn(OUT(qkv), INTS(place), IN(turns), const uint back, const uint C) {
    const uint k = get_global_id(0), n = get_global_id(1), pairs = C / 2;
    if (k >= 2 * pairs) return;
    const uint c = k % pairs * 2, from = turns_at + (uint)place[place_at + n] * C + c;
    const uint at = qkv_at + n * 3 * C + k / pairs * C + c;
    const float cosine = turns[from], sine = back ? -turns[from + 1] : turns[from + 1];
    const float a = qkv[at], b = qkv[at + 1];
    qkv[at] = cosine * a - sine * b;
    qkv[at + 1] = sine * a + cosine * b;
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
