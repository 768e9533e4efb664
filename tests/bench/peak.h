/* The peak of the processor: multiplications and additions in registers only. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "bench.h"

/* FLOP per second on this core with the processor's widest vectors; 0 if it has no such instruction
 * that is known here. Each takes about `seconds`. */
double peak_float32(clock_reader *now, double seconds);
/* Of VDPBF16PS. */
double peak_bfloat16(clock_reader *now, double seconds);

#endif
