/* The two halves of reading a checkpoint, between which one that verifies looks at the bytes. */
#ifndef DTRAIN_IO_CHECKPOINT_READ_H
#define DTRAIN_IO_CHECKPOINT_READ_H

#include "hdf5_read.h"

/* Is it a checkpoint, of a format that is known; which objects are in it; do names, types, shapes
 * and attributes have the file's digest. DT_ERR_DATA. */
dt_status dt_checkpoint_survey(dt_hdf5_file *in);

/* Fill the checkpoint from a file that has been surveyed. DT_ERR_DATA. */
dt_status dt_checkpoint_fill(dt_checkpoint *checkpoint, dt_hdf5_file *in, dt_read_depth depth);

#endif
