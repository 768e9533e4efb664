/* Compares attention with the double-precision reference. */
#ifndef DTRAIN_TESTS_ATTENTION_H
#define DTRAIN_TESTS_ATTENTION_H

#include "device.h"

/* Forward and backward, of random problems with these lengths; scale: of queries, keys and values;
 * window: of places, or 0. */
void attention_check(dt_backend *backend, const fixture_lengths *lengths, size_t C, size_t H,
                     double scale, int32_t window);

#endif
