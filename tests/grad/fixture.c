/* Random tensors, batches of given lengths, and comparisons that the gradient tests share. */
#include "fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

double fixture_uniform(fixture_random *random) {
    /* Knuth's 64-bit constants; the high bits are the most random. */
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random->state >> 32) / 2147483648.0 - 1;
}

size_t fixture_below(fixture_random *random, size_t n) {
    return (size_t)((fixture_uniform(random) + 1) / 2 * (double)n);
}

void fixture_fill(double *x, size_t count, double centre, double scale, fixture_random *random) {
    for (size_t i = 0; i < count; i++) {
        x[i] = (double)(float)(centre + scale * fixture_uniform(random));
    }
}

double *fixture_values(size_t count, double centre, double scale, fixture_random *random) {
    double *x = reference_doubles(count);
    fixture_fill(x, count, centre, scale, random);
    return x;
}

double *fixture_copy(const double *x, size_t count) {
    double *copy = reference_doubles(count);
    memcpy(copy, x, count * sizeof *x);
    return copy;
}

void fixture_batch_create(dt_batch *batch, const fixture_lengths *lengths, size_t V, size_t P,
                          fixture_random *random) {
    *batch = (dt_batch){0};
    while (lengths->length[batch->problems]) batch->tokens += lengths->length[batch->problems++];
    batch->offset = reference_alloc(batch->problems + 1, sizeof(int32_t));
    batch->document = reference_alloc(batch->problems + 1, sizeof(int32_t));
    batch->token = reference_alloc(batch->tokens, sizeof(int32_t));
    batch->position = reference_alloc(batch->tokens, sizeof(int32_t));
    batch->place = reference_alloc(batch->tokens, sizeof(int32_t));
    batch->spot = reference_alloc(batch->tokens, sizeof(int32_t));
    batch->target = reference_alloc(batch->tokens, sizeof(int32_t));
    size_t n = 0;
    for (size_t b = 0; b < batch->problems; b++) {
        for (size_t t = 0; t < lengths->length[b]; t++, n++) {
            const bool scored = t + 1 == lengths->length[b] || fixture_uniform(random) > 0;
            batch->token[n] = (int32_t)fixture_below(random, V);
            batch->position[n] = (int32_t)t;
            batch->place[n] = (int32_t)fixture_below(random, P);
            batch->spot[n] = batch->place[n] ? batch->place[n] + (int32_t)(n / 2 % 3 << 16) : 0;
            if (n % 3 == 2) batch->spot[n] = -batch->spot[n];
            batch->target[n] = scored ? (int32_t)fixture_below(random, V) : -1;
            batch->scored += scored;
        }
        batch->offset[b + 1] = (int32_t)n;
    }
    batch->documents = batch->problems;
    memcpy(batch->document, batch->offset, (batch->problems + 1) * sizeof *batch->document);
}

void fixture_batch_destroy(dt_batch *batch) {
    free(batch->offset);
    free(batch->document);
    free(batch->token);
    free(batch->position);
    free(batch->place);
    free(batch->spot);
    free(batch->target);
    *batch = (dt_batch){0};
}

void fixture_expect_close(const char *what, const double *actual, const double *expected,
                          size_t count, double tolerance, const char *file, int line) {
    double largest = 0, worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(expected[i]));
        /* A NaN counts as the worst. */
        const double difference = fabs(actual[i] - expected[i]);
        if (!(difference <= worst) && !isnan(worst)) {
            worst = difference;
            at = i;
        }
    }
    if (worst <= tolerance * largest) return;
    print_error("%s: element %zu of %zu is %.9g, should be %.9g; off by %.2g of the largest, %.2g "
                "allowed\n",
                what, at, count, actual[at], expected[at], worst / largest, tolerance);
    _fail(file, line);
}

double fixture_slope(double *x, fixture_function f, void *context) {
    const double middle = *x, step = 1e-3;
    double value[5];
    for (int i = 0; i < 5; i++) {
        *x = middle + (i - 2) * step;
        value[i] = f(context);
    }
    *x = middle;
    return (value[0] - 8 * value[1] + 8 * value[3] - value[4]) / (12 * step);
}

void fixture_expect_gradient(const char *what, double *x, const double *d_x, size_t count,
                             fixture_function f, void *context, const char *file, int line) {
    double *slope = reference_doubles(count);
    for (size_t i = 0; i < count; i++) slope[i] = fixture_slope(&x[i], f, context);
    fixture_expect_close(what, d_x, slope, count, 1e-6, file, line);
    free(slope);
}
