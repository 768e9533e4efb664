/* Which kernels computed a start, as the history keeps it: the bits depend on it. */
#ifndef DTRAIN_KERNELS_H
#define DTRAIN_KERNELS_H

#include <stddef.h>

/* Bytes for the appended text. */
enum { DT_KERNELS_MAX = 128 };

/* Append "; cpu: OpenBLAS 0.3.21, Cooperlake kernels" to "n1*2; 1 CPU per rank": at most
 * DT_KERNELS_MAX - 1 bytes, cut to what fits.
 *
 * @param size  of host, including the text that is already there */
void dt_kernels_append(char *host, size_t size, const char *backend, const char *description);

/* The appended text: "cpu: OpenBLAS …"; "" if there is none. */
const char *dt_kernels_of(const char *host);

#endif
