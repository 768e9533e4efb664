/* Each operation of the model in double precision, one loop per formula. */
#include "reference.h"

#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double EPSILON = 1e-5; /* of the layer norm */

void *reference_alloc(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) {
        fprintf(stderr, "out of memory: %zu elements of %zu bytes\n", count, size);
        abort();
    }
    return memory;
}

void reference_embed_forward(double *x, const dt_batch *batch, const double *tok_embed,
                             const double *pos_embed, const double *place_embed, size_t C) {
    for (size_t n = 0; n < batch->tokens; n++) {
        const size_t token = (size_t)batch->token[n];
        const size_t position = (size_t)batch->position[n];
        const size_t place = (size_t)batch->place[n];
        for (size_t c = 0; c < C; c++) {
            x[n * C + c] =
                tok_embed[token * C + c] + pos_embed[position * C + c] + place_embed[place * C + c];
        }
    }
}

void reference_embed_backward(double *d_tok_embed, double *d_pos_embed, double *d_place_embed,
                              const dt_batch *batch, const double *d_x, size_t C) {
    for (size_t n = 0; n < batch->tokens; n++) {
        for (size_t c = 0; c < C; c++) {
            d_tok_embed[(size_t)batch->token[n] * C + c] += d_x[n * C + c];
            d_pos_embed[(size_t)batch->position[n] * C + c] += d_x[n * C + c];
            d_place_embed[(size_t)batch->place[n] * C + c] += d_x[n * C + c];
        }
    }
}

void reference_turn(double *qkv, const dt_batch *batch, const double *turns, size_t C, bool back) {
    for (size_t n = 0; n < batch->tokens; n++) {
        for (size_t i = 0; i + 1 < 2 * C; i += 2) {
            const double *pair = turns + (size_t)batch->place[n] * C + i % C;
            double *re = qkv + n * 3 * C + i, *im = re + 1;
            const double complex turn = pair[0] + I * pair[1],
                                 turned = (*re + I * *im) * (back ? conj(turn) : turn);
            *re = creal(turned);
            *im = cimag(turned);
        }
    }
}

/* Mean and 1/standard deviation of one row. */
static void row_moments(double *mean, double *rstd, const double *x, size_t C) {
    double sum = 0, squares = 0;
    for (size_t c = 0; c < C; c++) sum += x[c];
    *mean = sum / (double)C;
    for (size_t c = 0; c < C; c++) squares += (x[c] - *mean) * (x[c] - *mean);
    *rstd = 1 / sqrt(squares / (double)C + EPSILON);
}

void reference_norm_forward(double *y, double *mean, double *rstd, const double *x,
                            const double *scale, const double *bias, size_t N, size_t C) {
    for (size_t n = 0; n < N; n++) {
        double m, r;
        row_moments(&m, &r, x + n * C, C);
        for (size_t c = 0; c < C; c++) y[n * C + c] = (x[n * C + c] - m) * r * scale[c] + bias[c];
        if (mean) mean[n] = m;
        if (rstd) rstd[n] = r;
    }
}

void reference_norm_backward(double *d_x, double *d_scale, double *d_bias, const double *d_y,
                             const double *x, const double *scale, size_t N, size_t C) {
    for (size_t n = 0; n < N; n++) {
        double mean, rstd;
        row_moments(&mean, &rstd, x + n * C, C);
        /* With u = (x - mean) rstd and g = d_y scale: d_x = rstd (g - mean(g) - u mean(g u)). */
        double mean_g = 0, mean_gu = 0;
        for (size_t c = 0; c < C; c++) {
            const double u = (x[n * C + c] - mean) * rstd;
            const double g = d_y[n * C + c] * scale[c];
            mean_g += g / (double)C;
            mean_gu += g * u / (double)C;
            d_scale[c] += d_y[n * C + c] * u;
            d_bias[c] += d_y[n * C + c];
        }
        for (size_t c = 0; c < C; c++) {
            const double u = (x[n * C + c] - mean) * rstd;
            d_x[n * C + c] += rstd * (d_y[n * C + c] * scale[c] - mean_g - u * mean_gu);
        }
    }
}

double reference_gelu(double z) {
    return 0.5 * z * (1 + tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
}

double reference_gelu_derivative(double z) {
    const double t = tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z));
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * z * z);
}

void reference_linear_forward(double *y, double *z, const double *x, const double *weight,
                              const double *bias, size_t N, size_t in, size_t out,
                              dt_activation activation) {
    for (size_t n = 0; n < N; n++) {
        for (size_t o = 0; o < out; o++) {
            double sum = bias ? bias[o] : 0;
            for (size_t i = 0; i < in; i++) sum += x[n * in + i] * weight[o * in + i];
            if (z) z[n * out + o] = sum;
            y[n * out + o] = activation == DT_GELU ? reference_gelu(sum) : sum;
        }
    }
}

void reference_linear_backward(double *d_x, double *d_weight, double *d_bias, double *d_z,
                               const double *d_y, const double *z, const double *x,
                               const double *weight, size_t N, size_t in, size_t out,
                               dt_activation activation) {
    for (size_t i = 0; i < N * out; i++) {
        d_z[i] = activation == DT_GELU ? d_y[i] * reference_gelu_derivative(z[i]) : d_y[i];
    }
    for (size_t n = 0; n < N; n++) {
        for (size_t o = 0; o < out; o++) {
            if (d_bias) d_bias[o] += d_z[n * out + o];
            for (size_t i = 0; i < in; i++)
                d_weight[o * in + i] += d_z[n * out + o] * x[n * in + i];
        }
    }
    if (!d_x) return;
    for (size_t n = 0; n < N; n++) {
        for (size_t i = 0; i < in; i++) {
            double sum = 0;
            for (size_t o = 0; o < out; o++) sum += d_z[n * out + o] * weight[o * in + i];
            d_x[n * in + i] = sum;
        }
    }
}

/* Start of the rows of q, k and v for token n in one head. */
typedef struct {
    const double *q, *k, *v;
} head_row;

static head_row head_at(const double *qkv, size_t n, size_t h, size_t C, size_t D) {
    const double *row = qkv + n * 3 * C + h * D;
    return (head_row){row, row + C, row + 2 * C};
}

bool reference_sees(const dt_batch *batch, size_t t, size_t s, int32_t window) {
    if (window == 0) return true;
    const int32_t from = batch->spot[t], to = batch->spot[s];
    const div_t query = div(abs(from), 1 << 16), key = div(abs(to), 1 << 16);
    const bool strangers = query.quot > 0 && key.quot > 0 && query.quot != key.quot;
    const bool both = from != 0 && to != 0;
    if (both && !strangers && abs(query.rem - key.rem) <= window) return true;
    return from > 0 ? to == 0 : to <= 0;
}

/* The attention of token t to each token s in first … t in one head: share[s - first]. Returns
 * log(sum(exp(score))). */
static double attention_shares(double *share, const double *qkv, const dt_batch *batch,
                               size_t first, size_t t, size_t h, size_t C, size_t D,
                               int32_t window) {
    double highest = -INFINITY, sum = 0;
    for (size_t s = first; s <= t; s++) {
        double score = 0;
        for (size_t d = 0; d < D; d++)
            score += head_at(qkv, t, h, C, D).q[d] * head_at(qkv, s, h, C, D).k[d];
        const bool sees = reference_sees(batch, t, s, window);
        share[s - first] = sees ? score / sqrt((double)D) : -INFINITY;
        highest = fmax(highest, share[s - first]);
    }
    for (size_t s = first; s <= t; s++) sum += exp(share[s - first] - highest);
    const double lse = highest + log(sum);
    for (size_t s = first; s <= t; s++) share[s - first] = exp(share[s - first] - lse);
    return lse;
}

void reference_attention_forward(double *y, double *lse, const double *qkv, const dt_batch *batch,
                                 size_t C, size_t H, int32_t window) {
    const size_t D = C / H;
    double *share = reference_doubles(batch->tokens);
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->offset[b], end = (size_t)batch->offset[b + 1];
        for (size_t t = first; t < end; t++) {
            for (size_t h = 0; h < H; h++) {
                const double total = attention_shares(share, qkv, batch, first, t, h, C, D, window);
                if (lse) lse[t * H + h] = total;
                for (size_t d = 0; d < D; d++) {
                    double sum = 0;
                    for (size_t s = first; s <= t; s++)
                        sum += share[s - first] * head_at(qkv, s, h, C, D).v[d];
                    y[t * C + h * D + d] = sum;
                }
            }
        }
    }
    free(share);
}

/* Adds the contribution of one token's output in one head to the gradients of q, k and v. */
static void attention_token_backward(double *d_qkv, double *share, const double *d_y,
                                     const double *qkv, const dt_batch *batch, size_t first,
                                     size_t t, size_t h, size_t C, size_t D, int32_t window) {
    const double *d_out = d_y + t * C + h * D;
    double mean = 0; /* of d_share, weighted by share: the softmax subtracts it */
    attention_shares(share, qkv, batch, first, t, h, C, D, window);
    for (size_t s = first; s <= t; s++) {
        for (size_t d = 0; d < D; d++)
            mean += share[s - first] * d_out[d] * head_at(qkv, s, h, C, D).v[d];
    }
    for (size_t s = first; s <= t; s++) {
        double d_share = 0;
        for (size_t d = 0; d < D; d++) d_share += d_out[d] * head_at(qkv, s, h, C, D).v[d];
        const double d_score = share[s - first] * (d_share - mean) / sqrt((double)D);
        for (size_t d = 0; d < D; d++) {
            const size_t channel = h * D + d;
            d_qkv[t * 3 * C + channel] += d_score * head_at(qkv, s, h, C, D).k[d];
            d_qkv[s * 3 * C + C + channel] += d_score * head_at(qkv, t, h, C, D).q[d];
            d_qkv[s * 3 * C + 2 * C + channel] += share[s - first] * d_out[d];
        }
    }
}

void reference_attention_backward(double *d_qkv, const double *d_y, const double *qkv,
                                  const dt_batch *batch, size_t C, size_t H, int32_t window) {
    double *share = reference_doubles(batch->tokens);
    for (size_t i = 0; i < batch->tokens * 3 * C; i++) d_qkv[i] = 0;
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->offset[b], end = (size_t)batch->offset[b + 1];
        for (size_t t = first; t < end; t++) {
            for (size_t h = 0; h < H; h++) {
                attention_token_backward(d_qkv, share, d_y, qkv, batch, first, t, h, C, C / H,
                                         window);
            }
        }
    }
    free(share);
}

/* Loss of one token in nats; whether its target has the highest logit; the gradient if d_row is not
 * NULL. */
static double token_loss(bool *correct, double *d_row, const double *row, size_t target, size_t V) {
    const double wanted = row[target];
    double highest = -INFINITY, sum = 0;
    for (size_t v = 0; v < V; v++) highest = fmax(highest, row[v]);
    for (size_t v = 0; v < V; v++) sum += exp(row[v] - highest);
    const double lse = highest + log(sum);
    *correct = wanted == highest;
    for (size_t v = 0; d_row && v < V; v++) d_row[v] = exp(row[v] - lse) - (v == target ? 1 : 0);
    return lse - wanted;
}

void reference_loss(dt_score *score, int32_t *matched, double *d_logits, const double *logits,
                    const dt_batch *batch, size_t V) {
    for (size_t b = 0; b < batch->problems; b++) {
        bool exact = true;
        for (size_t n = (size_t)batch->offset[b]; n < (size_t)batch->offset[b + 1]; n++) {
            double *d_row = d_logits ? d_logits + n * V : NULL;
            if (batch->target[n] < 0) {
                for (size_t v = 0; d_row && v < V; v++) d_row[v] = 0;
                continue;
            }
            bool correct;
            score->loss += token_loss(&correct, d_row, logits + n * V, (size_t)batch->target[n], V);
            score->scored += 1;
            score->correct += correct ? 1 : 0;
            exact = exact && correct;
        }
        score->problems += 1;
        score->exact += exact ? 1 : 0;
        if (matched) matched[b] = exact;
    }
}

void reference_adamw(double *weight, double *m, double *v, const double *gradient, size_t count,
                     const dt_adamw *constants) {
    const double lr = (double)constants->lr, beta1 = (double)constants->beta1,
                 beta2 = (double)constants->beta2;
    for (size_t i = 0; i < count; i++) {
        const double g = gradient[i] * (double)constants->gradient_scale;
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        const double m_hat = m[i] * (double)constants->correction1,
                     v_hat = v[i] * (double)constants->correction2;
        weight[i] = weight[i] * (1 - lr * (double)constants->decay) -
                    lr * m_hat / (sqrt(v_hat) + (double)constants->epsilon);
    }
}
