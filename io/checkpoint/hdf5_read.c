/* Opens a checkpoint's HDF5 file, finds its objects, and reads and verifies their bytes. */
#include "hdf5_read.h"

#include <stdlib.h>
#include <string.h>

#include "dtrain/core/memory.h"
#include "hdf5_bytes.h"
#include "hdf5_header.h"
#include "hdf5_others.h"
#include "manifest.h"
#include "schema.h"

dt_status dt_hdf5_open(dt_hdf5_file *in, const char *path, dt_fault_notes *notes) {
    uint64_t root = 0;
    DT_TRY(dt_hdf5_file_open(in, &root, path, notes));
    in->own = dt_root_attribute;
    in->own_count = DT_ROOT_ATTRIBUTES;
    DT_TRY(dt_hdf5_header(in, root, "/"));
    DT_USABLE(in->object[0].group, in, "/", "not a group");
    return dt_hdf5_others_link(in, in->root_link, &in->object[0]);
}

/* ---- finding ---- */

static int compare_paths(const void *path, const void *object) {
    return strcmp(path, ((const dt_hdf5_object *)object)->path);
}

const dt_hdf5_object *dt_hdf5_find(const dt_hdf5_file *in, const char *path) {
    return bsearch(path, in->object, in->objects, sizeof *in->object, compare_paths);
}

const dt_hdf5_attribute *dt_hdf5_find_attribute(const dt_hdf5_file *in,
                                                const dt_hdf5_object *object, const char *name) {
    for (size_t i = 0; i < object->attributes; i++) {
        const dt_hdf5_attribute *attribute = &in->attribute[object->first_attribute + i];
        if (strcmp(attribute->name, name) == 0) return attribute;
    }
    return NULL;
}

dt_status dt_hdf5_value(void *value, const dt_hdf5_file *in, const char *path, const char *name,
                        dt_stored_type type) {
    const dt_hdf5_object *object = dt_hdf5_find(in, path);
    DT_USABLE(object, in, path, "is missing");
    const dt_hdf5_attribute *attribute = dt_hdf5_find_attribute(in, object, name);
    char where[2 * DT_STORED_PATH_MAX];
    describe(where, sizeof where, path, name);
    DT_USABLE(attribute && attribute->bytes, in, where, "is missing");
    DT_USABLE(dt_stored_equal(attribute->type, type), in, where, "has another type than it should");
    memcpy(value, attribute->bytes, type.size);
    return DT_OK;
}

dt_status dt_hdf5_dataset(const dt_hdf5_object **dataset, const dt_hdf5_file *in, const char *path,
                          dt_stored_type type, size_t rank, const size_t *extent) {
    const dt_hdf5_object *found = dt_hdf5_find(in, path);
    DT_USABLE(found && !found->group, in, path, "is missing");
    DT_USABLE(dt_stored_equal(found->type, type), in, path, "has another type than it should");
    DT_USABLE(found->rank == rank, in, path, "has %zu dimensions, not %zu", found->rank, rank);
    for (size_t i = 0; i < rank; i++) {
        DT_USABLE(found->extent[i] == extent[i], in, path,
                  "has extent %zu in dimension %zu, not %zu", found->extent[i], i, extent[i]);
    }
    *dataset = found;
    return DT_OK;
}

/* ---- bytes and digests ---- */

dt_status dt_hdf5_bytes(void *bytes, const dt_hdf5_file *in, const dt_hdf5_object *dataset) {
    enum { PIECE = 1 << 18 }; /* stays in the cache between reading and hashing */
    dt_status status = DT_OK;
    dt_digester *digester = NULL;
    char *scratch = NULL, expected[DT_DIGEST_LENGTH];
    DT_TRY(dt_hdf5_value(expected, in, dataset->path, "digest", DT_TEXT(DT_DIGEST_LENGTH)));
    DT_TRY_DONE(dt_digester_create(&digester));
    if (!bytes) {
        const size_t size = dt_min_size(PIECE, dt_max_size(dataset->size, 1));
        DT_TRY_DONE(dt_memory_alloc(&scratch, size, 1, "verification"));
    }
    dt_digester_start(digester);
    for (size_t at = 0; at < dataset->size; at += PIECE) {
        const size_t size = dt_min_size(PIECE, dataset->size - at);
        char *piece = bytes ? (char *)bytes + at : scratch;
        DT_TRY_DONE(dt_hdf5_read_at(piece, in, dataset->offset + at, size, dataset->path));
        dt_digester_add(digester, piece, size);
    }
    const dt_digest found = dt_digester_finish(digester);
    if (memcmp(found.text, expected, DT_DIGEST_LENGTH) != 0) {
        status = dt_hdf5_unusable(in, dataset->path, __FILE__, __LINE__,
                                  "its bytes are damaged: their digest is %s, not %.*s", found.text,
                                  DT_DIGEST_LENGTH, expected);
    }
done:
    dt_memory_free(&scratch);
    dt_digester_destroy(&digester);
    return status;
}

/* Foreign attributes are listed if `foreign`: a newer dtrain may have written them. */
static dt_status list_object(dt_manifest *manifest, const dt_hdf5_file *in,
                             const dt_hdf5_object *object, bool foreign) {
    char digest[DT_DIGEST_LENGTH + 1] = "";
    const bool root = object == &in->object[0];
    if (!object->group) {
        DT_TRY(dt_hdf5_value(digest, in, object->path, "digest", DT_TEXT(DT_DIGEST_LENGTH)));
        DT_USABLE(strspn(digest, "0123456789abcdef") == DT_DIGEST_LENGTH, in, object->path,
                  "its digest is damaged");
        DT_TRY(dt_manifest_add_dataset(manifest, object->path, object->type, object->rank,
                                       object->extent, digest));
    }
    for (size_t i = 0; i < object->attributes; i++) {
        const dt_hdf5_attribute *attribute = &in->attribute[object->first_attribute + i];
        if ((root || !object->group) && strcmp(attribute->name, "digest") == 0) continue;
        if (attribute->foreign && !(foreign && attribute->bytes)) continue;
        DT_TRY(dt_manifest_add_attribute(manifest, object->path, attribute->name, attribute->type,
                                         attribute->bytes));
    }
    return DT_OK;
}

static dt_status digest_of(dt_digest *found, const dt_hdf5_file *in, bool foreign) {
    dt_status status = DT_OK;
    dt_manifest manifest = {0};
    for (size_t i = 0; i < in->objects; i++) {
        DT_TRY_DONE(dt_hdf5_note(in, list_object(&manifest, in, &in->object[i], foreign)));
    }
    DT_TRY_DONE(dt_manifest_digest(found, &manifest));
done:
    dt_manifest_clear(&manifest);
    return status;
}

/* Attributes that the digest does not cover. */
static dt_status remark_foreign(const dt_hdf5_file *in, bool covered) {
    char part[2 * DT_STORED_PATH_MAX];
    for (size_t i = 0; i < in->object[0].attributes; i++) {
        const dt_hdf5_attribute *attribute = &in->attribute[in->object[0].first_attribute + i];
        if (!attribute->foreign || (covered && attribute->bytes)) continue;
        describe(part, sizeof part, "/", attribute->name);
        DT_TRY(dt_hdf5_remark(in, part, "was not written by dtrain, and has no digest"));
    }
    return DT_OK;
}

dt_status dt_hdf5_verify(const dt_hdf5_file *in) {
    char expected[DT_DIGEST_LENGTH];
    dt_digest found;
    DT_TRY(dt_hdf5_value(expected, in, "/", "digest", DT_TEXT(DT_DIGEST_LENGTH)));
    bool whole = false;
    for (int foreign = 1; !whole && foreign >= 0; foreign--) {
        DT_TRY(digest_of(&found, in, foreign));
        if (dt_hdf5_refused(in)) return DT_OK;
        whole = memcmp(found.text, expected, DT_DIGEST_LENGTH) == 0;
        if (whole) DT_TRY(remark_foreign(in, foreign));
    }
    if (in->notes) memcpy(in->notes->verdict->digest, found.text, sizeof found.text);
    DT_USABLE(whole, in, "/",
              "names, types or attributes are damaged: their digest is %s, not %.*s", found.text,
              DT_DIGEST_LENGTH, expected);
    return DT_OK;
}
