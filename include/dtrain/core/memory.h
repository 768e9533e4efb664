/* Aligned, zeroed memory, with sizes checked for overflow; and loops that get the widest vectors.
 */
#ifndef DTRAIN_MEMORY_H
#define DTRAIN_MEMORY_H

#include "dtrain/core/status.h"

/* Tensors and rows start at multiples of this many bytes: one cache line, one AVX-512 register. */
enum { DT_ALIGNMENT = 64, DT_ALIGNED_FLOATS = DT_ALIGNMENT / 4 };

/**
 * Allocate count * size zero bytes, aligned to DT_ALIGNMENT. Pages are not touched before they are
 * used.
 *
 * @param[out] pointer  the memory, to be given back with dt_memory_free; NULL on error
 * @param[in]  what     its name in the error message: "activations"
 * @return DT_OK; DT_ERR_MEMORY with the size that was asked for
 */
dt_status dt_memory_alloc(void *pointer, size_t count, size_t size, const char *what);

/* Grow to at least `count` elements, keeping the first *capacity; doubles, so that appending is
 * cheap. */
dt_status dt_memory_grow(void *pointer, size_t *capacity, size_t count, size_t size,
                         const char *what);

/* Have the system bring all pages of a large block now, in huge ones if it can. Writes zeros. */
void dt_memory_touch(void *memory, size_t bytes);

/* Give the pages of a large block back, for other uses at once. The block stays, with any values.
 */
void dt_memory_release(void *memory);

/* Give memory back and leave NULL; takes the address of the pointer. */
void dt_memory_free(void *pointer);

static inline size_t dt_round_up(size_t n, size_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}
static inline size_t dt_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t dt_max_size(size_t a, size_t b) { return a > b ? a : b; }

/* Before a hot loop outside the CPU backend: compiled once per vector width, chosen when the
   program is loaded, so that one build runs on any x86-64 node. Only for loops that add, move
   bits or multiply once: they give the same bits in every width. Sums of products belong to the
   kernels of the CPU backend, whose choice is named at the start of a run. Elsewhere the compiler's
   baseline already has vectors (NEON). Sanitizers cannot follow the dispatch. */
#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__) || defined(DT_NO_CLONES)
#define DT_HOT
#elif __GNUC__ >= 12
#define DT_HOT __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__GNUC__) && !defined(__clang__) /* cannot choose by level yet */
#define DT_HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define DT_HOT
#endif

#endif
