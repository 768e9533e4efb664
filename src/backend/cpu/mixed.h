/* Elements of tensors that may be float32 or bfloat16, one at a time. */
#ifndef DTRAIN_CPU_MIXED_H
#define DTRAIN_CPU_MIXED_H

#include "cpu.h"

static inline float mixed_load(dt_tensor tensor, size_t i) {
    if (tensor.element == DT_ELEMENT_FLOAT32) return cpu_f32(tensor)[i];
    const uint32_t bits = (uint32_t)cpu_bf16(tensor)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* bfloat16: to the nearest one, ties to even; a NaN stays one. */
static inline void mixed_store(dt_tensor tensor, size_t i, float value) {
    if (tensor.element == DT_ELEMENT_FLOAT32) {
        cpu_f32(tensor)[i] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    cpu_bf16(tensor)[i] = (uint16_t)(value == value ? nearest : (bits >> 16) | 0x40);
}

#define CPU_MIXED(operation, ...)                                                                  \
    for (size_t i_ = 0; i_ < sizeof((const dt_tensor[]){__VA_ARGS__}) / sizeof(dt_tensor); i_++) { \
        const dt_tensor t_ = ((const dt_tensor[]){__VA_ARGS__})[i_];                               \
        if (t_.element != DT_ELEMENT_BFLOAT16) CPU_FLOATS(operation, t_);                          \
    }

#endif
