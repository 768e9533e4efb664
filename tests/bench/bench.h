/* Shared by the benchmarks. */
#ifndef BENCH_H
#define BENCH_H

#include "dtrain/core/config.h"

/* Seconds since some moment in the past. */
typedef double clock_reader(void);

/* Processor time of this thread, without that of other processes. Reading it takes longer than
 * reading the time. */
double processor_seconds(void);

/* Sorts x. */
double median(double *x, size_t count);

/* "width=256": any setting of a run by its name. DT_ERR_ARG. */
dt_status read_setting(dt_config *config, const char *text);

#endif
