/* Runs every kernel of the OpenCL backend once, on sizes small enough for a simulator, which looks
 * for races and invalid accesses; this test looks for wrong results. Plain loops replace CLBlast,
 * whose kernels are not ours. */
#include "attention.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <clblast_c.h>
#include <cmocka.h>

/* A buffer's content on the host: free(). */
static float *read_all(cl_command_queue queue, cl_mem buffer, size_t *bytes) {
    assert_int_equal(clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof *bytes, bytes, NULL),
                     CL_SUCCESS);
    float *words = reference_alloc(*bytes / sizeof *words, sizeof *words);
    assert_int_equal(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, *bytes, words, 0, NULL, NULL),
                     CL_SUCCESS);
    return words;
}

/* Replaces CLBlast's function. */
CLBlastStatusCode CLBlastSgemm(const CLBlastLayout layout, const CLBlastTranspose a_transpose,
                               const CLBlastTranspose b_transpose, const size_t m, const size_t n,
                               const size_t k, const float alpha, const cl_mem a_buffer,
                               const size_t a_offset, const size_t a_ld, const cl_mem b_buffer,
                               const size_t b_offset, const size_t b_ld, const float beta,
                               cl_mem c_buffer, const size_t c_offset, const size_t c_ld,
                               cl_command_queue *queue, cl_event *event) {
    size_t bytes;
    float *a = read_all(*queue, a_buffer, &bytes), *b = read_all(*queue, b_buffer, &bytes);
    float *c = read_all(*queue, c_buffer, &bytes);
    assert_true(layout == CLBlastLayoutRowMajor && alpha == 1 && !event);
    const bool ta = a_transpose == CLBlastTransposeYes, tb = b_transpose == CLBlastTransposeYes;
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t l = 0; l < k; l++) {
                sum += (double)a[a_offset + (ta ? l * a_ld + i : i * a_ld + l)] *
                       (double)b[b_offset + (tb ? j * b_ld + l : l * b_ld + j)];
            }
            float *to = &c[c_offset + i * c_ld + j];
            *to = (float)sum + (beta == 0 ? 0 : beta * *to);
        }
    }
    assert_int_equal(clEnqueueWriteBuffer(*queue, c_buffer, CL_TRUE, 0, bytes, c, 0, NULL, NULL),
                     CL_SUCCESS);
    free(a);
    free(b);
    free(c);
    return CLBlastSuccess;
}

CLBlastStatusCode CLBlastClearCache(void) { return CLBlastSuccess; }

static void backward_and_dropout(void **state) {
    rig r;
    rig_create(&r, *state,
               &(rig_choice){.format = DT_FORMAT_PLAIN,
                             .layers = 1,
                             .width = 10,
                             .heads = 2,
                             .dropout = 0.25,
                             .problems = 3});
    print_message("on %s\n", r.backend->op->description);
    dt_score score = {0}, expected_score = {0};
    double *expected = reference_doubles(r.layout->count);
    double *gradient = rig_gradient(&r, &score, &r.batch, NULL);
    reference_model_run(&expected_score, NULL, expected, r.exact, r.layout, &r.shape, &r.batch,
                        NULL);
    rig_expect_gradient(&r, gradient, expected, 1e-4);
    expect_close("loss", &score.loss, &expected_score.loss, 1, 1e-5);
    free(gradient);
    free(expected);
    const dt_step_key key = {.seed = 3, .step = 1, .first_problem = 5};
    free(rig_gradient(&r, &score, &r.batch, &key));
    rig_destroy(&r);
}

/* Longer than a tile and than a work-group. */
static void longer_attention(void **state) {
    attention_check(*state, &(fixture_lengths){{19, 1, 35}}, 6, 2, 1, 0);
    attention_check(*state, &(fixture_lengths){{19, 1, 35}}, 6, 2, 1, 2);
}

static void generation(void **state) {
    enum { PROMPTS = 2 };
    rig r;
    rig_create(&r, *state,
               &(rig_choice){.format = DT_FORMAT_PLAIN,
                             .layers = 1,
                             .width = 6,
                             .heads = 3,
                             .problems = PROMPTS,
                             .place_window = 1});
    dt_generator *generator = NULL;
    dt_text produced[PROMPTS] = {0};
    const char *const prompt[PROMPTS] = {"12+3=", "7*8="};
    expect_ok(dt_generator_create(&generator, r.model, PROMPTS));
    expect_ok(dt_generator_run(generator, produced, prompt, PROMPTS, r.tokenizer));
    dt_generator_destroy(&generator);
    for (size_t i = 0; i < PROMPTS; i++) dt_text_destroy(&produced[i]);
    rig_destroy(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backward_and_dropout),
        cmocka_unit_test(longer_attention),
        cmocka_unit_test(generation),
    };
    return cmocka_run_group_tests(tests, device_open, device_close);
}
