/* The two halves of reading a checkpoint; verifying checks the bytes between them. */
#ifndef DTRAIN_IO_CHECKPOINT_READ_H
#define DTRAIN_IO_CHECKPOINT_READ_H

#include "hdf5_read.h"

/* Check that it is a checkpoint of a known format, list its objects, and check that names, types,
 * shapes and attributes have the digest of the file. DT_ERR_DATA. */
dt_status dt_checkpoint_survey(dt_hdf5_file *in);

/* Fill the checkpoint from a file that has been surveyed. DT_ERR_DATA. */
dt_status dt_checkpoint_fill(dt_checkpoint *checkpoint, dt_hdf5_file *in, dt_read_depth depth);

#endif
