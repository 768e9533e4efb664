/* The CPU's buffers are host memory, so push and pull copy nothing. But an attached buffer stays
 * packed for products until the next push. */
#include "cpu.h"

dt_status cpu_buffer_create(dt_buffer **buffer, dt_backend *backend, size_t bytes,
                            const char *what) {
    (void)backend;
    void *data = NULL;
    *buffer = NULL;
    DT_TRY(dt_memory_alloc(&data, bytes, 1, what));
    const dt_status status = dt_memory_alloc(buffer, 1, sizeof **buffer, what);
    if (status != DT_OK) {
        dt_memory_free(&data);
        return status;
    }
    **buffer = (dt_buffer){.data = data, .bytes = bytes, .owned = true};
    return DT_OK;
}

dt_status cpu_buffer_attach(dt_buffer **buffer, dt_backend *backend, void *host, size_t bytes,
                            const char *what) {
    (void)backend;
    DT_TRY(dt_memory_alloc(buffer, 1, sizeof **buffer, what));
    **buffer = (dt_buffer){.data = host, .bytes = bytes, .owned = false};
    return DT_OK;
}

void cpu_buffer_destroy(dt_buffer **buffer, dt_backend *backend) {
    (void)backend;
    if (!*buffer) return;
    if ((*buffer)->owned) dt_memory_free(&(*buffer)->data);
    for (cpu_packing *packing = (*buffer)->packing, *next; packing; packing = next) {
        next = packing->next;
        dt_memory_free(&packing->room.at);
        dt_memory_free(&packing);
    }
    dt_memory_free(buffer);
}

static dt_status check_range(dt_tensor tensor, size_t count) {
    const size_t bytes = dt_element_bytes(tensor.element, count);
    DT_REQUIRE(tensor.buffer && tensor.offset <= tensor.buffer->bytes &&
                   bytes <= tensor.buffer->bytes - tensor.offset,
               DT_ERR_INTERNAL, "a copy of %zu bytes at %zu leaves its buffer of %zu", bytes,
               tensor.offset, tensor.buffer ? tensor.buffer->bytes : 0);
    return DT_OK;
}

dt_status cpu_packing_of(cpu_packing **out, cpu_backend *cpu, dt_tensor b, bool transposed,
                         bool bf16) {
    *out = &cpu->packing;
    if (b.buffer->owned) return DT_OK;
    for (cpu_packing *packing = b.buffer->packing; packing; packing = packing->next) {
        if (packing->offset == b.offset && packing->transposed == transposed &&
            packing->bf16 == bf16) {
            *out = packing;
            return DT_OK;
        }
    }
    DT_TRY(dt_memory_alloc(out, 1, sizeof **out, "the packed side of a product"));
    **out = (cpu_packing){.stays = true,
                          .offset = b.offset,
                          .transposed = transposed,
                          .bf16 = bf16,
                          .next = b.buffer->packing};
    b.buffer->packing = *out;
    return DT_OK;
}

/* The buffer's content has changed. */
static void forget_packed(dt_buffer *buffer) {
    for (cpu_packing *packing = buffer->packing; packing; packing = packing->next) {
        packing->filled = false;
    }
}

dt_status cpu_push(dt_backend *backend, dt_tensor tensor, size_t count) {
    (void)backend;
    DT_TRY(check_range(tensor, count));
    forget_packed(tensor.buffer);
    return DT_OK;
}

dt_status cpu_pull(dt_backend *backend, dt_tensor tensor, size_t count) {
    (void)backend;
    return check_range(tensor, count);
}

dt_status cpu_finish(dt_backend *backend) {
    (void)backend;
    return DT_OK;
}

dt_status cpu_upload(dt_backend *backend, dt_tensor to, const void *from, size_t count) {
    (void)backend;
    DT_TRY(check_range(to, count));
    forget_packed(to.buffer);
    memcpy(cpu_bytes(to), from, dt_element_bytes(to.element, count));
    return DT_OK;
}

dt_status cpu_download(dt_backend *backend, void *to, dt_tensor from, size_t count) {
    (void)backend;
    DT_TRY(check_range(from, count));
    memcpy(to, cpu_bytes(from), dt_element_bytes(from.element, count));
    return DT_OK;
}

dt_status cpu_fill_zero(dt_backend *backend, dt_tensor tensor, size_t count) {
    (void)backend;
    DT_TRY(check_range(tensor, count));
    forget_packed(tensor.buffer);
    memset(cpu_bytes(tensor), 0, dt_element_bytes(tensor.element, count));
    return DT_OK;
}
