/* Reads one object of an HDF5 file. */
#ifndef DTRAIN_IO_HDF5_HEADER_H
#define DTRAIN_IO_HDF5_HEADER_H

#include "hdf5_file.h"

/* Read the header at `address` as the last object. What it has taken is given back if it cannot be
 * used. */
dt_status dt_hdf5_header(dt_hdf5_file *in, uint64_t address, const char *path);

#endif
