/* The model's products by oneDNN 2, whose matrix products choose a layout for each side. */
#include "onednn.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

#include "dtrain/core/memory.h"

#define CALL(call)                                                                                 \
    DT_REQUIRE((call) == dnnl_success, DT_ERR_UNAVAILABLE, "oneDNN refuses %s", #call)

/* One product, and its operands in oneDNN's layout. */
typedef struct {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c;
} matmul;

typedef struct {
    products *p;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    matmul each[PRODUCTS_MAX];
} onednn;

static void close_onednn(void *context) {
    onednn *o = context;
    for (size_t i = 0; i < PRODUCTS_MAX; i++) {
        matmul *m = &o->each[i];
        if (m->a) dnnl_memory_destroy(m->a);
        if (m->b) dnnl_memory_destroy(m->b);
        if (m->c) dnnl_memory_destroy(m->c);
        if (m->primitive) dnnl_primitive_destroy(m->primitive);
        if (m->description) dnnl_primitive_desc_destroy(m->description);
    }
    if (o->stream) dnnl_stream_destroy(o->stream);
    if (o->engine) dnnl_engine_destroy(o->engine);
    dt_memory_free(&o);
}

/* A side in the wanted layout, from floats (rows,columns) or their transpose. */
static dt_status reorder(dnnl_memory_t *to, const onednn *o, const dnnl_memory_desc_t *wanted,
                         float *from, bool transposed, size_t rows, size_t columns) {
    dnnl_memory_desc_t plain;
    dnnl_memory_t source;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    CALL(dnnl_memory_desc_init_by_tag(&plain, 2,
                                      (dnnl_dims_t){(dnnl_dim_t)rows, (dnnl_dim_t)columns},
                                      dnnl_f32, transposed ? dnnl_ba : dnnl_ab));
    CALL(dnnl_memory_create(&source, &plain, o->engine, from));
    CALL(dnnl_memory_create(to, wanted, o->engine, DNNL_MEMORY_ALLOCATE));
    CALL(dnnl_reorder_primitive_desc_create(&description, &plain, o->engine, wanted, o->engine,
                                            NULL));
    CALL(dnnl_primitive_create(&primitive, description));
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, *to}};
    CALL(dnnl_primitive_execute(primitive, o->stream, 2, arguments));
    CALL(dnnl_stream_wait(o->stream));
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    dnnl_memory_destroy(source);
    return DT_OK;
}

/* If the product accumulates, it is added to the result. */
static dt_status describe(matmul *m, const onednn *o, const product *x) {
    const dnnl_dim_t M = (dnnl_dim_t)x->M, N = (dnnl_dim_t)x->N, K = (dnnl_dim_t)x->K;
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t product;
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t then;
    CALL(dnnl_memory_desc_init_by_tag(&a, 2, (dnnl_dims_t){M, K}, dnnl_bf16, dnnl_format_tag_any));
    CALL(dnnl_memory_desc_init_by_tag(&b, 2, (dnnl_dims_t){K, N}, dnnl_bf16, dnnl_format_tag_any));
    CALL(dnnl_memory_desc_init_by_tag(&c, 2, (dnnl_dims_t){M, N}, dnnl_f32, dnnl_ab));
    CALL(dnnl_matmul_desc_init(&product, &a, &b, NULL, &c));
    CALL(dnnl_primitive_attr_create(&attributes));
    CALL(dnnl_post_ops_create(&then));
    if (x->accumulate) CALL(dnnl_post_ops_append_sum(then, 1));
    CALL(dnnl_primitive_attr_set_post_ops(attributes, then));
    CALL(dnnl_primitive_desc_create(&m->description, &product, attributes, o->engine, NULL));
    CALL(dnnl_primitive_create(&m->primitive, m->description));
    CALL(dnnl_memory_create(&m->c, &c, o->engine, o->p->c));
    dnnl_post_ops_destroy(then);
    dnnl_primitive_attr_destroy(attributes);
    return DT_OK;
}

static dt_status open_product(matmul *m, const onednn *o, const product *x) {
    const products *p = o->p;
    DT_TRY(describe(m, o, x));
    DT_TRY(reorder(&m->a, o, dnnl_primitive_desc_query_md(m->description, dnnl_query_src_md, 0),
                   p->a, x->transpose_a, x->M, x->K));
    return reorder(&m->b, o, dnnl_primitive_desc_query_md(m->description, dnnl_query_weights_md, 0),
                   p->b, x->transpose_b, x->K, x->N);
}

static dt_status compute_onednn(void *context, const product *x) {
    const onednn *o = context;
    const matmul *m = &o->each[x - o->p->each];
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, m->a}, {DNNL_ARG_WEIGHTS, m->b}, {DNNL_ARG_DST, m->c}};
    CALL(dnnl_primitive_execute(m->primitive, o->stream, 3, arguments));
    CALL(dnnl_stream_wait(o->stream));
    return DT_OK;
}

dt_status products_add_onednn(products *p, char *name, size_t size) {
    const char *implementation;
    onednn *o;
    omp_set_num_threads(1);
    DT_TRY(dt_memory_alloc(&o, 1, sizeof *o, "products of oneDNN"));
    o->p = p;
    p->way[p->ways++] =
        (product_way){.compute = compute_onednn, .close = close_onednn, .context = o};
    CALL(dnnl_engine_create(&o->engine, dnnl_cpu, 0));
    CALL(dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags));
    for (size_t i = 0; i < p->count; i++) DT_TRY(open_product(&o->each[i], o, &p->each[i]));
    CALL(dnnl_primitive_desc_query(o->each[0].description, dnnl_query_impl_info_str, 0,
                                   (void *)&implementation));
    snprintf(name, size, "%s", implementation);
    return DT_OK;
}
