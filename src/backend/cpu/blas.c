/* Describes BLAS and tests it: some releases have kernels that are wrong or crash on new
 * processors. */
#include <cblas.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#include "cpu.h"
#include "product.h"

void cpu_blas_describe(cpu_backend *cpu) {
    /* More threads would split sums differently, and the ranks already use the cores. */
    openblas_set_num_threads(1);
    char version[64] = "OpenBLAS";
    sscanf(openblas_get_config(), "%*s %40s",
           version + snprintf(version, sizeof version, "OpenBLAS "));
    snprintf(cpu->description, sizeof cpu->description, "%s, %s kernels%s%s%s, %d thread", version,
             openblas_get_corename(), cpu->own ? " and dtrain's own for " : " for products, ",
             cpu->kernels->name, cpu->own ? "" : " otherwise", openblas_get_num_threads());
}

/* Where a crashing kernel returns to. Used only during the test, by the one thread that runs it. */
static sigjmp_buf escape;

static void on_crash(int signal_number) { siglongjmp(escape, signal_number); }

/* The last two: bfloat16 with and without the processor's instruction. */
typedef enum { BY_BLAS, BY_OWN, BY_NATIVE, BY_FUSED, MULTIPLIERS } multiplier;

/* Whether products may be computed so. */
static bool is_used(const cpu_backend *cpu, multiplier by) {
    if (by == BY_BLAS) return true;
    return cpu->own && (by != BY_NATIVE || cpu_bf16_native(cpu->kernels));
}

/* c += a b in bfloat16. */
static dt_status multiply_bf16(cpu_backend *cpu, const cpu_bf16_kernels *kernels, const product *p,
                               const float *a, const float *b, float *c) {
    const size_t row = (p->K + 1) / 2;
    cpu_right right;
    DT_TRY(cpu_reserve(&cpu->padded, p->M * row, "the test of products"));
    uint32_t *words = (uint32_t *)(void *)cpu->padded.at;
    if (p->transpose_a) kernels->pair_rows(words, a, p->K, p->M);
    if (!p->transpose_a) kernels->round_rows((cpu_bfloat16 *)(void *)words, a, p->M, p->K);
    DT_TRY(kernels->right_open(&right, &cpu->packing, b, false, p->transpose_b, p->K, p->N));
    kernels->multiply(c, (cpu_addend){.rows = c},
                      p->transpose_a ? (cpu_left_words){words, 1, p->M}
                                     : (cpu_left_words){words, row, 1},
                      &right, p->M);
    return DT_OK;
}

/* c = 1 + a b. */
static dt_status multiply(cpu_backend *cpu, multiplier by, const product *p, const float *a,
                          const float *b, float *c) {
    cpu_right right;
    for (size_t i = 0; i < p->M * p->N; i++) c[i] = 1;
    if (by == BY_NATIVE) return multiply_bf16(cpu, cpu_bf16_native(cpu->kernels), p, a, b, c);
    if (by == BY_FUSED) return multiply_bf16(cpu, cpu_bf16_fused(cpu->kernels), p, a, b, c);
    DT_TRY(cpu->kernels->right_open(&right, by == BY_OWN ? &cpu->packing : NULL, b, p->transpose_b,
                                    p->K, p->N));
    const cpu_left left = p->transpose_a ? (cpu_left){a, 1, p->M} : (cpu_left){a, p->K, 1};
    cpu->kernels->multiply(c, (cpu_addend){.rows = c}, left, &right, p->M);
    return DT_OK;
}

static dt_status test_product(cpu_backend *cpu, multiplier by, const product *p, float *a, float *b,
                              float *c) {
    DT_TRY(multiply(cpu, by, p, a, b, c));
    const double worst = product_error(p, a, b, c);
    const char *kind = by == BY_OWN ? "" : " for bfloat16";
    DT_REQUIRE(worst < 20 || by != BY_BLAS, DT_ERR_UNAVAILABLE,
               "BLAS calculates wrongly on this machine: OpenBLAS's %s kernel for %s, sizes %zu "
               "%zu %zu, is off by %.1e of the terms' size; choose other kernels, for example "
               "OPENBLAS_CORETYPE=Haswell, or another OpenBLAS",
               openblas_get_corename(), p->what, p->M, p->N, p->K, worst * 1e-6);
    DT_REQUIRE(worst < 20, DT_ERR_UNAVAILABLE,
               "dtrain's own %s kernel%s calculates wrongly on this machine: %s, sizes %zu %zu "
               "%zu, is off by %.1e of the terms' size; was it built by another compiler than "
               "jobs/quickstart.sh takes?",
               cpu->kernels->name, kind, p->what, p->M, p->N, p->K, worst * 1e-6);
    return DT_OK;
}

/* Makes the numbers exact in bfloat16, so that all multipliers compute the same products. */
static void shorten(float *x) {
    for (size_t i = 0; i < PRODUCT_MOST; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0xffff0000;
        memcpy(&x[i], &bits, sizeof bits);
    }
}

dt_status cpu_products_test(cpu_backend *cpu) {
    static const int SIGNALS[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE};
    enum { COUNT = sizeof SIGNALS / sizeof *SIGNALS };
    float *a = NULL, *b = NULL, *c = NULL;
    struct sigaction before[COUNT];
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&a, PRODUCT_MOST, sizeof *a, "the test of products"));
    DT_TRY_DONE(dt_memory_alloc(&b, PRODUCT_MOST, sizeof *b, "the test of products"));
    DT_TRY_DONE(dt_memory_alloc(&c, PRODUCT_MOST, sizeof *c, "the test of products"));
    product_fill(a, b);
    shorten(a);
    shorten(b);
    for (int i = 0; i < COUNT; i++) {
        struct sigaction action = {.sa_handler = on_crash};
        sigaction(SIGNALS[i], &action, &before[i]);
    }
    const product *volatile at = PRODUCTS;
    volatile multiplier by = BY_BLAS;
    const int crashed = sigsetjmp(escape, 1);
    if (crashed && by != BY_BLAS) {
        status = dt_error_raise(
            DT_ERR_UNAVAILABLE, __FILE__, __LINE__,
            "dtrain's own %s kernel crashes on this machine (signal %d): %s, sizes %zu %zu "
            "%zu; was it built by another compiler than jobs/quickstart.sh takes?",
            cpu->kernels->name, crashed, at->what, at->M, at->N, at->K);
    } else if (crashed) {
        status = dt_error_raise(
            DT_ERR_UNAVAILABLE, __FILE__, __LINE__,
            "BLAS crashes on this machine (signal %d): OpenBLAS's %s kernel for %s, sizes %zu %zu "
            "%zu; choose "
            "other kernels, for example OPENBLAS_CORETYPE=Haswell, or another OpenBLAS",
            crashed, openblas_get_corename(), at->what, at->M, at->N, at->K);
    } else {
        for (status = DT_OK; status == DT_OK && at < PRODUCTS + PRODUCT_COUNT; at++) {
            for (int k = 0; status == DT_OK && k < MULTIPLIERS; k++) {
                by = (multiplier)k;
                if (is_used(cpu, by)) status = test_product(cpu, by, at, a, b, c);
            }
        }
    }
    for (int i = 0; i < COUNT; i++) sigaction(SIGNALS[i], &before[i], NULL);
    if (status == DT_OK && is_used(cpu, BY_NATIVE))
        status = cpu_bf16_choose(cpu, cpu_bf16_native(cpu->kernels));
done:
    dt_memory_free(&a);
    dt_memory_free(&b);
    dt_memory_free(&c);
    return status;
}
