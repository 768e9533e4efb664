/* Reads the part of the HDF5 file format that checkpoints are written in, and trusts nothing in the
 * file.
 *
 * The HDF5 library is not used here: version 1.10.8 crashes on about 3 in 1,000 files with one or
 * two damaged bytes, before it can say anything about them. The oldest file format, which dtrain
 * writes, is small enough to be read strictly: every offset and size is checked before it is used,
 * and all that is read together is never more than the file. Whatever is built otherwise (links,
 * filters, chunks, other types, newer formats) is refused.
 *
 * Source: "HDF5 File Format Specification Version 3.0", superblock version 0.
 */
#ifndef DTRAIN_IO_HDF5_READ_H
#define DTRAIN_IO_HDF5_READ_H

#include <stdint.h>

#include "dtrain/checkpoint/checkpoint.h"
#include "stored.h"

/* A scalar attribute. */
typedef struct {
    const char *name;
    dt_stored_type type;
    const unsigned char *bytes; /* type.size of them */
} dt_hdf5_attribute;

typedef struct {
    char path[DT_STORED_PATH_MAX]; /* "/weights/tok_embed" */
    size_t first_attribute, attributes;
    bool group;
    uint64_t tree, heap; /* of a group: where its links are */
    dt_stored_type type; /* of a dataset, from here on */
    size_t rank, extent[DT_STORED_RANK_MAX];
    uint64_t offset; /* of its bytes in the file */
    size_t size;     /* bytes */
} dt_hdf5_object;

/* Keeps what is wrong while a file is verified. */
typedef struct {
    dt_verdict *verdict;
    dt_fault last; /* what the last error was about */
} dt_fault_notes;

typedef struct {
    const char *path; /* the caller's */
    int file;
    dt_fault_notes *notes; /* the caller's; NULL: the first fault is an error */
    uint64_t size;
    uint64_t unread;        /* bytes that may still be read: an honest file holds each byte once */
    size_t reads;           /* of metadata so far */
    dt_hdf5_object *object; /* [0] is the root group; sorted by path after dt_hdf5_walk */
    size_t objects, object_capacity;
    dt_hdf5_attribute *attribute;
    size_t attributes, attribute_capacity;
    void **block; /* pieces of metadata that names and values point into */
    size_t blocks, block_capacity;
} dt_hdf5_file;

/* Raise DT_ERR_DATA about a part of a file. */
#define DT_UNUSABLE(in, part, ...)                                                                 \
    return dt_hdf5_unusable(in, part, __FILE__, __LINE__, __VA_ARGS__)
#define DT_USABLE(condition, in, part, ...)                                                        \
    do {                                                                                           \
        if (!(condition)) DT_UNUSABLE(in, part, __VA_ARGS__);                                      \
    } while (0)
dt_status dt_hdf5_unusable(const dt_hdf5_file *in, const char *part, const char *source, int line,
                           const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/**
 * A fault in one part, without which the others can still be looked at: entered in the notes if the
 * file is being verified, and then an error no more.
 */
dt_status dt_hdf5_note(const dt_hdf5_file *in, dt_status status);

/* How many faults have been noted. */
size_t dt_hdf5_faults(const dt_hdf5_file *in);

/**
 * Open a file and read the attributes of its root group.
 *
 * @param notes  NULL: the first fault is an error
 * @return DT_ERR_NO_INPUT: cannot be opened; DT_ERR_DATA: not HDF5, truncated, damaged; DT_ERR_IO;
 * dt_hdf5_close it in any case
 */
dt_status dt_hdf5_open(dt_hdf5_file *in, const char *path, dt_fault_notes *notes);

/* Read all that is below the named groups of the root; others are not looked at. */
dt_status dt_hdf5_walk(dt_hdf5_file *in, const char *const *group, size_t groups);

void dt_hdf5_close(dt_hdf5_file *in);

/* NULL: not there. */
const dt_hdf5_object *dt_hdf5_find(const dt_hdf5_file *in, const char *path);
const dt_hdf5_attribute *dt_hdf5_find_attribute(const dt_hdf5_file *in,
                                                const dt_hdf5_object *object, const char *name);

/* An attribute of that type must be there: its value. DT_ERR_DATA. */
dt_status dt_hdf5_value(void *value, const dt_hdf5_file *in, const char *path, const char *name,
                        dt_stored_type type);

/* A dataset of that type and shape must be there. DT_ERR_DATA. */
dt_status dt_hdf5_dataset(const dt_hdf5_object **dataset, const dt_hdf5_file *in, const char *path,
                          dt_stored_type type, size_t rank, const size_t *extent);

/* Read the bytes of a dataset (NULL: only look at them) and compare them with its digest.
 * DT_ERR_DATA, DT_ERR_IO. */
dt_status dt_hdf5_bytes(void *bytes, const dt_hdf5_file *in, const dt_hdf5_object *dataset);

/* Compare names, types, shapes, attributes and the datasets' digests with the digest of the file.
 * DT_ERR_DATA. With notes: not if some parts are known to be damaged already. */
dt_status dt_hdf5_verify(const dt_hdf5_file *in);

/* `size` bytes of metadata at an offset, once. For the parts of the reader. */
dt_status dt_hdf5_metadata(void *bytes, dt_hdf5_file *in, uint64_t offset, size_t size,
                           const char *part);

/* Read the header at `address` as the last object. What it has taken is given back if it cannot be
 * used. */
dt_status dt_hdf5_header(dt_hdf5_file *in, uint64_t address, const char *path);

#endif
