/* Checks what other readers of HDF5 need, and dtrain does not. Source: "HDF5 File Format
 * Specification Version 3.0"; which of it the library looks at was found by changing every bit. */
#include "hdf5_others.h"

#include <string.h>

#include "hdf5_bytes.h"

dt_status dt_hdf5_others_start(const dt_hdf5_file *in, const unsigned char start[96]) {
    /* Half of the links of a leaf and of a node, and flags. */
    static const unsigned char sizes[8] = {4, 0, 16, 0, 0, 0, 0, 0};
    enum { SIZES = 16, FREE_ROOM = 32, DRIVER = 48 };
    DT_OTHERS_NEED(memcmp(start + SIZES, sizes, sizeof sizes) == 0, in, "its start",
                   "the sizes of its lists of links are not those that dtrain writes");
    DT_OTHERS_NEED(load64(start + FREE_ROOM) == DT_HDF5_NOWHERE &&
                       load64(start + DRIVER) == DT_HDF5_NOWHERE,
                   in, "its start", "it points to something that dtrain does not write");
    return DT_OK;
}

dt_status dt_hdf5_others_link(const dt_hdf5_file *in, const unsigned char entry[40],
                              const dt_hdf5_object *object) {
    enum { NOTHING = 0, LISTS = 1 };
    const uint32_t kept = load32(entry + 16);
    DT_OTHERS_NEED(kept == NOTHING ||
                       (kept == LISTS && object->group && load64(entry + 24) == object->tree &&
                        load64(entry + 32) == object->heap),
                   in, object->path, "the link to it does not say what its header says");
    return DT_OK;
}

dt_status dt_hdf5_others_heap(const dt_hdf5_file *in, const char *part,
                              const unsigned char start[32], const char *names, size_t size) {
    enum { END = 1 };
    uint64_t at = load64(start + 16), found = 0;
    while (in->notes && at != END) {
        const bool fits = size >= 16 && at <= size - 16;
        const unsigned char *room = (const unsigned char *)names + (fits ? at : 0);
        const uint64_t length = fits ? load64(room + 8) : 0;
        found += length;
        DT_OTHERS_NEED(fits && length >= 16 && length <= size - at && found <= size, in, part,
                       "the list of free room among its names is damaged");
        if (!fits || length < 16 || found > size) return DT_OK;
        at = load64(room);
    }
    return DT_OK;
}

/* The value of elements that were never written: as a version, when, and whether there is one. */
static bool is_fill(const unsigned char *bytes, size_t size) {
    if (size < 4 || bytes[0] < 1 || bytes[0] > 2) return false;
    if (bytes[1] > 3 || bytes[2] > 2 || bytes[3] > 1) return false;
    if (bytes[0] == 2 && bytes[3] == 0) return true;
    return size >= 8 && load32(bytes + 4) <= size - 8;
}

static bool is_old_fill(const unsigned char *bytes, size_t size) {
    return size >= 4 && load32(bytes) > 0 && load32(bytes) <= size - 4;
}

static bool is_old_time(const unsigned char *bytes, size_t size) {
    enum { DIGITS = 14 };
    for (size_t i = 0; i < DIGITS; i++) {
        if (i >= size || bytes[i] < '0' || bytes[i] > '9') return false;
    }
    return true;
}

dt_status dt_hdf5_others_message(const dt_hdf5_file *in, const char *part, unsigned type,
                                 const unsigned char *bytes, size_t size) {
    enum { FILL_OLD = 0x04, FILL = 0x05, COMMENT = 0x0D, TIME_OLD = 0x0E, TIME = 0x12 };
    bool good = true;
    switch (type) {
    case FILL_OLD: good = is_old_fill(bytes, size); break;
    case FILL: good = is_fill(bytes, size); break;
    case COMMENT: good = memchr(bytes, '\0', size) != NULL; break;
    case TIME_OLD: good = is_old_time(bytes, size); break;
    case TIME: good = size >= 8 && bytes[0] == 1; break;
    default: break;
    }
    DT_OTHERS_NEED(good, in, part, "a part of its header (message 0x%04x) is damaged", type);
    return DT_OK;
}
