/* Numbers of 16 bits as float32, and back. Private to io/export. */
#ifndef DTRAIN_EXPORT_HALF_H
#define DTRAIN_EXPORT_HALF_H

#include <stdint.h>

/* IEEE 754 binary16. Rounds to nearest, ties to even; too large becomes infinite. */
uint16_t export_half(float x);
float export_half_value(uint16_t half);

/* bfloat16: the upper half of a float32. */
float export_bfloat16_value(uint16_t half);

#endif
