/* Aligned, zeroed memory. Large blocks come from mmap: zero without being touched. */
#include "dtrain/core/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Stands in front of the memory that is handed out. */
typedef struct {
    size_t bytes;  /* of the whole block, this header included */
    size_t mapped; /* 1: from mmap, 0: from aligned_alloc */
} header;

/* The address sanitizer watches the allocator's blocks only, so that there all but the largest come
 * from it. */
#ifdef __SANITIZE_ADDRESS__
enum { MAP_FROM = 1 << 30 };
#else
enum { MAP_FROM = 1 << 20 };
#endif

dt_status dt_memory_alloc(void *pointer, size_t count, size_t size, const char *what) {
    void *none = NULL;
    memcpy(pointer, &none, sizeof none);
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) {
        DT_RAISE(DT_ERR_MEMORY, "%s: %zu elements of %zu bytes are more than memory can address",
                 what, count, size);
    }
    bytes = dt_round_up(bytes + DT_ALIGNMENT, DT_ALIGNMENT);
    header *block;
    if (bytes >= MAP_FROM) {
        block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) block = NULL;
    } else {
        block = aligned_alloc(DT_ALIGNMENT, bytes);
        if (block) memset(block, 0, bytes);
    }
    DT_REQUIRE(
        block, DT_ERR_MEMORY,
        "out of memory: %s need %.1f MB; lower --batch, --width or --layers, or use more nodes",
        what, (double)bytes / 1e6);
    *block = (header){bytes, bytes >= MAP_FROM};
    void *memory = (char *)block + DT_ALIGNMENT;
    memcpy(pointer, &memory, sizeof memory);
    return DT_OK;
}

void dt_memory_touch(void *memory, size_t bytes) {
    enum { PAGE = 4096 };
    char *at = memory;
#ifdef MADV_HUGEPAGE
    const size_t before = -(uintptr_t)at % PAGE;
    if (bytes > before) madvise(at + before, (bytes - before) / PAGE * PAGE, MADV_HUGEPAGE);
#endif
    /* The compiler must not know that they are zero already. */
    for (size_t i = 0; i < bytes; i += PAGE) ((volatile char *)at)[i] = 0;
    if (bytes) ((volatile char *)at)[bytes - 1] = 0;
}

void dt_memory_release(void *memory) {
    header *block = (header *)((char *)memory - DT_ALIGNMENT);
    if (!block->mapped) return;
    /* The first page has the header. */
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (block->bytes > page) madvise((char *)block + page, block->bytes - page, MADV_DONTNEED);
}

void dt_memory_free(void *pointer) {
    void *memory;
    memcpy(&memory, pointer, sizeof memory);
    if (!memory) return;
    header *block = (header *)((char *)memory - DT_ALIGNMENT);
    if (block->mapped) {
        munmap(block, block->bytes);
    } else {
        free(block);
    }
    memory = NULL;
    memcpy(pointer, &memory, sizeof memory);
}

dt_status dt_memory_grow(void *pointer, size_t *capacity, size_t count, size_t size,
                         const char *what) {
    if (count <= *capacity) return DT_OK;
    const size_t wanted = dt_max_size(count, dt_max_size(2 * *capacity, 16));
    void *grown;
    DT_TRY(dt_memory_alloc(&grown, wanted, size, what));
    void *old;
    memcpy(&old, pointer, sizeof old);
    if (old) memcpy(grown, old, *capacity * size);
    dt_memory_free(pointer);
    memcpy(pointer, &grown, sizeof grown);
    *capacity = wanted;
    return DT_OK;
}
