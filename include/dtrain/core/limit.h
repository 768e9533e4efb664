/* Limits on the memory of this process: asked before much is allocated, since libraries hang or die
 * where they meet one. */
#ifndef DTRAIN_LIMIT_H
#define DTRAIN_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of address space that may still be mapped (ulimit -v); infinite: no limit. */
double dt_limit_address_space(void);

/**
 * Bytes of memory that the control groups of this process leave, over all processes in them;
 * infinite: no limit. Files in the page cache count as free.
 *
 * @param groups  "/proc/self/cgroup"
 * @param mount   "/sys/fs/cgroup"; version 2, or version 1 with its folder "memory"
 */
double dt_limit_cgroup(const char *groups, const char *mount);

/* Whether so many bytes of memory can be mapped now. */
bool dt_limit_allows(size_t bytes);

/* Why not, as the end of a sentence, and what to do about it. */
enum { DT_LIMIT_TEXT = 128 };
const char *dt_limit_text(char text[DT_LIMIT_TEXT]);

#endif
