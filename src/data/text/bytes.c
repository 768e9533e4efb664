/* Reads and writes all bytes that are asked for, however few the system takes at a time. */
#include "bytes.h"

#include <errno.h>
#include <unistd.h>

int dt_bytes_read(size_t *got, void *to, size_t size, int file, uint64_t offset) {
    *got = 0;
    while (*got < size) {
        const ssize_t n = pread(file, (char *)to + *got, size - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) break;
        *got += (size_t)n;
    }
    return 0;
}

int dt_bytes_write(int file, const void *from, size_t size, uint64_t offset) {
    for (size_t put = 0; put < size;) {
        const ssize_t n = pwrite(file, (const char *)from + put, size - put, (off_t)(offset + put));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        put += (size_t)n;
    }
    return 0;
}
