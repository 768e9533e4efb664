/* Numbers of problems as the compiler's own, which arithmetic is compared with. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include "dtrain/arithmetic/number.h"

typedef unsigned __int128 wide;

/* x, which has at most 128 bits, as an initialiser. */
#define WIDE(x)                                                                                    \
    {                                                                                              \
        { (uint64_t)(x), (uint64_t)((wide)(x) >> 64) }                                             \
    }

/* Its lowest 128 bits. */
static inline wide wide_of(dt_number n) { return (wide)n.limb[1] << 64 | n.limb[0]; }

static inline dt_number number_of(wide x) { return (dt_number)WIDE(x); }

#endif
