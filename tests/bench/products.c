/* Runs the model's matrix products alone: the rates that training is compared with. */
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
    /* As large as activations; the sums of weight gradients keep growing, but stay finite. */
    dt_random_normal(*operand, count, 1, 1, DT_RANDOM_TEST, number);
    return DT_OK;
}

/* ---- BLAS ---- */

static dt_status compute_blas(void *context, const product *x) {
    const products *p = context;
    cblas_sgemm(CblasRowMajor, x->transpose_a ? CblasTrans : CblasNoTrans,
                x->transpose_b ? CblasTrans : CblasNoTrans, (int)x->M, (int)x->N, (int)x->K, 1.0f,
                p->a, (int)(x->transpose_a ? x->M : x->K), p->b,
                (int)(x->transpose_b ? x->K : x->N), x->accumulate ? 1.0f : 0.0f, p->c, (int)x->N);
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
    for (size_t i = 0; i < p->count; i++) {
        const product *x = &p->each[i];
        p->a_count = dt_max_size(p->a_count, x->M * x->K);
        p->b_count = dt_max_size(p->b_count, x->K * x->N);
        p->c_count = dt_max_size(p->c_count, x->M * x->N);
    }
    DT_TRY(create_operand(&p->a, p->a_count, 0));
    DT_TRY(create_operand(&p->b, p->b_count, 1));
    DT_TRY(create_operand(&p->c, p->c_count, 2));
    p->way[p->ways++] = (product_way){.compute = compute_blas, .context = p};
    return DT_OK;
}

void products_close(products *p) {
    for (size_t w = 0; w < p->ways; w++) {
        if (p->way[w].close) p->way[w].close(p->way[w].context);
    }
    p->ways = 0;
    dt_memory_free(&p->a);
    dt_memory_free(&p->b);
    dt_memory_free(&p->c);
}

/* ---- the kernel for float32 ---- */

/* As the backend's linear layers do, but without bias and residual; it packs each time, while those
 * pack weights once per step. */
static dt_status compute_kernel(void *context, const product *x) {
    const products *p = context;
    cpu_backend *cpu = (cpu_backend *)p->host;
    const cpu_kernels *kernels = cpu->kernels;
    const cpu_left left = x->transpose_a ? (cpu_left){p->a, 1, x->M} : (cpu_left){p->a, x->K, 1};
    cpu_right right;
    const bool own =
        x->transpose_a ? kernels->suits(x->N, x->M, true) : kernels->suits(x->K, x->N, false);
    DT_TRY(kernels->right_open(&right, cpu->own && own ? &cpu->packing : NULL, p->b, x->transpose_b,
                               x->K, x->N));
    kernels->multiply(p->c, (cpu_addend){.rows = x->accumulate ? p->c : NULL}, left, &right, x->M);
    return DT_OK;
}

dt_status products_add_kernel(products *p) {
    p->way[p->ways++] = (product_way){.compute = compute_kernel, .context = p};
    return DT_OK;
}

/* ---- layers of bfloat16 ---- */

typedef struct {
    products *p;
    dt_buffer *x;         /* activations, bfloat16 */
    dt_buffer *a, *b, *c; /* the operands, attached */
} layer;

static void close_layer(void *context) {
    layer *l = context;
    const dt_backend_table *op = l->p->host->op;
    op->buffer_destroy(&l->x, l->p->host);
    op->buffer_destroy(&l->a, l->p->host);
    op->buffer_destroy(&l->b, l->p->host);
    op->buffer_destroy(&l->c, l->p->host);
    dt_memory_free(&l);
}

static dt_status compute_layer(void *context, const product *p) {
    const layer *l = context;
    dt_backend *host = l->p->host;
    const dt_tensor none = DT_NO_TENSOR, x = {l->x, 0, DT_ELEMENT_BFLOAT16};
    const dt_tensor a = dt_floats(l->a, 0), b = dt_floats(l->b, 0), c = dt_floats(l->c, 0);
    DT_TRY(host->op->push(host, b, 1)); /* so that it is packed again */
    if (p->transpose_b) {
        return host->op->linear_forward(host, c, none, x, b, none, none, p->M, p->K, p->N,
                                        DT_IDENTITY);
    }
    if (p->transpose_a) {
        return host->op->linear_backward(host, none, c, none, a, none, x, b, p->K, p->N, p->M,
                                         DT_IDENTITY);
    }
    return host->op->linear_backward(host, c, none, none, a, none, x, b, p->M, p->N, p->K,
                                     DT_IDENTITY);
}

dt_status products_add_layer(products *p) {
    const cpu_backend *cpu = (const cpu_backend *)p->host;
    const dt_backend_table *op = p->host->op;
    const size_t activations = dt_max_size(p->a_count, p->b_count);
    layer *l;
    DT_TRY(dt_memory_alloc(&l, 1, sizeof *l, "layers of bfloat16"));
    l->p = p;
    p->way[p->ways++] = (product_way){.compute = compute_layer, .close = close_layer, .context = l};
    DT_TRY(op->buffer_create(&l->x, p->host, dt_element_bytes(DT_ELEMENT_BFLOAT16, activations),
                             "activations"));
    cpu->bf16->round_rows(cpu_bf16((dt_tensor){l->x, 0, DT_ELEMENT_BFLOAT16}),
                          p->a_count > p->b_count ? p->a : p->b, 1, activations);
    DT_TRY(op->buffer_attach(&l->a, p->host, p->a, p->a_count * sizeof *p->a, "gradients"));
    DT_TRY(op->buffer_attach(&l->b, p->host, p->b, p->b_count * sizeof *p->b, "weights"));
    return op->buffer_attach(&l->c, p->host, p->c, p->c_count * sizeof *p->c, "results");
}

/* ---- the kernel for bfloat16 alone ---- */

typedef struct {
    products *p;
    const cpu_bf16_kernels *kernels;
    cpu_packing packing;
    cpu_right right;
    cpu_left_words left;
    uint32_t *words;
} packed;

static void close_packed(void *context) {
    packed *s = context;
    dt_memory_free(&s->packing.room.at);
    dt_memory_free(&s->words);
    dt_memory_free(&s);
}

/* Rows of words as in the layers: one cache line longer, so that the elements of a column do not
 * compete for the same cache lines. */
static size_t paired_row(const product *x) {
    return dt_round_up(x->M, DT_ALIGNED_FLOATS) + DT_ALIGNED_FLOATS;
}

static dt_status prepare_packed(void *context, const product *x) {
    packed *s = context;
    const cpu_bf16_kernels *bf16 = s->kernels;
    const size_t deep = (x->K + 1) / 2, row = paired_row(x);
    s->packing.filled = false;
    DT_TRY(bf16->right_open(&s->right, &s->packing, s->p->b, false, x->transpose_b, x->K, x->N));
    if (!x->transpose_a) {
        bf16->round_rows((cpu_bfloat16 *)(void *)s->words, s->p->a, x->M, x->K);
        s->left = (cpu_left_words){s->words, deep, 1};
        return DT_OK;
    }
    /* Two rows at a time, since pair_rows would leave no gap between them. */
    for (size_t k = 0; k < deep; k++) {
        bf16->pair_rows(s->words + k * row, s->p->a + 2 * k * x->M, dt_min_size(2, x->K - 2 * k),
                        x->M);
    }
    s->left = (cpu_left_words){s->words, 1, row};
    return DT_OK;
}

static dt_status compute_packed(void *context, const product *x) {
    const packed *s = context;
    const cpu_bf16_kernels *bf16 = s->kernels;
    const size_t at_once = x->transpose_a ? x->M : s->right.rows;
    cpu_left_words left = s->left;
    for (size_t i = 0, rows; i < x->M; i += rows, left.p += rows * left.row) {
        rows = dt_min_size(at_once, x->M - i);
        float *c = s->p->c + i * x->N;
        bf16->multiply(c, (cpu_addend){.rows = x->accumulate ? c : NULL}, left, &s->right, rows);
    }
    return DT_OK;
}

static dt_status add_packed(products *p, const cpu_bf16_kernels *kernels) {
    packed *s;
    size_t most = 0;
    DT_TRY(dt_memory_alloc(&s, 1, sizeof *s, "packed operands"));
    *s = (packed){.p = p, .kernels = kernels, .packing = {.stays = true, .bf16 = true}};
    p->way[p->ways++] = (product_way){prepare_packed, compute_packed, close_packed, s};
    for (size_t i = 0; i < p->count; i++) {
        const product *x = &p->each[i];
        most = dt_max_size(most, (x->transpose_a ? paired_row(x) : x->M) * ((x->K + 1) / 2));
    }
    return dt_memory_alloc(&s->words, most, sizeof *s->words, "packed operands");
}

dt_status products_add_packed(products *p) {
    const cpu_kernels *kernels = ((const cpu_backend *)p->host)->kernels;
    const cpu_bf16_kernels *native = cpu_bf16_native(kernels);
    return add_packed(p, native ? native : kernels->bf16);
}

dt_status products_add_plain(products *p) {
    return add_packed(p, cpu_bf16_fused(((const cpu_backend *)p->host)->kernels));
}

/* ---- all of them ---- */

static double flops(const product *x) {
    return 2.0 * (double)x->M * (double)x->N * (double)x->K * (double)x->times;
}

/* Computes the product as often as a pass does. */
static dt_status time_product(const products *p, product *x, size_t w) {
    const product_way *way = &p->way[w];
    if (way->prepare) DT_TRY(way->prepare(way->context, x));
    const double start = p->now();
    for (size_t k = 0; k < x->times; k++) DT_TRY(way->compute(way->context, x));
    x->seconds[w] += p->now() - start;
    return DT_OK;
}

static double seconds_of(const products *p, size_t way) {
    double sum = 0;
    for (size_t i = 0; i < p->count; i++) sum += p->each[i].seconds[way];
    return sum;
}

dt_status products_run(double *rate, products *p, double seconds) {
    double before[WAYS_MAX] = {0}, pass = 0, work = 0;
    for (size_t i = 0; i < p->count; i++) pass += flops(&p->each[i]);
    for (size_t w = 0; w < p->ways; w++) before[w] = seconds_of(p, w);
    do {
        for (size_t i = 0; i < p->count; i++) {
            for (size_t w = 0; w < p->ways; w++) DT_TRY(time_product(p, &p->each[i], w));
        }
        p->passes++;
        work += pass;
    } while (seconds_of(p, 0) - before[0] < seconds);
    for (size_t w = 0; w < p->ways; w++) rate[w] = work / (seconds_of(p, w) - before[w]);
    return DT_OK;
}

double product_rate(const products *p, size_t i, size_t way) {
    const product *x = &p->each[i];
    return flops(x) * (double)p->passes / x->seconds[way];
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
