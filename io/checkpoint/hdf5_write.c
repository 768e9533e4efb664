/* The only file that speaks to the HDF5 library while a checkpoint is written. */
#include "hdf5_write.h"

#include <stdio.h>
#include <string.h>

#include "dtrain/file/replace.h"

/* HDF5's stack of errors ends with the cause: keep its text. */
static herr_t keep_first(unsigned depth, const H5E_error2_t *error, void *text) {
    if (depth == 0 && error->desc) snprintf(text, 256, "%s", error->desc);
    return 0;
}

/* Turn a failed call into a status. An error of the disk is reported rather than HDF5's own. */
static dt_status failed(const dt_hdf5_writer *writer, const char *what) {
    char reason[128], text[256] = "no reason given";
    DT_REQUIRE(!writer->sink.error, DT_ERR_IO, "cannot write %s: %s", writer->path,
               dt_file_reason(writer->sink.error, reason));
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, text);
    DT_RAISE(DT_ERR_IO, "cannot write %s: HDF5 fails at %s: %s", writer->path, what, text);
}

#define TRY_HDF5(call, what)                                                                       \
    do {                                                                                           \
        if ((call) < 0) return failed(writer, what);                                               \
    } while (0)

#define TRY_HDF5_DONE(call, what)                                                                  \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            status = failed(writer, what);                                                         \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

/* Metadata stays in memory until the end: HDF5 must not read back what a full disk did not store.
 */
static herr_t keep_metadata(hid_t access) {
    H5AC_cache_config_t cache = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    if (H5Pget_mdc_config(access, &cache) < 0) return -1;
    cache.evictions_enabled = false;
    cache.incr_mode = H5C_incr__off;
    cache.flash_incr_mode = H5C_flash_incr__off;
    cache.decr_mode = H5C_decr__off;
    return H5Pset_mdc_config(access, &cache);
}

/* The oldest file format, which every HDF5 since 1.8 reads and which has no open-for-write flags.
 */
static dt_status create_file(dt_hdf5_writer *writer) {
    dt_status status = DT_OK;
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    TRY_HDF5_DONE(access, "its start");
    TRY_HDF5_DONE(creation, "its start");
    TRY_HDF5_DONE(H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18), "its start");
    TRY_HDF5_DONE(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), "its start");
    TRY_HDF5_DONE(keep_metadata(access), "its start");
    TRY_HDF5_DONE(dt_hdf5_sink_use(access, writer->driver, &writer->sink), "its start");
    TRY_HDF5_DONE(H5Pset_obj_track_times(creation, false), "its start");
    writer->file = H5Fcreate(writer->path, H5F_ACC_TRUNC, creation, access);
    TRY_HDF5_DONE(writer->file, "its start");
done:
    if (creation >= 0) H5Pclose(creation);
    if (access >= 0) H5Pclose(access);
    return status;
}

dt_status dt_hdf5_writer_open(dt_hdf5_writer *writer, int file, const char *path) {
    *writer = (dt_hdf5_writer){.path = path,
                               .sink = {.file = file},
                               .driver = H5I_INVALID_HID,
                               .file = H5I_INVALID_HID,
                               .group_creation = H5I_INVALID_HID,
                               .dataset_creation = H5I_INVALID_HID};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* errors are reported in our words */
    TRY_HDF5(writer->driver = dt_hdf5_sink_register(), "its driver");
    DT_TRY(create_file(writer));
    TRY_HDF5(writer->group_creation = H5Pcreate(H5P_GROUP_CREATE), "its start");
    TRY_HDF5(writer->dataset_creation = H5Pcreate(H5P_DATASET_CREATE), "its start");
    /* No times, and no bytes that do not follow from the data. */
    TRY_HDF5(H5Pset_obj_track_times(writer->group_creation, false), "its start");
    TRY_HDF5(H5Pset_obj_track_times(writer->dataset_creation, false), "its start");
    TRY_HDF5(H5Pset_fill_time(writer->dataset_creation, H5D_FILL_TIME_NEVER), "its start");
    return DT_OK;
}

dt_status dt_hdf5_writer_group(dt_hdf5_writer *writer, const char *path) {
    const htri_t exists = H5Lexists(writer->file, path, H5P_DEFAULT);
    TRY_HDF5(exists, path);
    if (exists) return DT_OK;
    const hid_t group =
        H5Gcreate2(writer->file, path, H5P_DEFAULT, writer->group_creation, H5P_DEFAULT);
    TRY_HDF5(group, path);
    TRY_HDF5(H5Gclose(group), path);
    return DT_OK;
}

/* The groups above an object. */
static dt_status make_parents(dt_hdf5_writer *writer, const char *path) {
    char parent[DT_STORED_PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        const size_t length = (size_t)(slash - path);
        DT_REQUIRE(length < sizeof parent, DT_ERR_INTERNAL, "the name %s is too long", path);
        memcpy(parent, path, length);
        parent[length] = '\0';
        DT_TRY(dt_hdf5_writer_group(writer, parent));
    }
    return DT_OK;
}

/* To be closed with H5Tclose. */
static hid_t open_type(dt_stored_type type) {
    switch (type.kind) {
    case DT_STORED_INT64: return H5Tcopy(H5T_STD_I64LE);
    case DT_STORED_FLOAT32: return H5Tcopy(H5T_IEEE_F32LE);
    case DT_STORED_FLOAT64: return H5Tcopy(H5T_IEEE_F64LE);
    case DT_STORED_UINT8: return H5Tcopy(H5T_STD_U8LE);
    case DT_STORED_TEXT: break;
    }
    const hid_t text = H5Tcopy(H5T_C_S1);
    if (text >= 0 && H5Tset_size(text, type.size) >= 0 &&
        H5Tset_strpad(text, H5T_STR_NULLPAD) >= 0 && H5Tset_cset(text, H5T_CSET_UTF8) >= 0) {
        return text;
    }
    if (text >= 0) H5Tclose(text);
    return H5I_INVALID_HID;
}

/* On an open object; not in the manifest. */
static dt_status put_attribute(dt_hdf5_writer *writer, hid_t object, const char *path,
                               const char *name, dt_stored_type type, const void *bytes) {
    dt_status status = DT_OK;
    const hid_t stored = open_type(type), space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5I_INVALID_HID;
    TRY_HDF5_DONE(stored, path);
    TRY_HDF5_DONE(space, path);
    attribute = H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    TRY_HDF5_DONE(attribute, path);
    TRY_HDF5_DONE(H5Awrite(attribute, stored, bytes), path);
done:
    if (attribute >= 0 && H5Aclose(attribute) < 0 && status == DT_OK) status = failed(writer, path);
    if (space >= 0) H5Sclose(space);
    if (stored >= 0) H5Tclose(stored);
    return status;
}

dt_status dt_hdf5_writer_attribute(dt_hdf5_writer *writer, const char *path, const char *name,
                                   dt_stored_type type, const void *bytes) {
    const hid_t object = H5Oopen(writer->file, path, H5P_DEFAULT);
    TRY_HDF5(object, path);
    const dt_status status = put_attribute(writer, object, path, name, type, bytes);
    const herr_t closed = H5Oclose(object);
    DT_TRY(status);
    TRY_HDF5(closed, path);
    return dt_manifest_add_attribute(&writer->manifest, path, name, type, bytes);
}

dt_status dt_hdf5_writer_dataset(dt_hdf5_writer *writer, const char *path, dt_stored_type type,
                                 size_t rank, const size_t *extent, const void *bytes) {
    dt_status status = DT_OK;
    hsize_t size[DT_STORED_RANK_MAX] = {0};
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        size[i] = extent[i];
        count *= extent[i];
    }
    DT_TRY(make_parents(writer, path));
    const dt_digest digest = dt_digest_of(bytes, count * type.size);
    const hid_t stored = open_type(type);
    const hid_t space = rank ? H5Screate_simple((int)rank, size, NULL) : H5Screate(H5S_SCALAR);
    hid_t dataset = H5I_INVALID_HID;
    TRY_HDF5_DONE(stored, path);
    TRY_HDF5_DONE(space, path);
    dataset = H5Dcreate2(writer->file, path, stored, space, H5P_DEFAULT, writer->dataset_creation,
                         H5P_DEFAULT);
    TRY_HDF5_DONE(dataset, path);
    if (count > 0) {
        TRY_HDF5_DONE(H5Dwrite(dataset, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes), path);
    }
    DT_TRY_DONE(
        put_attribute(writer, dataset, path, "digest", DT_TEXT(DT_DIGEST_LENGTH), digest.text));
    DT_TRY_DONE(dt_manifest_add_dataset(&writer->manifest, path, type, rank, extent, digest.text));
done:
    if (dataset >= 0 && H5Dclose(dataset) < 0 && status == DT_OK) status = failed(writer, path);
    if (space >= 0) H5Sclose(space);
    if (stored >= 0) H5Tclose(stored);
    return status;
}

dt_status dt_hdf5_writer_finish(dt_hdf5_writer *writer, dt_digest *digest) {
    DT_TRY(dt_manifest_digest(digest, &writer->manifest));
    const hid_t root = H5Gopen2(writer->file, "/", H5P_DEFAULT);
    TRY_HDF5(root, "/");
    const dt_status status =
        put_attribute(writer, root, "/", "digest", DT_TEXT(DT_DIGEST_LENGTH), digest->text);
    const herr_t group_closed = H5Gclose(root);
    DT_TRY(status);
    TRY_HDF5(group_closed, "/");
    const herr_t closed = H5Fclose(writer->file);
    writer->file = H5I_INVALID_HID;
    TRY_HDF5(closed, "its end");
    return writer->sink.error ? failed(writer, "its end") : DT_OK;
}

void dt_hdf5_writer_close(dt_hdf5_writer *writer) {
    /* After an error nothing more may be written to the file, which is about to be removed. */
    if (!writer->sink.error) writer->sink.error = -1;
    if (writer->file >= 0) H5Fclose(writer->file);
    if (writer->group_creation >= 0) H5Pclose(writer->group_creation);
    if (writer->dataset_creation >= 0) H5Pclose(writer->dataset_creation);
    if (writer->driver >= 0) H5FDunregister(writer->driver);
    dt_manifest_clear(&writer->manifest);
    writer->file = writer->group_creation = writer->dataset_creation = H5I_INVALID_HID;
    writer->driver = H5I_INVALID_HID;
}
