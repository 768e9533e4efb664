/* Compares the gradient of each parameter with a finite difference of the loss along it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"
#include "dtrain/train/evaluate.h"
#include "dtrain/train/gradcheck.h"
#include "dtrain/train/trainer.h"

/* A model, its weights on the device, and their copy in host memory, where they can be changed. */
typedef struct {
    dt_session *s;
    dt_model *model;
    dt_buffer *device_weights;
    float *weights;
    const dt_batch *batch;
} subject;

/* The loss when the weights of one parameter are changed by factor * direction. */
static dt_status loss_beside(double *loss, const subject *on, const dt_parameter *p,
                             const float *kept, const float *direction, double factor) {
    dt_score score = {0};
    dt_backend *device = on->s->device;
    for (size_t i = 0; i < p->count; i++) {
        on->weights[p->offset + i] =
            (float)((double)kept[i] + factor * (double)direction[p->offset + i]);
    }
    DT_TRY(device->op->push(device, dt_floats(on->device_weights, p->offset), p->count));
    DT_TRY(dt_model_evaluate(on->model, &score, NULL, on->batch));
    *loss = score.loss;
    return DT_OK;
}

/* Compares slopes along the gradient's own direction in one tensor, where the slope is the
 * gradient's norm. */
static dt_status check_one(double *analytic, double *numeric, const subject *on,
                           const float *gradient, const dt_parameter *p) {
    double square = 0;
    for (size_t i = 0; i < p->count; i++)
        square += (double)gradient[p->offset + i] * (double)gradient[p->offset + i];
    *analytic = sqrt(square);
    *numeric = 0;
    if (*analytic == 0) return DT_OK;
    float *kept = NULL;
    dt_status status;
    double before = 0, after = 0;
    /* Changes the loss by about one nat in some thousands: far above the rounding of float32, and
     * still close to linear. */
    const double reach = fmin(1.0 / *analytic, 0.05), factor = reach / *analytic;
    DT_TRY_DONE(dt_memory_alloc(&kept, p->count, sizeof *kept, "a copy of a parameter"));
    memcpy(kept, on->weights + p->offset, p->count * sizeof *kept);
    DT_TRY_DONE(loss_beside(&before, on, p, kept, gradient, -factor));
    DT_TRY_DONE(loss_beside(&after, on, p, kept, gradient, factor));
    *numeric = (after - before) / (2 * reach);
    DT_TRY_DONE(loss_beside(&before, on, p, kept, gradient, 0));
done:
    dt_memory_free(&kept);
    return status;
}

/* Adapters begin with b = 0, which hides the gradient of a. */
static dt_status fill_zeros(dt_session *s, const dt_layout *layout, dt_buffer *device_weights,
                            float *weights) {
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        if (p->role != DT_ROLE_ADAPTER || p->bound > 0) continue;
        dt_random_normal(weights + p->offset, p->count, 0.02, 1, DT_RANDOM_TEST, (uint32_t)i);
    }
    return s->device->op->push(s->device, dt_floats(device_weights, 0), layout->count);
}

static dt_status check_all(const subject *on, const float *gradient) {
    const dt_layout *layout = dt_model_layout(on->model);
    const double tolerance = 0.02;
    double worst = 0;
    const char *worst_name = "none";
    printf("%-32s %14s %14s %10s\n", "parameter", "gradient", "difference", "error");
    for (size_t i = 0; i < layout->parameters; i++) {
        const dt_parameter *p = &layout->parameter[i];
        if (p->frozen || p->constant) continue;
        double analytic, numeric;
        DT_TRY(check_one(&analytic, &numeric, on, gradient, p));
        const double error = analytic > 0 ? fabs(numeric - analytic) / analytic : 0;
        printf("%-32s %14.6g %14.6g %10.1e\n", p->name, analytic, numeric, error);
        if (!(error <= worst)) {
            worst = error;
            worst_name = p->name;
        }
    }
    DT_REQUIRE(worst <= tolerance, DT_ERR_INTERNAL,
               "the gradient of %s is off by %.1f %% from a finite difference", worst_name,
               100 * worst);
    printf("gradients agree with finite differences: largest error %.1e (%s)\n", worst, worst_name);
    return DT_OK;
}

dt_status dt_gradients_check(dt_session *s, dt_model *model, dt_buffer *device_weights,
                             float *weights, const dt_source *source) {
    enum { PROBLEMS = 16 };
    const dt_layout *layout = dt_model_layout(model);
    dt_backend *device = s->device;
    dt_buffer *gradient = NULL;
    float *host = NULL;
    dt_batch batch = {0};
    dt_score score = {0};
    dt_status status;
    DT_TRY_DONE(
        dt_batch_create(&batch, PROBLEMS, PROBLEMS * source->kind->size(&source->config).longest));
    /* At most the tokens that every trainer's model has room for. */
    size_t problems = 0;
    do {
        DT_TRY_DONE(dt_trainer_fill_batch(&batch, source, 0, ++problems));
    } while (problems < PROBLEMS && batch.tokens < DT_EVAL_TOKENS);
    DT_TRY_DONE(
        device->op->buffer_create(&gradient, device, layout->count * sizeof(float), "gradients"));
    DT_TRY_DONE(dt_memory_alloc(&host, layout->count, sizeof *host, "gradients"));
    DT_TRY_DONE(fill_zeros(s, layout, device_weights, weights));
    DT_TRY_DONE(dt_model_backward(model, &score, gradient, &batch, NULL));
    DT_TRY_DONE(device->op->download(device, host, dt_floats(gradient, 0), layout->count));
    const subject on = {s, model, device_weights, weights, &batch};
    DT_TRY_DONE(check_all(&on, host));
done:
    if (gradient) device->op->buffer_destroy(&gradient, device);
    dt_memory_free(&host);
    dt_batch_destroy(&batch);
    return status;
}
