/* Looks for NaN and infinity at memory speed. */
#include "finite.h"

#include <stdint.h>
#include <string.h>

#include "dtrain/core/memory.h"

/* An exponent of all ones is NaN or infinity; compared as integers, so that no compiler flag can
 * optimise it away. */
static const uint32_t EXPONENT = 0x7f800000u;

DT_HOT static uint32_t any_special(const float *x, size_t count) {
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        any |= (bits & EXPONENT) == EXPONENT;
    }
    return any;
}

size_t dt_finite_count(const float *x, size_t count) {
    enum { BLOCK = 4096 };
    for (size_t i = 0; i < count; i += BLOCK) {
        const size_t n = dt_min_size(BLOCK, count - i);
        if (!any_special(x + i, n)) continue;
        for (size_t j = i; j < i + n; j++) {
            if (any_special(x + j, 1)) return j;
        }
    }
    return count;
}

size_t dt_finite_elements(const void *bytes, dt_element element, size_t count) {
    switch (element) {
    case DT_ELEMENT_Q8_0: return dt_q8_0_finite(bytes, count);
    case DT_ELEMENT_NF4: return dt_nf4_finite(bytes, count);
    default: return dt_finite_count(bytes, count);
    }
}
