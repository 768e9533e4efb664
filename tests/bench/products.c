/* Runs the model's matrix products alone: the rate that training is measured by. */
#include "products.h"

#include <cblas.h>

#include "cpu/cpu.h"
#include "dtrain/core/memory.h"
#include "dtrain/core/random.h"

static void add_product(products *p, const char *name, size_t tokens, size_t in, size_t out,
                        size_t times, bool backward) {
    p->each[p->count++] = (product){.name = name,
                                    .of = "forward",
                                    .transpose_b = true,
                                    .M = tokens,
                                    .N = out,
                                    .K = in,
                                    .times = times};
    if (!backward) return;
    p->each[p->count++] = (product){
        .name = name, .of = "input gradient", .M = tokens, .N = in, .K = out, .times = times};
    p->each[p->count++] = (product){.name = name,
                                    .of = "weight gradient",
                                    .transpose_a = true,
                                    .accumulate = true,
                                    .M = out,
                                    .N = in,
                                    .K = tokens,
                                    .times = times};
}

/* Room for the largest of the products' operands. */
static dt_status create_operand(float **operand, size_t count, uint32_t number) {
    DT_TRY(dt_memory_alloc(operand, count, sizeof **operand, "an operand"));
    /* As large as activations are; the sums of weight gradients go on growing, but stay finite. */
    dt_random_normal(*operand, count, 1, 1, DT_RANDOM_TEST, number);
    return DT_OK;
}

dt_status products_open(products *p, dt_backend *host, const dt_model_shape *shape, size_t tokens,
                        bool backward, clock_reader *now) {
    const size_t C = shape->C, F = shape->F, L = shape->L, V = shape->V;
    *p = (products){.now = now, .host = host};
    add_product(p, "qkv", tokens, C, 3 * C, L, backward);
    add_product(p, "projection", tokens, C, C, L, backward);
    add_product(p, "mlp in", tokens, C, F, L, backward);
    add_product(p, "mlp out", tokens, F, C, L, backward);
    add_product(p, "logits", tokens, C, V, 1, backward);
    size_t a = 0, b = 0, c = 0;
    for (size_t i = 0; i < p->count; i++) {
        a = dt_max_size(a, p->each[i].M * p->each[i].K);
        b = dt_max_size(b, p->each[i].K * p->each[i].N);
        c = dt_max_size(c, p->each[i].M * p->each[i].N);
    }
    DT_TRY(create_operand(&p->a, a, 0));
    DT_TRY(create_operand(&p->b, b, 1));
    return create_operand(&p->c, c, 2);
}

void products_close(products *p) {
    dt_memory_free(&p->a);
    dt_memory_free(&p->b);
    dt_memory_free(&p->c);
}

static void compute(const product *x, float *c, const float *a, const float *b) {
    cblas_sgemm(CblasRowMajor, x->transpose_a ? CblasTrans : CblasNoTrans,
                x->transpose_b ? CblasTrans : CblasNoTrans, (int)x->M, (int)x->N, (int)x->K, 1.0f,
                a, (int)(x->transpose_a ? x->M : x->K), b, (int)(x->transpose_b ? x->K : x->N),
                x->accumulate ? 1.0f : 0.0f, c, (int)x->N);
}

static double flops(const product *x) {
    return 2.0 * (double)x->M * (double)x->N * (double)x->K * (double)x->times;
}

/* As the backend's linear layers do, but for bias and residual; and it packs each time, where those
 * pack weights once a step. */
static dt_status compute_own(dt_backend *host, const product *x, float *c, const float *a,
                             const float *b) {
    cpu_backend *cpu = (cpu_backend *)host;
    const cpu_kernels *kernels = cpu->kernels;
    const cpu_left left = x->transpose_a ? (cpu_left){a, 1, x->M} : (cpu_left){a, x->K, 1};
    cpu_right right;
    const bool own =
        x->transpose_a ? kernels->suits(x->N, x->M, true) : kernels->suits(x->K, x->N, false);
    DT_TRY(kernels->right_open(&right, cpu->own && own ? &cpu->packing : NULL, b, x->transpose_b,
                               x->K, x->N));
    kernels->multiply(c, (cpu_addend){.rows = x->accumulate ? c : NULL}, left, &right, x->M);
    return DT_OK;
}

dt_status products_run(double *rate, products *p, double seconds) {
    double work = 0, spent = 0;
    do {
        for (size_t i = 0; i < p->count; i++) {
            product *x = &p->each[i];
            const double start = p->now();
            for (size_t k = 0; k < x->times; k++) compute(x, p->c, p->a, p->b);
            const double middle = p->now();
            for (size_t k = 0; k < x->times; k++) {
                DT_TRY(compute_own(p->host, x, p->c, p->a, p->b));
            }
            x->seconds += middle - start;
            x->own_seconds += p->now() - middle;
            spent += middle - start;
            work += flops(x);
        }
        p->passes++;
    } while (spent < seconds);
    *rate = work / spent;
    return DT_OK;
}

double product_rate(const products *p, size_t i, bool own) {
    const product *x = &p->each[i];
    return flops(x) * (double)p->passes / (own ? x->own_seconds : x->seconds);
}

double model_linear_flops(const dt_model_shape *shape, double tokens) {
    const double C = (double)shape->C, F = (double)shape->F;
    return 2 * tokens * ((double)shape->L * (4 * C * C + 2 * C * F) + C * (double)shape->V);
}

double model_attention_flops(const dt_model_shape *shape, const dt_batch *batch) {
    double pairs = 0;
    for (size_t b = 0; b < batch->problems; b++) {
        const double n = (double)(batch->offset[b + 1] - batch->offset[b]);
        pairs += n * (n + 1);
    }
    return 2 * (double)shape->L * (double)shape->C * pairs;
}

const char *blas_kernels(void) { return openblas_get_corename(); }
