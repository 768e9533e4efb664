/* Numbers of 16 bits as float32, and back. */
#ifndef DTRAIN_HALF_H
#define DTRAIN_HALF_H

#include <stdint.h>

/* IEEE 754 binary16. Rounds to nearest, ties to even; too large becomes infinite. */
uint16_t dt_half(float x);
float dt_half_value(uint16_t half);

/* bfloat16: the upper half of a float32. */
float dt_bfloat16_value(uint16_t half);

#endif
