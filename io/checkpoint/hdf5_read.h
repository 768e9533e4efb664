/* Finds, reads and verifies the objects of a checkpoint's HDF5 file. */
#ifndef DTRAIN_IO_HDF5_READ_H
#define DTRAIN_IO_HDF5_READ_H

#include "hdf5_file.h"

/**
 * Open a file and read the attributes of its root group.
 *
 * @param notes  NULL: the first fault is an error
 * @return DT_ERR_NO_INPUT: cannot be opened; DT_ERR_DATA: not HDF5, truncated, damaged; DT_ERR_IO;
 * dt_hdf5_close it in any case
 */
dt_status dt_hdf5_open(dt_hdf5_file *in, const char *path, dt_fault_notes *notes);

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

#endif
