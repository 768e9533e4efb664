/* Reads and writes all bytes that are asked for, however few the system takes at a time. Private to
 * src/data/text. */
#ifndef DTRAIN_TEXT_BYTES_H
#define DTRAIN_TEXT_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Errno; 0: done, *got bytes, fewer than asked for only where the file ends. */
int dt_bytes_read(size_t *got, void *to, size_t size, int file, uint64_t offset);

/* Errno; 0: done. */
int dt_bytes_write(int file, const void *from, size_t size, uint64_t offset);

#endif
