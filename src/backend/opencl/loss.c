/* The loss: computed per token on the device, summed on the host in double, in token order. */
#include "opencl.h"

/* The kernel's result for each token. */
typedef struct {
    float loss, correct; /* correct: -1 if the token is not scored */
} token_result;

static dt_status compute(token_result **result, opencl_backend *ocl, dt_tensor logits,
                         const dt_packed *batch, size_t V, bool want_gradient) {
    const size_t N = batch->tokens;
    dt_tensor scratch;
    DT_TRY(opencl_reserve(&scratch, ocl, 2 * N));
    launch l = launch_begin(&ocl->base, KERNEL_LOSS);
    launch_tensor(&l, scratch);
    launch_tensor(&l, logits);
    launch_ids(&l, batch->target);
    launch_uint(&l, N);
    launch_uint(&l, V);
    launch_uint(&l, want_gradient);
    DT_TRY(launch_run(&l, N, 1, 1));
    DT_TRY(dt_memory_grow(&ocl->host, &ocl->host_count, 2 * N, sizeof *ocl->host, "losses"));
    DT_TRY(opencl_download(&ocl->base, ocl->host, scratch, 2 * N));
    *result = (token_result *)(void *)ocl->host;
    return DT_OK;
}

/* Adds one problem's tokens to the score. Returns whether every scored token was right. */
static bool add_problem(dt_score *score, const token_result *result, size_t count) {
    bool exact = true;
    for (size_t i = 0; i < count; i++) {
        if (result[i].correct < 0) continue;
        score->loss += (double)result[i].loss;
        score->scored += 1;
        score->correct += (double)result[i].correct;
        exact = exact && result[i].correct > 0;
    }
    score->problems += 1;
    score->exact += exact;
    return exact;
}

dt_status opencl_loss(dt_backend *backend, dt_score *score, dt_tensor matched, dt_tensor logits,
                      const dt_packed *batch, size_t V, bool want_gradient) {
    token_result *result;
    int32_t *match = NULL;
    dt_status status = DT_OK;
    DT_TRY(compute(&result, (opencl_backend *)backend, logits, batch, V, want_gradient));
    DT_TRY(dt_memory_alloc(&match, batch->problems, sizeof *match, "verdicts"));
    for (size_t b = 0; b < batch->problems; b++) {
        const size_t first = (size_t)batch->host_offset[b];
        match[b] = add_problem(score, result + first, (size_t)batch->host_offset[b + 1] - first);
    }
    if (matched.buffer) status = opencl_upload(backend, matched, match, batch->problems);
    dt_memory_free(&match);
    return status;
}
