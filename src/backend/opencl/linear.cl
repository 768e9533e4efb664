/* The passes after a matrix product: bias, residual and activation. */

/* 2 (sqrt(2/pi)) (x + 0.044715 x^3): GELU is x / (1 + exp(-this)). Source: Hendrycks and Gimpel, arXiv:1606.08415. */
#define GELU_LINEAR 1.5957691216f
#define GELU_CUBIC 0.0713548163f

/* The value and the slope. */
float gelu(float *slope, const float x) {
    const float s = 1.0f / (1.0f + exp(-x * (GELU_LINEAR + GELU_CUBIC * x * x)));
    *slope = s + x * s * (1.0f - s) * (GELU_LINEAR + 3.0f * GELU_CUBIC * x * x);
    return x * s;
}

/* y += bias + residual; either may be missing. */
KERNEL void linear_add(OUT(y), IN(bias), IN(residual), const uint columns) {
    const uint c = get_global_id(0), n = get_global_id(1);
    if (c >= columns) return;
    const uint i = n * columns + c;
    float sum = y[y_at + i];
    if (bias) sum += bias[bias_at + c];
    if (residual) sum += residual[residual_at + i];
    y[y_at + i] = sum;
}

/* On entry `slope` (or y if slope is NULL) holds the activation's input without bias and residual. On exit y = gelu, and slope is the
 * derivative. */
KERNEL void linear_gelu(OUT(y), OUT(slope), IN(bias), IN(residual), const uint columns) {
    const uint c = get_global_id(0), n = get_global_id(1);
    if (c >= columns) return;
    const uint i = n * columns + c;
    float sum = slope ? slope[slope_at + i] : y[y_at + i], derivative;
    if (bias) sum += bias[bias_at + c];
    if (residual) sum += residual[residual_at + i];
    y[y_at + i] = gelu(&derivative, sum);
    if (slope) slope[slope_at + i] = derivative;
}

/* y = factor * x + residual, which may be missing. */
KERNEL void add(OUT(y), IN(x), IN(residual), const uint count, const float factor) {
    const uint i = get_global_id(0);
    if (i >= count) return;
    const float scaled = factor * x[x_at + i];
    y[y_at + i] = residual ? residual[residual_at + i] + scaled : scaled;
}

/* Column sums of d_y over chunks of `rows` rows: partial (chunks,columns). With `slope`, d_y is multiplied by it first. */
KERNEL void linear_columns(OUT(partial), OUT(d_y), IN(slope), const uint N, const uint columns, const uint rows) {
    const uint c = get_global_id(0), chunk = get_global_id(1);
    if (c >= columns) return;
    const uint end = min(N, (chunk + 1) * rows);
    float sum = 0;
    for (uint n = chunk * rows; n < end; n++) {
        const uint i = n * columns + c;
        float up = d_y[d_y_at + i];
        if (slope) {
            up *= slope[slope_at + i];
            d_y[d_y_at + i] = up;
        }
        sum += up;
    }
    partial[partial_at + chunk * columns + c] = sum;
}
