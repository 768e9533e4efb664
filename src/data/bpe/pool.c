/* Blocks by size; those given back are used again. */
#include "pool.h"

#include <string.h>

#include "dtrain/core/memory.h"

enum { CHUNK = 1 << 20, LEAST_CLASS = 3 };

static size_t class_of(size_t bytes) {
    size_t class = LEAST_CLASS;
    while (((size_t)1 << class) < bytes) class ++;
    return class;
}

static dt_status add_chunk(memory_pool *pool, size_t least) {
    char *chunk;
    const size_t size = dt_max_size(CHUNK, least);
    DT_TRY(dt_memory_grow(&pool->chunk, &pool->capacity, pool->chunks + 1, sizeof *pool->chunk,
                          "places of words"));
    DT_TRY(dt_memory_alloc(&chunk, size, 1, "places of words"));
    pool->chunk[pool->chunks++] = pool->next = chunk;
    pool->left = size;
    return DT_OK;
}

dt_status pool_take(void *block, memory_pool *pool, size_t bytes) {
    const size_t class = class_of(bytes), size = (size_t)1 << class;
    void *taken = pool->given_back[class];
    if (taken) {
        memcpy(&pool->given_back[class], taken, sizeof taken);
    } else {
        if (pool->left < size) DT_TRY(add_chunk(pool, size));
        taken = pool->next;
        pool->next += size;
        pool->left -= size;
    }
    memcpy(block, &taken, sizeof taken);
    return DT_OK;
}

void pool_give(memory_pool *pool, void *block, size_t bytes) {
    const size_t class = class_of(bytes);
    memcpy(block, &pool->given_back[class], sizeof block);
    pool->given_back[class] = block;
}

void pool_destroy(memory_pool *pool) {
    for (size_t i = 0; i < pool->chunks; i++) dt_memory_free(&pool->chunk[i]);
    dt_memory_free(&pool->chunk);
    *pool = (memory_pool){0};
}
