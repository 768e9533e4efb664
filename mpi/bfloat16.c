/* Rounds floats to bfloat16 and back, for messages between nodes. */
#include "bfloat16.h"

#include <string.h>

#include "dtrain/core/memory.h"

DT_HOT void dt_bfloat16_pack(uint16_t *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        /* Rounding could carry a NaN over into the sign. */
        const uint32_t quiet = (bits >> 16) | 0x40;
        const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        y[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
    }
}

DT_HOT void dt_bfloat16_unpack(float *y, const uint16_t *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)x[i] << 16;
        memcpy(&y[i], &bits, sizeof bits);
    }
}
