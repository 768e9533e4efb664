/* Tests CLBlast on this device. CLBlast builds its kernels at their first use, which is here. */
#include "opencl.h"
#include "product.h"

/* The model's own products are too small to reach CLBlast's kernels for large matrices. */
static const product LARGE[] = {
    {"X W^T (forward, large)", false, true, 520, 512, 512},
    {"dY W (input gradient, large)", false, false, 517, 512, 512},
    {"dY^T X (weight gradient, large)", true, false, 512, 512, 517},
};

/* Three buffers of PRODUCT_MOST elements: a, b and c. */
typedef struct {
    opencl_backend *ocl;
    dt_buffer *device;
    float *host;
} test_room;

static dt_status test_product(const test_room *room, const product *p) {
    dt_backend *backend = &room->ocl->base;
    const dt_tensor a = dt_floats(room->device, 0), b = dt_floats(room->device, PRODUCT_MOST),
                    c = dt_floats(room->device, 2 * PRODUCT_MOST);
    float *result = room->host + 2 * PRODUCT_MOST;
    for (size_t i = 0; i < p->M * p->N; i++) result[i] = 1;
    DT_TRY(opencl_upload(backend, c, result, p->M * p->N));
    DT_TRY(opencl_multiply(
        room->ocl, c, (opencl_matrix){a, p->transpose_a ? p->M : p->K, p->transpose_a},
        (opencl_matrix){b, p->transpose_b ? p->K : p->N, p->transpose_b}, p->M, p->N, p->K, 1.0f));
    DT_TRY(opencl_download(backend, result, c, p->M * p->N));
    const double worst = product_error(p, room->host, room->host + PRODUCT_MOST, result);
    DT_REQUIRE(worst < 20, DT_ERR_UNAVAILABLE,
               "CLBlast calculates wrongly on %s (%s, driver %s): %s, sizes %zu %zu %zu, is off by "
               "%.1e of the terms' size; another "
               "driver may help, or --backend cpu",
               room->ocl->about.name, room->ocl->about.platform, room->ocl->about.driver, p->what,
               p->M, p->N, p->K, worst * 1e-6);
    return DT_OK;
}

dt_status opencl_blas_test(opencl_backend *ocl) {
    test_room room = {.ocl = ocl};
    dt_status status;
    DT_TRY_DONE(dt_memory_alloc(&room.host, 3 * PRODUCT_MOST, sizeof *room.host, "CLBlast's test"));
    DT_TRY_DONE(opencl_buffer_create(&room.device, &ocl->base, 3 * PRODUCT_MOST * sizeof(float),
                                     "CLBlast's test"));
    product_fill(room.host, room.host + PRODUCT_MOST);
    DT_TRY_DONE(opencl_upload(&ocl->base, dt_floats(room.device, 0), room.host, 2 * PRODUCT_MOST));
    for (size_t i = 0; i < PRODUCT_COUNT; i++) DT_TRY_DONE(test_product(&room, &PRODUCTS[i]));
    for (size_t i = 0; i < sizeof LARGE / sizeof *LARGE; i++)
        DT_TRY_DONE(test_product(&room, &LARGE[i]));
done:
    opencl_buffer_destroy(&room.device, &ocl->base);
    dt_memory_free(&room.host);
    return status;
}
