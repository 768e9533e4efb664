/* What the processor can do at best: multiplications and additions in registers alone. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "bench.h"

/* FLOP per second on this core, of the widest vectors that the processor has; 0 where it has no
 * instruction for it that is known here. Each takes about `seconds`. */
double peak_float32(clock_reader *now, double seconds);
/* Of VDPBF16PS. */
double peak_bfloat16(clock_reader *now, double seconds);

#endif
