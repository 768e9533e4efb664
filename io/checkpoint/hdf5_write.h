/* Writes an HDF5 file of the few kinds of objects a checkpoint has, each with its digest. */
#ifndef DTRAIN_IO_HDF5_WRITE_H
#define DTRAIN_IO_HDF5_WRITE_H

#include <hdf5.h>

#include "hdf5_sink.h"
#include "manifest.h"

typedef struct {
    const char *path; /* of the file, for messages; the caller's */
    dt_hdf5_sink sink;
    hid_t driver, file;
    hid_t group_creation, dataset_creation;
    dt_manifest manifest; /* of all that has been written */
} dt_hdf5_writer;

/**
 * Begin an HDF5 file in an open, empty one.
 *
 * @param file  read-write; stays the caller's
 * @return DT_ERR_IO; dt_hdf5_writer_close it, also after an error
 */
dt_status dt_hdf5_writer_open(dt_hdf5_writer *writer, int file, const char *path);

/* A group; those above it must be there. Nothing happens if it is there already. */
dt_status dt_hdf5_writer_group(dt_hdf5_writer *writer, const char *path);

/* A scalar attribute of the object at `path`. */
dt_status dt_hdf5_writer_attribute(dt_hdf5_writer *writer, const char *path, const char *name,
                                   dt_stored_type type, const void *bytes);

/* A contiguous dataset and its attribute `digest`; makes the groups above it that are not there. */
dt_status dt_hdf5_writer_dataset(dt_hdf5_writer *writer, const char *path, dt_stored_type type,
                                 size_t rank, const size_t *extent, const void *bytes);

/**
 * Write the digest of all as an attribute of /, and close the file.
 *
 * @return DT_ERR_IO if anything, from the start, did not get to the file
 */
dt_status dt_hdf5_writer_finish(dt_hdf5_writer *writer, dt_digest *digest);

/* Give back what the writer holds; keeps the last error. */
void dt_hdf5_writer_close(dt_hdf5_writer *writer);

#endif
