/* A virtual file driver of HDF5 that hides disk errors from the library, which cannot handle them.
 */
#include "hdf5_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 13, 2)
#include <H5FDdevelop.h>
#endif

#include "dtrain/file/replace.h"

/* HDF5 sees the first member only. */
typedef struct {
    H5FD_t base;
    dt_hdf5_sink *sink;
    haddr_t allocated; /* end of what HDF5 has given out ("eoa") */
    haddr_t end;       /* end of what has been written ("eof") */
} sink_file;

typedef struct {
    dt_hdf5_sink *sink;
} sink_settings;

static const haddr_t LARGEST = (haddr_t)INT64_MAX;

static H5FD_t *sink_open(const char *name, unsigned flags, hid_t access, haddr_t largest) {
    (void)name, (void)flags, (void)largest;
    const sink_settings *settings = H5Pget_driver_info(access);
    sink_file *file =
        settings ? calloc(1, sizeof *file) : NULL; /* freed in sink_close, by HDF5's order */
    if (!file) return NULL;
    file->sink = settings->sink;
    return &file->base;
}

static void write_gathered(dt_hdf5_sink *sink) {
    if (!sink->error && sink->gathered_size > 0) {
        sink->error =
            dt_file_write(sink->file, sink->gathered, sink->gathered_size, sink->gathered_offset);
    }
    sink->gathered_size = 0;
}

/* One system call for the many small datasets and headers that follow each other. */
static void gather(dt_hdf5_sink *sink, const void *bytes, size_t size, uint64_t offset) {
    if (offset != sink->gathered_offset + sink->gathered_size ||
        size > sizeof sink->gathered - sink->gathered_size) {
        write_gathered(sink);
    }
    if (size > sizeof sink->gathered) {
        if (!sink->error) sink->error = dt_file_write(sink->file, bytes, size, offset);
        return;
    }
    if (sink->gathered_size == 0) sink->gathered_offset = offset;
    memcpy(sink->gathered + sink->gathered_size, bytes, size);
    sink->gathered_size += size;
}

static herr_t sink_close(H5FD_t *base) {
    write_gathered(((sink_file *)base)->sink);
    free(base);
    return 0;
}

static herr_t sink_query(const H5FD_t *base, unsigned long *flags) {
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t sink_get_eoa(const H5FD_t *base, H5FD_mem_t type) {
    (void)type;
    return ((const sink_file *)base)->allocated;
}

static herr_t sink_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address) {
    (void)type;
    ((sink_file *)base)->allocated = address;
    return 0;
}

static haddr_t sink_get_eof(const H5FD_t *base, H5FD_mem_t type) {
    (void)type;
    return ((const sink_file *)base)->end;
}

/* HDF5 reads to fill its buffers; bytes that are not in the file read as zero. */
static herr_t sink_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size,
                        void *buffer) {
    (void)type, (void)transfer;
    const sink_file *file = (const sink_file *)base;
    char *next = buffer;
    write_gathered(file->sink);
    memset(buffer, 0, size);
    while (size > 0 && !file->sink->error) {
        const ssize_t got = pread(file->sink->file, next, size, (off_t)address);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) file->sink->error = errno;
        if (got <= 0) break;
        next += got;
        address += (haddr_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static herr_t sink_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                         size_t size, const void *buffer) {
    (void)type, (void)transfer;
    sink_file *file = (sink_file *)base;
    gather(file->sink, buffer, size, address);
    if (address + size > file->end) file->end = address + size;
    return 0;
}

static herr_t sink_truncate(H5FD_t *base, hid_t transfer, hbool_t closing) {
    (void)transfer, (void)closing;
    sink_file *file = (sink_file *)base;
    if (file->end == file->allocated) return 0;
    write_gathered(file->sink);
    if (!file->sink->error && ftruncate(file->sink->file, (off_t)file->allocated) != 0) {
        file->sink->error = errno;
    }
    file->end = file->allocated;
    return 0;
}

hid_t dt_hdf5_sink_register(void) {
    const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 2)
        .version = H5FD_CLASS_VERSION,
        .value = 0x6474, /* any that no other driver of this program has */
#endif
        .name = "dtrain",
        .maxaddr = LARGEST,
        .fc_degree = H5F_CLOSE_STRONG,
        .fapl_size = sizeof(sink_settings),
        .open = sink_open,
        .close = sink_close,
        .query = sink_query,
        .get_eoa = sink_get_eoa,
        .set_eoa = sink_set_eoa,
        .get_eof = sink_get_eof,
        .read = sink_read,
        .write = sink_write,
        .truncate = sink_truncate,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    return H5FDregister(&driver);
}

herr_t dt_hdf5_sink_use(hid_t access, hid_t driver, dt_hdf5_sink *sink) {
    const sink_settings settings = {sink};
    return H5Pset_driver(access, driver, &settings);
}
