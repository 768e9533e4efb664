/* Layer norm. Source: Ba et al. 2016, arXiv:1607.06450. */

#define VARIANCE_FLOOR 1e-5f /* as in GPT-2 */

/* A work-group per row; the variance uses differences from the mean, to avoid cancellation. */
KERNEL void norm_forward(OUT(y), OUT(mean), OUT(rstd), IN(x), IN(scale), IN(bias), const uint C) {
    __local float lane[GROUP];
    const uint n = get_group_id(0), l = get_local_id(0);
    __global const float *row = x + x_at + n * C;
    float part = 0;
    for (uint c = l; c < C; c += GROUP) part += row[c];
    const float mu = group_sum(part, lane) / (float)C;
    part = 0;
    for (uint c = l; c < C; c += GROUP) part += (row[c] - mu) * (row[c] - mu);
    const float r = 1.0f / sqrt(group_sum(part, lane) / (float)C + VARIANCE_FLOOR);
    for (uint c = l; c < C; c += GROUP) {
        y[y_at + n * C + c] = (row[c] - mu) * r * scale[scale_at + c] + bias[bias_at + c];
    }
    if (l == 0) {
        mean[mean_at + n] = mu;
        rstd[rstd_at + n] = r;
    }
}

/* With xhat = (x - mean) rstd and g = d_y scale: d_x += rstd (g - mean(g) - xhat mean(g xhat)). A work-group per row. */
KERNEL void norm_backward(OUT(d_x), IN(d_y), IN(x), IN(mean), IN(rstd), IN(scale), const uint C) {
    __local float lane[GROUP];
    const uint n = get_group_id(0), l = get_local_id(0);
    __global const float *row = x + x_at + n * C, *up = d_y + d_y_at + n * C;
    const float mu = mean[mean_at + n], r = rstd[rstd_at + n];
    float g_part = 0, gx_part = 0;
    for (uint c = l; c < C; c += GROUP) {
        const float g = up[c] * scale[scale_at + c];
        g_part += g;
        gx_part += g * (row[c] - mu) * r;
    }
    const float mean_g = group_sum(g_part, lane) / (float)C, mean_gx = group_sum(gx_part, lane) / (float)C;
    for (uint c = l; c < C; c += GROUP) {
        const float xhat = (row[c] - mu) * r;
        d_x[d_x_at + n * C + c] += r * (up[c] * scale[scale_at + c] - mean_g - xhat * mean_gx);
    }
}

/* Column sums of d_y xhat and of d_y over chunks of `rows` rows: partial (chunks,2,C). */
KERNEL void norm_columns(OUT(partial), IN(d_y), IN(x), IN(mean), IN(rstd), const uint N, const uint C, const uint rows) {
    const uint c = get_global_id(0), chunk = get_global_id(1);
    if (c >= C) return;
    const uint end = min(N, (chunk + 1) * rows);
    float scale_sum = 0, bias_sum = 0;
    for (uint n = chunk * rows; n < end; n++) {
        const float up = d_y[d_y_at + n * C + c];
        scale_sum += up * (x[x_at + n * C + c] - mean[mean_at + n]) * rstd[rstd_at + n];
        bias_sum += up;
    }
    partial[partial_at + chunk * 2 * C + c] = scale_sum;
    partial[partial_at + (chunk * 2 + 1) * C + c] = bias_sum;
}
