/* A small model with large random weights and a batch of real problems, on a backend and in double
 * precision. */
#ifndef DTRAIN_TESTS_RIG_H
#define DTRAIN_TESTS_RIG_H

#include "device.h"

/* The choices of a test. */
typedef struct {
    dt_format format;
    int64_t layers, width, heads;
    double dropout;
    size_t problems;
    dt_positions positions;
    dt_place_embedding place_embedding;
    int64_t place_window;
} rig_choice;

typedef struct {
    dt_backend *backend;
    dt_config config;
    dt_tokenizer *tokenizer;
    dt_model_shape shape;
    dt_model *model;
    const dt_layout *layout; /* the model's */
    float *weights;          /* memory of the buffer */
    dt_buffer *weight_buffer;
    double *exact; /* the same weights for the reference */
    dt_batch batch;
} rig;

/* Weights much larger than initial ones, norms and biases away from 1 and 0, so that every term
 * counts. */
void rig_create(rig *r, dt_backend *backend, const rig_choice *choice);
void rig_destroy(rig *r);

/* Problems first … first + count of the training stream. */
void rig_batch_create(dt_batch *batch, const rig *r, size_t first, size_t count);

/* Runs dt_model_backward on a zeroed gradient and returns it as doubles, with the gaps: free(). */
double *rig_gradient(const rig *r, dt_score *score, const dt_batch *batch, const dt_step_key *key);

/* Each parameter tensor agrees to `tolerance` of its largest element; the gaps are zero. */
void rig_expect_gradient(const rig *r, const double *actual, const double *expected,
                         double tolerance);

#endif
