/* Receives the bytes that HDF5 writes, and the first error of writing them. */
#ifndef DTRAIN_IO_HDF5_SINK_H
#define DTRAIN_IO_HDF5_SINK_H

#include <hdf5.h>
#include <stdint.h>

/**
 * An open file and the first error met while writing it.
 *
 * HDF5 1.10 cannot handle a failed write: H5Fclose then leaves the file half open, and the process
 * crashes when it exits. So HDF5 is told that every write succeeded; nothing more is written after
 * the first error, and the owner of the sink checks `error`.
 */
typedef struct {
    int file;
    int error;                       /* errno of the first failure, or 0 */
    unsigned char gathered[1 << 15]; /* small pieces that follow each other in the file */
    size_t gathered_size;
    uint64_t gathered_offset;
} dt_hdf5_sink;

/* A file driver that writes to sinks. Negative on error; to be given back with H5FDunregister. */
hid_t dt_hdf5_sink_register(void);

/* Let files created with this access list go to the sink, which must outlive them. Negative on
 * error. */
herr_t dt_hdf5_sink_use(hid_t access, hid_t driver, dt_hdf5_sink *sink);

#endif
