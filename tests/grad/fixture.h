/* Random tensors, batches of given lengths, and comparisons that the gradient tests share. */
#ifndef DTRAIN_TESTS_FIXTURE_H
#define DTRAIN_TESTS_FIXTURE_H

#include "reference.h"

/* ---- random numbers: an independent generator, so that it cannot hide a defect of dtrain's ----
 */

typedef struct {
    uint64_t state;
} fixture_random;

/* Uniform in [-1, 1). */
double fixture_uniform(fixture_random *random);
size_t fixture_below(fixture_random *random, size_t n);
/* centre + scale * uniform, rounded to float, so that float and double code start from the same
 * values. */
void fixture_fill(double *x, size_t count, double centre, double scale, fixture_random *random);
/* The same, allocated: free(). */
double *fixture_values(size_t count, double centre, double scale, fixture_random *random);
double *fixture_copy(const double *x, size_t count);

/* ---- batches ---- */

enum { FIXTURE_PROBLEMS = 8 };

/* The lengths of a batch's problems: a list that ends with 0. */
typedef struct {
    size_t length[FIXTURE_PROBLEMS + 1];
} fixture_lengths;

/* A batch of random tokens; about half of the targets count, each problem's last one among them. */
void fixture_batch_create(dt_batch *batch, const fixture_lengths *lengths, size_t V, size_t P,
                          fixture_random *random);
void fixture_batch_destroy(dt_batch *batch);

/* ---- comparisons: a cmocka failure that names the tensor, the index and both values ---- */

/* max|actual - expected| <= tolerance * max|expected|. */
#define expect_close(what, actual, expected, count, tolerance)                                     \
    fixture_expect_close((what), (actual), (expected), (count), (tolerance), __FILE__, __LINE__)
void fixture_expect_close(const char *what, const double *actual, const double *expected,
                          size_t count, double tolerance, const char *file, int line);

typedef double (*fixture_function)(void *context);

/* df/dx by five points: its error falls with the fourth power of the step, and stays below 1e-9 of
 * f here. */
double fixture_slope(double *x, fixture_function f, void *context);

/* d_x is the gradient of f with respect to x, to 1e-6 of its largest element. */
#define expect_gradient(what, x, d_x, count, f, context)                                           \
    fixture_expect_gradient((what), (x), (d_x), (count), (f), (context), __FILE__, __LINE__)
void fixture_expect_gradient(const char *what, double *x, const double *d_x, size_t count,
                             fixture_function f, void *context, const char *file, int line);

#endif
