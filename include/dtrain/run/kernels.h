/* What a start was computed with, as the history keeps it: the bits depend on it. */
#ifndef DTRAIN_KERNELS_H
#define DTRAIN_KERNELS_H

#include <stddef.h>

/* Room for what is appended. */
enum { DT_KERNELS_MAX = 128 };

/* Append "; cpu: OpenBLAS 0.3.21, Cooperlake kernels" to "n1*2; 1 CPU per rank": at most
 * DT_KERNELS_MAX - 1 bytes, and as many as there is room for.
 *
 * @param size  of host, with what stands there already
 */
void dt_kernels_append(char *host, size_t size, const char *backend, const char *description);

/* What was appended: "cpu: OpenBLAS …"; "": nothing was. */
const char *dt_kernels_of(const char *host);

#endif
