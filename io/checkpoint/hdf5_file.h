/* A file in the part of the HDF5 format that checkpoints are written in: what has been read of it,
 * and the faults that were found. Nothing in the file is trusted.
 *
 * The HDF5 library is not used here: version 1.10.8 crashes on about 3 in 1,000 files with one or
 * two damaged bytes, before it can say anything about them. The oldest file format, which dtrain
 * writes, is small enough to be read strictly: every offset and size is checked before it is used,
 * and all that is read together is never more than the file. Anything else (symbolic
 * links, filters, chunks, other types, newer formats) is refused.
 *
 * Source: "HDF5 File Format Specification Version 3.0", superblock version 0.
 */
#ifndef DTRAIN_IO_HDF5_FILE_H
#define DTRAIN_IO_HDF5_FILE_H

#include <stdint.h>

#include "dtrain/checkpoint/checkpoint.h"
#include "stored.h"

/* A scalar attribute. */
typedef struct {
    const char *name;
    dt_stored_type type;
    const unsigned char *bytes; /* type.size of them; NULL: it cannot be read, see foreign */
    bool foreign;               /* of /, and none that this dtrain writes */
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
    dt_fault_notes *notes;  /* the caller's; NULL: the first fault is an error */
    const char *const *own; /* names of the attributes of / that must be readable */
    size_t own_count;
    uint64_t size;
    uint64_t unread; /* bytes that may still be read: an honest file holds each byte once */
    size_t reads;    /* of metadata so far */
    unsigned char root_link[40];
    dt_hdf5_object *object; /* [0] is the root group; sorted by path after the walk */
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
 * A fault in one part, while the other parts can still be checked: if the file is being verified,
 * it is entered in the notes and is no longer an error.
 */
dt_status dt_hdf5_note(const dt_hdf5_file *in, dt_status status);

/* Something that is not wrong: kept if the file is being verified. */
dt_status dt_hdf5_remark(const dt_hdf5_file *in, const char *part, const char *what);

/* Whether a fault has been noted for which dtrain refuses the file. */
bool dt_hdf5_refused(const dt_hdf5_file *in);

/**
 * Open a file and read its superblock.
 *
 * @param[out] root  address of the header of the root group
 * @param notes      NULL: the first fault is an error
 * @return DT_ERR_NO_INPUT: cannot be opened; DT_ERR_DATA: not HDF5, truncated; DT_ERR_IO;
 * dt_hdf5_close it in any case
 */
dt_status dt_hdf5_file_open(dt_hdf5_file *in, uint64_t *root, const char *path,
                            dt_fault_notes *notes);

/* Give back the file and everything that was read from it. */
void dt_hdf5_close(dt_hdf5_file *in);

/* `size` bytes at an offset; `part` names what is read, for messages. DT_ERR_DATA, DT_ERR_IO. */
dt_status dt_hdf5_read_at(void *bytes, const dt_hdf5_file *in, uint64_t offset, size_t size,
                          const char *part);

/* The same for metadata, which is read once: all of it together is never more than the file. */
dt_status dt_hdf5_metadata(void *bytes, dt_hdf5_file *in, uint64_t offset, size_t size,
                           const char *part);

#endif
