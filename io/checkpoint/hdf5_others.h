/* Checks what dtrain has no use for in an HDF5 file, but other readers follow: they are told when a
 * file is verified. Everything here returns DT_OK if it is not. */
#ifndef DTRAIN_IO_HDF5_OTHERS_H
#define DTRAIN_IO_HDF5_OTHERS_H

#include "hdf5_file.h"

/* An address that is not there. */
#define DT_HDF5_NOWHERE UINT64_MAX

/* A fault of a part for other readers, if the file is being verified. */
#define DT_OTHERS_NEED(condition, in, part, ...)                                                   \
    do {                                                                                           \
        if ((in)->notes && !(condition)) {                                                         \
            const dt_status unusable =                                                             \
                dt_hdf5_unusable(in, part, __FILE__, __LINE__, __VA_ARGS__);                       \
            (in)->notes->last.others = true;                                                       \
            DT_TRY(dt_hdf5_note(in, unusable));                                                    \
        }                                                                                          \
    } while (0)

/* The superblock, of which dt_hdf5_file_open has read the rest. */
dt_status dt_hdf5_others_start(const dt_hdf5_file *in, const unsigned char start[96]);

/* What a link says about its object beside its address: a copy of what the object's header says. */
dt_status dt_hdf5_others_link(const dt_hdf5_file *in, const unsigned char entry[40],
                              const dt_hdf5_object *object);

/* The list of free room among a group's names. start: of the heap; names: (size) */
dt_status dt_hdf5_others_heap(const dt_hdf5_file *in, const char *part,
                              const unsigned char start[32], const char *names, size_t size);

/* A message of a header that says nothing about the contents. bytes: (size) */
dt_status dt_hdf5_others_message(const dt_hdf5_file *in, const char *part, unsigned type,
                                 const unsigned char *bytes, size_t size);

#endif
