/* Causal attention inside each packed problem. A work-group has a tile of R tokens of one problem and head, and loops over the tiles that these tokens see, or that see them; tiles and scores are in local memory. Rows of a tile are D + 1 floats apart: D is often a power of two, and then all work-items that read one column would use the same memory bank. */

/* tile (R,D) = rows from `first` on of `from`, `stride` apart, times factor; 0 from row n on. */
void load_tile(__local float *tile, __global const float *from, const uint stride, const uint first, const uint n, const uint R,
               const uint D, const float factor) {
    for (uint i = get_local_id(0); i < R * D; i += GROUP) {
        const uint r = i / D, d = i % D;
        tile[r * (D + 1) + d] = first + r < n ? from[(first + r) * stride + d] * factor : 0.0f;
    }
}

void store_tile(__global float *to, const uint stride, const uint first, const uint n, __local const float *tile, const uint R,
                const uint D, const float factor) {
    for (uint i = get_local_id(0); i < R * D; i += GROUP) {
        const uint r = i / D, d = i % D;
        if (first + r < n) to[(first + r) * stride + d] = tile[r * (D + 1) + d] * factor;
    }
}

void clear_tile(__local float *tile, const uint R, const uint D) {
    for (uint i = get_local_id(0); i < R * (D + 1); i += GROUP) tile[i] = 0.0f;
}

float dot_rows(__local const float *a, __local const float *b, const uint D) {
    float sum = 0;
    for (uint d = 0; d < D; d++) sum += a[d] * b[d];
    return sum;
}

/* How many of the R keys that start at `from` token i may see: those up to i. */
uint seen(const uint i, const uint from, const uint R) { return i < from ? 0 : min(R, i + 1 - from); }

/* What is hidden by the window has this score: next to that of the token itself, which it sees, nothing is left of it. */
#define HIDDEN -1e30f

/* Whether a token sees another one in a window of places, by their spots as in dt_packed; token i of n token j of a problem. */
bool spot_sees(const int query, const int key, const uint window) {
    const uint q = abs(query), k = abs(key), letter = q >> 16, other = k >> 16;
    const bool same = letter == other || letter == 0 || other == 0;
    const bool near = q != 0 && same && abs_diff(q & 0xffff, k & 0xffff) <= window;
    return near || key == 0 || (query <= 0 && key < 0);
}

bool sees(__global const int *spot, const uint i, const uint j, const uint n, const uint window) {
    return window == 0 || spot_sees(spot[min(i, n - 1)], spot[min(j, n - 1)], window);
}

/* Groups (tiles, H, B). local: 4 tiles, (R,R), 3 (R). */
KERNEL void attention_forward(OUT(y), OUT(lse), IN(qkv), INTS(offset), INTS(spot), const uint window, const uint C, const uint H,
                              const uint R, const float scale, __local float *local_memory) {
    const uint D = C / H, W = D + 1, h = get_group_id(1), l = get_local_id(0), first = get_group_id(0) * R;
    const uint begin = offset[offset_at + get_group_id(2)], n = (uint)offset[offset_at + get_group_id(2) + 1] - begin;
    if (first >= n) return;
    __local float *q = local_memory, *k = q + R * W, *v = k + R * W, *o = v + R * W, *score = o + R * W;
    __local float *most = score + R * R, *total = most + R, *shrink = total + R;
    __global const float *head = qkv + qkv_at + begin * 3 * C + h * D;
    __global const int *spots = spot + spot_at + (window > 0 ? begin : 0);
    load_tile(q, head, 3 * C, first, n, R, D, scale);
    clear_tile(o, R, D);
    for (uint r = l; r < R; r += GROUP) {
        most[r] = -INFINITY;
        total[r] = 0.0f;
    }
    for (uint from = 0; from <= first; from += R) {
        barrier(CLK_LOCAL_MEM_FENCE); /* the tiles before these have been read */
        load_tile(k, head + C, 3 * C, from, n, R, D, 1.0f);
        load_tile(v, head + 2 * C, 3 * C, from, n, R, D, 1.0f);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = l; i < R * R; i += GROUP) {
            const uint r = i / R, j = i % R;
            if (j >= seen(first + r, from, R)) continue;
            score[i] = sees(spots, first + r, from + j, n, window) ? dot_rows(q + r * W, k + j * W, D) : HIDDEN;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        /* The sums so far are scaled to the new largest score. */
        for (uint r = l; r < R; r += GROUP) {
            const uint count = seen(first + r, from, R);
            float top = most[r];
            for (uint j = 0; j < count; j++) top = fmax(top, score[r * R + j]);
            shrink[r] = exp(most[r] - top);
            float sum = total[r] * shrink[r];
            for (uint j = 0; j < count; j++) sum += score[r * R + j] = exp(score[r * R + j] - top);
            most[r] = top;
            total[r] = sum;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = l; i < R * D; i += GROUP) {
            const uint r = i / D, d = i % D, count = seen(first + r, from, R);
            float sum = o[r * W + d] * shrink[r];
            for (uint j = 0; j < count; j++) sum += score[r * R + j] * v[j * W + d];
            o[r * W + d] = sum;
        }
    }
    for (uint i = l; i < R * D; i += GROUP) o[i / D * W + i % D] /= total[i / D];
    store_tile(y + y_at + begin * C + h * D, C, first, n, o, R, D, 1.0f);
    for (uint r = l; r < R; r += GROUP) {
        if (first + r < n) lse[lse_at + (begin + first + r) * H + h] = most[r] + log(total[r]);
    }
}

/* The gradient of the queries, and delta (N,H) = d_y . y for the next kernel. Groups (tiles, H, B).
 * local: 5 tiles, (R,R), 2 (R). */
KERNEL void attention_backward_q(OUT(d_qkv), OUT(delta), IN(d_y), IN(y), IN(lse), IN(qkv), INTS(offset), INTS(spot), const uint window,
                                 const uint C, const uint H, const uint R, const float scale, __local float *local_memory) {
    const uint D = C / H, W = D + 1, h = get_group_id(1), l = get_local_id(0), first = get_group_id(0) * R;
    const uint begin = offset[offset_at + get_group_id(2)], n = (uint)offset[offset_at + get_group_id(2) + 1] - begin;
    if (first >= n) return;
    __local float *q = local_memory, *up = q + R * W, *k = up + R * W, *v = k + R * W, *d_q = v + R * W, *d_score = d_q + R * W;
    __local float *row_lse = d_score + R * R, *row_delta = row_lse + R;
    __global const float *head = qkv + qkv_at + begin * 3 * C + h * D;
    __global const int *spots = spot + spot_at + (window > 0 ? begin : 0);
    load_tile(q, head, 3 * C, first, n, R, D, scale);
    load_tile(up, d_y + d_y_at + begin * C + h * D, C, first, n, R, D, 1.0f);
    load_tile(k, y + y_at + begin * C + h * D, C, first, n, R, D, 1.0f);
    clear_tile(d_q, R, D);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint r = l; r < R; r += GROUP) {
        const uint at = (begin + first + r) * H + h;
        row_delta[r] = dot_rows(up + r * W, k + r * W, D);
        row_lse[r] = first + r < n ? lse[lse_at + at] : 0.0f;
        if (first + r < n) delta[delta_at + at] = row_delta[r];
    }
    for (uint from = 0; from <= first; from += R) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(k, head + C, 3 * C, from, n, R, D, 1.0f);
        load_tile(v, head + 2 * C, 3 * C, from, n, R, D, 1.0f);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = l; i < R * R; i += GROUP) {
            const uint r = i / R, j = i % R;
            if (j >= seen(first + r, from, R)) continue;
            const bool hidden = !sees(spots, first + r, from + j, n, window);
            const float p = hidden ? 0.0f : exp(dot_rows(q + r * W, k + j * W, D) - row_lse[r]);
            d_score[i] = p * (dot_rows(up + r * W, v + j * W, D) - row_delta[r]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = l; i < R * D; i += GROUP) {
            const uint r = i / D, d = i % D, count = seen(first + r, from, R);
            float sum = d_q[r * W + d];
            for (uint j = 0; j < count; j++) sum += d_score[r * R + j] * k[j * W + d];
            d_q[r * W + d] = sum;
        }
    }
    store_tile(d_qkv + d_qkv_at + begin * 3 * C + h * D, 3 * C, first, n, d_q, R, D, scale);
}

/* The gradients of keys and values. Groups (tiles, H, B). local: 6 tiles, 2 (R,R), 2 (R). */
KERNEL void attention_backward_kv(OUT(d_qkv), IN(delta), IN(d_y), IN(lse), IN(qkv), INTS(offset), INTS(spot), const uint window, const uint C,
                                  const uint H, const uint R, const float scale, __local float *local_memory) {
    const uint D = C / H, W = D + 1, h = get_group_id(1), l = get_local_id(0), first = get_group_id(0) * R;
    const uint begin = offset[offset_at + get_group_id(2)], n = (uint)offset[offset_at + get_group_id(2) + 1] - begin;
    if (first >= n) return;
    __local float *k = local_memory, *v = k + R * W, *q = v + R * W, *up = q + R * W, *d_k = up + R * W, *d_v = d_k + R * W;
    __local float *p = d_v + R * W, *d_score = p + R * R, *row_lse = d_score + R * R, *row_delta = row_lse + R;
    __global const float *head = qkv + qkv_at + begin * 3 * C + h * D;
    __global const int *spots = spot + spot_at + (window > 0 ? begin : 0);
    load_tile(k, head + C, 3 * C, first, n, R, D, 1.0f);
    load_tile(v, head + 2 * C, 3 * C, first, n, R, D, 1.0f);
    clear_tile(d_k, R, D);
    clear_tile(d_v, R, D);
    for (uint from = first; from < n; from += R) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(q, head, 3 * C, from, n, R, D, scale);
        load_tile(up, d_y + d_y_at + begin * C + h * D, C, from, n, R, D, 1.0f);
        for (uint r = l; r < R; r += GROUP) {
            const uint at = (begin + from + r) * H + h;
            row_lse[r] = from + r < n ? lse[lse_at + at] : 0.0f;
            row_delta[r] = from + r < n ? delta[delta_at + at] : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = l; i < R * R; i += GROUP) {
            const uint r = i / R, j = i % R;
            if (from + r >= n || j >= seen(from + r, first, R)) continue;
            const bool hidden = !sees(spots, from + r, first + j, n, window);
            p[i] = hidden ? 0.0f : exp(dot_rows(q + r * W, k + j * W, D) - row_lse[r]);
            d_score[i] = p[i] * (dot_rows(up + r * W, v + j * W, D) - row_delta[r]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = l; i < R * D; i += GROUP) {
            const uint j = i / D, d = i % D, end = min(R, n - from);
            float k_sum = d_k[j * W + d], v_sum = d_v[j * W + d];
            /* The first row that sees key j: below the diagonal tile all do. */
            for (uint r = from == first ? j : 0; r < end; r++) {
                k_sum += d_score[r * R + j] * q[r * W + d];
                v_sum += p[r * R + j] * up[r * W + d];
            }
            d_k[j * W + d] = k_sum;
            d_v[j * W + d] = v_sum;
        }
    }
    __global float *to = d_qkv + d_qkv_at + begin * 3 * C + h * D;
    store_tile(to + C, 3 * C, first, n, d_k, R, D, 1.0f);
    store_tile(to + 2 * C, 3 * C, first, n, d_v, R, D, 1.0f);
}

/* One new token of each sequence. Groups (H, B). local: 2 (D), (GROUP). A sequence whose cache is full is skipped. */
KERNEL void attention_decode(OUT(y), OUT(k_cache), OUT(v_cache), IN(qkv), INTS(length), __global int *spot_cache,
                             const uint spot_cache_at, INTS(spot), const uint window, const uint T, const uint C, const uint H,
                             const float scale, __local float *local_memory) {
    __local float lane[GROUP];
    const uint D = C / H, h = get_group_id(0), b = get_group_id(1), l = get_local_id(0);
    const uint at = (uint)length[length_at + b];
    if (at >= T) return;
    __local float *q = local_memory, *o = q + D, *p = o + D;
    __global const float *row = qkv + qkv_at + b * 3 * C + h * D;
    __global float *keys = k_cache + k_cache_at + b * T * C + h * D, *values = v_cache + v_cache_at + b * T * C + h * D;
    for (uint d = l; d < D; d += GROUP) {
        q[d] = row[d] * scale;
        o[d] = 0.0f;
        keys[at * C + d] = row[C + d];
        values[at * C + d] = row[2 * C + d];
    }
    __global int *spots = spot_cache + spot_cache_at + (window > 0 ? b * T : 0);
    const int own = window > 0 ? spot[spot_at + b] : 0;
    if (window > 0 && h == 0 && l == 0) spots[at] = own;
    float most = -INFINITY, total = 0;
    for (uint from = 0; from <= at; from += GROUP) {
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        const uint j = from + l, count = min((uint)GROUP, at + 1 - from);
        float score = -INFINITY;
        if (j <= at) {
            score = 0;
            for (uint d = 0; d < D; d++) score += q[d] * keys[j * C + d];
            if (window > 0 && j < at && !spot_sees(own, spots[j], window)) score = HIDDEN;
        }
        const float top = fmax(most, group_max(score, lane)), shrink = exp(most - top);
        p[l] = j <= at ? exp(score - top) : 0.0f;
        total = total * shrink + group_sum(p[l], lane);
        most = top;
        for (uint d = l; d < D; d += GROUP) {
            float sum = o[d] * shrink;
            for (uint i = 0; i < count; i++) sum += p[i] * values[(from + i) * C + d];
            o[d] = sum;
        }
    }
    for (uint d = l; d < D; d += GROUP) y[y_at + b * C + h * D + d] = o[d] / total;
}
