/* Little-endian numbers out of bytes that may end anywhere. */
#ifndef DTRAIN_IO_HDF5_BYTES_H
#define DTRAIN_IO_HDF5_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const unsigned char *at;
    size_t left;
} bytes_left;

/* The next bytes, or NULL if there are not so many. */
static inline const unsigned char *take(bytes_left *bytes, size_t size) {
    if (size > bytes->left) return NULL;
    const unsigned char *at = bytes->at;
    bytes->at += size;
    bytes->left -= size;
    return at;
}

static inline unsigned load16(const unsigned char *at) { return at[0] | (unsigned)at[1] << 8; }

static inline uint32_t load32(const unsigned char *at) {
    return load16(at) | (uint32_t)load16(at + 2) << 16;
}

static inline uint64_t load64(const unsigned char *at) {
    return load32(at) | (uint64_t)load32(at + 4) << 32;
}

/* Whether a name ends within its bytes and is plain: no blanks, slashes or control characters. */
static inline _Bool is_name(const char *name, size_t size) {
    const char *end = memchr(name, '\0', size);
    if (!end || end == name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return 0;
    for (; name < end; name++) {
        if (*name <= ' ' || *name > '~' || *name == '/') return 0;
    }
    return 1;
}

/* "/state: attribute step" */
static inline void describe(char *text, size_t size, const char *path, const char *attribute) {
    snprintf(text, size, "%s: attribute %s", path, attribute);
}

#endif
