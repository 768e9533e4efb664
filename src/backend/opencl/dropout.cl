/* Dropout with the random numbers of include/dtrain/core/random.h: it keeps the same elements as the CPU. */

/* Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": Philox 4x32, 10 rounds. */
uint4 philox(uint4 counter, uint2 key) {
    for (uint round = 0; round < 10; round++) {
        const uint high0 = mul_hi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
        const uint high1 = mul_hi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
        counter = (uint4)(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

/* The problem of token n: the last one that begins at n or before. */
uint problem_of(const uint n, __global const int *offset, const uint B) {
    uint low = 0, high = B;
    while (high - low > 1) {
        const uint middle = (low + high) / 2;
        if ((uint)offset[middle] <= n) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* One work-item for four channels of a token: one block of random numbers. `residual` may be NULL. */
KERNEL void dropout(OUT(y), IN(x), IN(residual), INTS(offset), const uint N, const uint B, const uint C,
                    const ulong first_problem, const ulong T, const ulong seed, const uint step, const uint purpose,
                    const float probability, const float scale) {
    const uint blocks = (C + 3) / 4, i = get_global_id(0);
    if (i >= N * blocks) return;
    const uint n = i / blocks, block = i % blocks;
    const uint problem = problem_of(n, offset + offset_at, B);
    const ulong token = (first_problem + problem) * T + (ulong)(n - (uint)offset[offset_at + problem]);
    const ulong minor = token * blocks + block;
    const uint4 random =
        philox((uint4)((uint)minor, (uint)(minor >> 32), step, purpose), (uint2)((uint)seed, (uint)(seed >> 32)));
    const uint word[4] = {random.x, random.y, random.z, random.w};
    for (uint k = 0; k < 4 && block * 4 + k < C; k++) {
        const uint at = n * C + block * 4 + k;
        const float unit = ((float)(word[k] >> 9) + 0.5f) * 0x1p-23f;
        const float kept = unit >= probability ? x[x_at + at] * scale : 0.0f;
        y[y_at + at] = residual ? residual[residual_at + at] + kept : kept;
    }
}
