/* Which token sees which where attention has a window; a spot as in dt_packed. */
#ifndef DTRAIN_CPU_WINDOW_H
#define DTRAIN_CPU_WINDOW_H

#include <stdbool.h>
#include <stdlib.h>

#include "cpu.h"
#include "vector.h"

/* The spots of a problem, n from `first` on, and 0 up to `padded`: whole vectors are read. */
static inline void copy_spots(int32_t *to, const dt_packed *batch, size_t first, size_t n,
                              size_t padded) {
    memcpy(to, cpu_i32(batch->spot) + first, n * sizeof *to);
    memset(to + n, 0, (padded - n) * sizeof *to);
}

static inline bool spot_sees(int32_t query, int32_t key, int32_t window) {
    const int32_t q = abs(query), k = abs(key), letter = q >> 16, other = k >> 16;
    const bool same = letter == other || letter == 0 || other == 0;
    const bool near = q != 0 && same && abs((q & 0xffff) - (k & 0xffff)) <= window;
    return near || key == 0 || (query <= 0 && key < 0);
}

/* The same lane by lane. */
CPU_INLINE ivec spots_see(ivec query, ivec key, int32_t window) {
    const ivec q = ivec_choose(query < 0, -query, query), k = ivec_choose(key < 0, -key, key);
    const ivec letter = q >> 16, other = k >> 16, apart = (q & 0xffff) - (k & 0xffff);
    const ivec same = (letter == other) | (letter == 0) | (other == 0);
    const ivec near = (q != 0) & same & (apart <= window) & (apart >= -window);
    return near | (key == 0) | ((query <= 0) & (key < 0));
}

#endif
