/* Which BLAS this is, and whether it calculates: some releases have kernels that are wrong, or
 * crash, on new processors. */
#include <cblas.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#include "cpu.h"
#include "dtrain/random.h"

void cpu_blas_describe(char *text, size_t size) {
    /* More threads would split sums differently, and the ranks use the cores already. */
    openblas_set_num_threads(1);
    char version[64] = "OpenBLAS";
    sscanf(openblas_get_config(), "%*s %40s",
           version + snprintf(version, sizeof version, "OpenBLAS "));
    snprintf(text, size, "%s, %s kernels, %d thread", version, openblas_get_corename(),
             openblas_get_num_threads());
}

/* A product of the model: the transposes and sizes of forward, gradient of the input, gradient of
 * the weight. */
typedef struct {
    const char *what;
    CBLAS_TRANSPOSE transpose_a, transpose_b;
    int M, N, K;
} product;

static const product PRODUCTS[] = {
    {"X W^T (forward)", CblasNoTrans, CblasTrans, 517, 384, 128},
    {"X W^T (forward, narrow)", CblasNoTrans, CblasTrans, 129, 20, 128},
    {"X W^T (one row)", CblasNoTrans, CblasTrans, 1, 512, 128},
    {"dY W (input gradient)", CblasNoTrans, CblasNoTrans, 517, 128, 512},
    {"dY W (input gradient, narrow)", CblasNoTrans, CblasNoTrans, 129, 128, 20},
    {"dY^T X (weight gradient)", CblasTrans, CblasNoTrans, 512, 128, 517},
    {"dY^T X (weight gradient, narrow)", CblasTrans, CblasNoTrans, 20, 128, 129},
};

/* Where a crashing kernel returns to. Only while the test runs, on the one thread that runs it. */
static sigjmp_buf escape;

static void on_crash(int signal_number) { siglongjmp(escape, signal_number); }

static double element(const float *a, bool transposed, int row, int column, int rows, int columns) {
    return (double)(transposed ? a[(size_t)column * (size_t)rows + (size_t)row]
                               : a[(size_t)row * (size_t)columns + (size_t)column]);
}

/* Largest error of c = 1 + a b over sampled elements, in units of what float rounding allows. */
static double worst_error(const product *p, const float *a, const float *b, const float *c) {
    double worst = 0;
    for (int s = 0; s < 400; s++) {
        uint32_t word[4];
        dt_random_block(word, 2, DT_RANDOM_TEST, 0, (uint64_t)s);
        /* The corners too: it is the edges of a kernel that go wrong. */
        const int i = s % 4 == 0 ? p->M - 1 : (int)(word[0] % (uint32_t)p->M);
        const int j = s % 8 == 0 ? p->N - 1 : (int)(word[1] % (uint32_t)p->N);
        double sum = 1, size = 1;
        for (int k = 0; k < p->K; k++) {
            const double term = element(a, p->transpose_a == CblasTrans, i, k, p->M, p->K) *
                                element(b, p->transpose_b == CblasTrans, k, j, p->K, p->N);
            sum += term;
            size += fabs(term);
        }
        const double error = fabs(sum - (double)c[(size_t)i * (size_t)p->N + (size_t)j]);
        /* Written so that a NaN counts as the worst. */
        if (!(error <= worst * 1e-6 * size))
            worst = isnan(error) ? INFINITY : error / (1e-6 * size);
    }
    return worst;
}

static dt_status test_product(const product *p, float *a, float *b, float *c) {
    for (size_t i = 0; i < (size_t)p->M * (size_t)p->N; i++) c[i] = 1;
    cblas_sgemm(CblasRowMajor, p->transpose_a, p->transpose_b, p->M, p->N, p->K, 1.0f, a,
                p->transpose_a == CblasTrans ? p->M : p->K, b,
                p->transpose_b == CblasTrans ? p->K : p->N, 1.0f, c, p->N);
    const double worst = worst_error(p, a, b, c);
    DT_REQUIRE(worst < 20, DT_ERR_UNAVAILABLE,
               "BLAS calculates wrongly on this machine: OpenBLAS's %s kernel for %s, sizes %d %d "
               "%d, is off by %.1e of the "
               "terms' size; choose other kernels, for example OPENBLAS_CORETYPE=Haswell, or "
               "another OpenBLAS",
               openblas_get_corename(), p->what, p->M, p->N, p->K, worst * 1e-6);
    return DT_OK;
}

dt_status cpu_blas_test(void) {
    enum { MOST = 520 * 520 };
    static const int SIGNALS[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE};
    enum { COUNT = sizeof SIGNALS / sizeof *SIGNALS };
    float *a = NULL, *b = NULL, *c = NULL;
    struct sigaction before[COUNT];
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&a, MOST, sizeof *a, "BLAS test"));
    DT_TRY_DONE(dt_memory_alloc(&b, MOST, sizeof *b, "BLAS test"));
    DT_TRY_DONE(dt_memory_alloc(&c, MOST, sizeof *c, "BLAS test"));
    dt_random_normal(a, MOST, 1, 1, DT_RANDOM_TEST, 0);
    dt_random_normal(b, MOST, 1, 1, DT_RANDOM_TEST, 1);
    for (int i = 0; i < COUNT; i++) {
        struct sigaction action = {.sa_handler = on_crash};
        sigaction(SIGNALS[i], &action, &before[i]);
    }
    const product *volatile at = PRODUCTS;
    const int crashed = sigsetjmp(escape, 1);
    if (crashed) {
        status = dt_error_raise(
            DT_ERR_UNAVAILABLE, __FILE__, __LINE__,
            "BLAS crashes on this machine (signal %d): OpenBLAS's %s kernel for %s, sizes %d %d "
            "%d; choose "
            "other kernels, for example OPENBLAS_CORETYPE=Haswell, or another OpenBLAS",
            crashed, openblas_get_corename(), at->what, at->M, at->N, at->K);
    } else {
        for (status = DT_OK; status == DT_OK && at < PRODUCTS + sizeof PRODUCTS / sizeof *PRODUCTS;
             at++) {
            status = test_product(at, a, b, c);
        }
    }
    for (int i = 0; i < COUNT; i++) sigaction(SIGNALS[i], &before[i], NULL);
done:
    dt_memory_free(&a);
    dt_memory_free(&b);
    dt_memory_free(&c);
    return status;
}
