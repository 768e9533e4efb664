/* Softmax cross-entropy, one token per work-item. */

/* result (N,2): the loss in nats, and whether the target has the highest logit (a tie counts for the lower id), -1 if the token is not scored. With want_gradient the logits are replaced by their gradient. */
KERNEL void loss(OUT(result), OUT(logits), INTS(target), const uint N, const uint V, const uint want_gradient) {
    const uint n = get_global_id(0);
    if (n >= N) return;
    __global float *row = logits + logits_at + n * V, *to = result + result_at + 2 * n;
    const int wanted = target[target_at + n];
    if (wanted < 0) {
        to[0] = 0.0f;
        to[1] = -1.0f;
        for (uint j = 0; want_gradient && j < V; j++) row[j] = 0.0f;
        return;
    }
    uint best = 0;
    for (uint j = 1; j < V; j++) {
        if (row[j] > row[best]) best = j;
    }
    const float most = row[best];
    float sum = 0;
    for (uint j = 0; j < V; j++) sum += exp(row[j] - most);
    to[0] = log(sum) + (most - row[wanted]);
    to[1] = best == (uint)wanted ? 1.0f : 0.0f;
    if (!want_gradient) return;
    const float scale = 1.0f / sum;
    for (uint j = 0; j < V; j++) row[j] = exp(row[j] - most) * scale - (j == (uint)wanted ? 1.0f : 0.0f);
}
