/* Reads all objects below some groups of an HDF5 file. */
#ifndef DTRAIN_IO_HDF5_LINKS_H
#define DTRAIN_IO_HDF5_LINKS_H

#include "hdf5_file.h"

/* Read all that is below the named groups of the root, in an open file; other groups are not looked
 * at. Afterwards the objects are sorted by path. */
dt_status dt_hdf5_walk(dt_hdf5_file *in, const char *const *group, size_t groups);

#endif
