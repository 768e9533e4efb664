/* Reads an object header: what an HDF5 object is, its type, shape, location and attributes. */
#include "hdf5_header.h"

#include <string.h>

#include "dtrain/core/memory.h"
#include "hdf5_bytes.h"
#include "hdf5_others.h"

/* Messages of an object header. Those that say nothing about the contents are skipped. */
enum {
    MESSAGE_NIL = 0x0000,
    MESSAGE_SPACE = 0x0001,
    MESSAGE_TYPE = 0x0003,
    MESSAGE_FILL_OLD = 0x0004,
    MESSAGE_FILL = 0x0005,
    MESSAGE_EXTERNAL = 0x0007,
    MESSAGE_LAYOUT = 0x0008,
    MESSAGE_FILTER = 0x000B,
    MESSAGE_ATTRIBUTE = 0x000C,
    MESSAGE_COMMENT = 0x000D,
    MESSAGE_TIME_OLD = 0x000E,
    MESSAGE_CONTINUATION = 0x0010,
    MESSAGE_LINKS = 0x0011,
    MESSAGE_TIME = 0x0012,
    MESSAGE_SHARED = 0x02, /* in its flags: the message itself is elsewhere */
};

/* Pieces of a header, its attributes, and the bytes of one: several times what dtrain writes. */
enum { PIECES_MAX = 64, ATTRIBUTES_MAX = 1000, VALUE_MAX = 4096 };

typedef struct {
    dt_hdf5_file *in;
    dt_hdf5_object *object;
    bool has_space, has_type, has_layout, has_links;
    size_t messages;
    struct {
        uint64_t offset;
        size_t size;
    } piece[PIECES_MAX];
    size_t pieces;
} header;

/* ---- types and shapes ---- */

static dt_status read_type(dt_stored_type *type, const dt_hdf5_file *in, const char *part,
                           bytes_left message) {
    /* As HDF5 encodes them, after the version in the first byte: class, flags, size, properties. */
    static const struct {
        dt_stored_type type;
        size_t length;
        unsigned char code[20];
    } number[] = {
        {{DT_STORED_INT64, 8}, 12, {0x00, 0x08, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0}},
        {{DT_STORED_UINT8, 1}, 12, {0x00, 0x00, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0}},
        {{DT_STORED_FLOAT32, 4}, 20, {0x01, 0x20, 31, 0, 4, 0,  0,   0, 0, 0,
                                      32,   0,    23, 8, 0, 23, 127, 0, 0, 0}},
        {{DT_STORED_FLOAT64, 8}, 20, {0x01, 0x20, 63, 0,  8, 0,  0,    0,    0, 0,
                                      64,   0,    52, 11, 0, 52, 0xff, 0x03, 0, 0}},
    };
    enum { CLASS_TEXT = 3, PADDED_WITH_NUL = 1 };
    const unsigned char *code = take(&message, 8);
    DT_USABLE(code, in, part, "its type is cut off");
    const unsigned version = code[0] >> 4, class = code[0] & 15;
    DT_USABLE(version >= 1 && version <= 3, in, part, "type version %u", version);
    if (class == CLASS_TEXT && (code[1] & 15) == PADDED_WITH_NUL && (code[1] >> 4) <= 1) {
        *type = DT_TEXT(load32(code + 4));
        DT_USABLE(type->size > 0, in, part, "a text of length 0");
        return DT_OK;
    }
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        if (message.left < number[i].length - 8 || class != number[i].code[0]) continue;
        if (memcmp(code + 1, number[i].code + 1, number[i].length - 1) != 0) continue;
        *type = number[i].type;
        return DT_OK;
    }
    DT_UNUSABLE(in, part,
                "its type is none of those that dtrain writes (64-bit integer, 32- and 64-bit "
                "float, byte, text of fixed length)");
}

static dt_status read_space(size_t *rank, size_t extent[DT_STORED_RANK_MAX], const dt_hdf5_file *in,
                            const char *part, bytes_left message) {
    const unsigned char *start = take(&message, 4);
    DT_USABLE(start, in, part, "its shape is cut off");
    const unsigned version = start[0];
    DT_USABLE(version == 1 || version == 2, in, part, "shape version %u", version);
    DT_USABLE(start[1] <= DT_STORED_RANK_MAX, in, part, "%u dimensions", start[1]);
    /* Bit 0: the most it may grow to follows, which dtrain has no use for. Version 2 knows an empty
     * space. */
    DT_USABLE(start[2] <= 1 && (version == 1 || start[3] == (start[1] > 0)), in, part,
              "a shape that dtrain does not write");
    DT_USABLE(version == 2 || take(&message, 4), in, part, "its shape is cut off");
    *rank = start[1];
    for (size_t i = 0; i < *rank; i++) {
        const unsigned char *size = take(&message, 8);
        DT_USABLE(size, in, part, "its shape is cut off");
        extent[i] = load64(size);
    }
    for (size_t i = 0; start[2] == 1 && i < *rank; i++) {
        const unsigned char *most = take(&message, 8);
        DT_OTHERS_NEED(most && load64(most) >= extent[i], in, part,
                       "it is larger than it may grow to");
    }
    return DT_OK;
}

/* ---- messages ---- */

/* The parts of an attribute: its name, type and shape; the value follows. */
typedef struct {
    unsigned version, flags;
    bytes_left part[3];
    bytes_left value;
} attribute_parts;

/* Before version 3 each part of an attribute is padded to 8 bytes, and before version 2 its start
 * is too. */
static dt_status split_attribute(attribute_parts *a, const header *h, bytes_left message) {
    const char *part = h->object->path;
    const unsigned char *start = take(&message, 8);
    DT_USABLE(start, h->in, part, "an attribute is cut off");
    a->version = start[0];
    a->flags = a->version == 1 ? 0 : start[1];
    DT_USABLE(a->version >= 1 && a->version <= 3, h->in, part,
              "an attribute that dtrain does not write (version %u)", a->version);
    DT_USABLE(a->version < 3 || take(&message, 1), h->in, part, "an attribute is cut off");
    for (size_t i = 0; i < 3; i++) {
        const size_t size = load16(start + 2 + 2 * i);
        const size_t padded = a->version == 1 ? dt_round_up(size, 8) : size;
        a->part[i] = (bytes_left){take(&message, padded), size};
        DT_USABLE(a->part[i].at, h->in, part, "an attribute is cut off");
    }
    a->value = message;
    return DT_OK;
}

static dt_status read_value(dt_hdf5_attribute *attribute, const header *h, attribute_parts *a) {
    size_t rank = 0, extent[DT_STORED_RANK_MAX];
    char where[2 * DT_STORED_PATH_MAX];
    describe(where, sizeof where, h->object->path, attribute->name);
    DT_USABLE(a->flags == 0, h->in, h->object->path,
              "an attribute that dtrain does not write (version %u)", a->version);
    DT_TRY(read_type(&attribute->type, h->in, where, a->part[1]));
    DT_TRY(read_space(&rank, extent, h->in, where, a->part[2]));
    DT_USABLE(rank == 0, h->in, where, "not a single value");
    DT_USABLE(attribute->type.size <= VALUE_MAX, h->in, where,
              "more, or longer, attributes than dtrain writes");
    attribute->bytes = take(&a->value, attribute->type.size);
    DT_USABLE(attribute->bytes, h->in, where, "its value is cut off");
    return DT_OK;
}

static bool is_own(const dt_hdf5_file *in, const char *name) {
    for (size_t i = 0; i < in->own_count; i++) {
        if (strcmp(in->own[i], name) == 0) return true;
    }
    return false;
}

/* People add attributes to /, of any type and name: those are kept unread. */
static dt_status read_attribute(header *h, bytes_left message) {
    static const char UNUSUAL[] = "(a name that is not plain)";
    dt_hdf5_file *in = h->in;
    const char *part = h->object->path;
    attribute_parts a = {0};
    DT_TRY(split_attribute(&a, h, message));
    const bool root = in->objects == 0;
    const bool proper = is_name((const char *)a.part[0].at, a.part[0].left);
    DT_USABLE(proper || root, in, part, "an attribute without a proper name");
    dt_hdf5_attribute attribute = {.name = proper ? (const char *)a.part[0].at : UNUSUAL};
    attribute.foreign = root && !is_own(in, attribute.name);
    DT_USABLE(h->object->attributes < ATTRIBUTES_MAX, in, part,
              "more, or longer, attributes than dtrain writes");
    const dt_status status = proper ? read_value(&attribute, h, &a) : DT_OK;
    if (status == DT_ERR_DATA && attribute.foreign) {
        dt_error_clear();
        attribute.bytes = NULL;
    } else {
        DT_TRY(status);
    }
    for (size_t i = h->object->first_attribute; proper && i < in->attributes; i++) {
        char where[2 * DT_STORED_PATH_MAX];
        describe(where, sizeof where, part, attribute.name);
        DT_USABLE(strcmp(in->attribute[i].name, attribute.name) != 0, in, where, "is there twice");
    }
    DT_TRY(dt_memory_grow(&in->attribute, &in->attribute_capacity, in->attributes + 1,
                          sizeof *in->attribute, "attributes"));
    in->attribute[in->attributes++] = attribute;
    h->object->attributes++;
    return DT_OK;
}

static dt_status read_layout(header *h, bytes_left message) {
    enum { CONTIGUOUS = 1 };
    const unsigned char *start = take(&message, 18);
    DT_USABLE(start && start[0] == 3 && start[1] == CONTIGUOUS, h->in, h->object->path,
              "its bytes do not lie in one piece, as dtrain writes them (compact, chunked or of a "
              "newer format)");
    h->object->offset = load64(start + 2);
    h->object->size = load64(start + 10);
    return DT_OK;
}

static dt_status read_message(header *h, unsigned type, unsigned flags, bytes_left message) {
    const char *part = h->object->path;
    const unsigned char *start;
    /* Only that it does not change, and is not shared. */
    DT_OTHERS_NEED((flags & ~5u) == 0, h->in, part, "flags 0x%02x of a part of its header", flags);
    switch (type) {
    case MESSAGE_NIL:
    case MESSAGE_FILL_OLD:
    case MESSAGE_FILL:
    case MESSAGE_COMMENT:
    case MESSAGE_TIME_OLD:
    case MESSAGE_TIME: return dt_hdf5_others_message(h->in, part, type, message.at, message.left);
    default: break;
    }
    DT_USABLE(!(flags & MESSAGE_SHARED), h->in, part,
              "a type or shape shared between objects, which dtrain does not write");
    switch (type) {
    case MESSAGE_SPACE:
        DT_USABLE(!h->has_space, h->in, part, "two shapes");
        h->has_space = true;
        return read_space(&h->object->rank, h->object->extent, h->in, part, message);
    case MESSAGE_TYPE:
        DT_USABLE(!h->has_type, h->in, part, "two types");
        h->has_type = true;
        return read_type(&h->object->type, h->in, part, message);
    case MESSAGE_LAYOUT:
        DT_USABLE(!h->has_layout, h->in, part, "two locations of its bytes");
        h->has_layout = true;
        return read_layout(h, message);
    case MESSAGE_ATTRIBUTE: return read_attribute(h, message);
    case MESSAGE_LINKS:
        start = take(&message, 16);
        DT_USABLE(start && !h->has_links, h->in, part, "its list of links is cut off or doubled");
        h->has_links = true;
        h->object->tree = load64(start);
        h->object->heap = load64(start + 8);
        return DT_OK;
    case MESSAGE_CONTINUATION:
        start = take(&message, 16);
        DT_USABLE(start && h->pieces < PIECES_MAX, h->in, part, "a header in too many pieces");
        h->piece[h->pieces].offset = load64(start);
        h->piece[h->pieces++].size = load64(start + 8);
        return DT_OK;
    case MESSAGE_EXTERNAL:
        DT_UNUSABLE(h->in, part, "its bytes lie in another file, which dtrain never follows");
    case MESSAGE_FILTER:
        DT_UNUSABLE(h->in, part, "a filter (compression), which dtrain does not write");
    default:
        DT_UNUSABLE(
            h->in, part,
            "something that dtrain does not write (message 0x%04x: links of a newer format?)",
            type);
    }
}

/* Keep a piece of metadata until the file is closed. */
static dt_status keep_piece(bytes_left *piece, dt_hdf5_file *in, uint64_t offset, size_t size,
                            const char *part) {
    DT_USABLE(size <= in->unread, in, part,
              "a header of %zu bytes in a file of %llu, or parts of the file overlap", size,
              (unsigned long long)in->size);
    DT_TRY(dt_memory_grow(&in->block, &in->block_capacity, in->blocks + 1, sizeof *in->block,
                          "metadata"));
    void *bytes;
    DT_TRY(dt_memory_alloc(&bytes, dt_max_size(size, 1), 1, "metadata"));
    in->block[in->blocks++] = bytes;
    *piece = (bytes_left){bytes, size};
    return dt_hdf5_metadata(bytes, in, offset, size, part);
}

static dt_status read_piece(header *h, uint64_t offset, size_t size) {
    bytes_left piece = {NULL, 0};
    DT_TRY(keep_piece(&piece, h->in, offset, size, h->object->path));
    for (const unsigned char *start; (start = take(&piece, 8));) {
        const size_t length = load16(start + 2);
        const bytes_left message = {take(&piece, length), length};
        DT_USABLE(message.at, h->in, h->object->path, "a part of its header is cut off");
        DT_TRY(read_message(h, load16(start), start[4], message));
        h->messages++;
    }
    return DT_OK;
}

/* A dataset takes as many bytes as its type and shape say, all of them inside the file and its own.
 */
static dt_status check_dataset(const header *h) {
    dt_hdf5_file *in = h->in;
    dt_hdf5_object *object = h->object;
    DT_USABLE(h->has_space && h->has_type && h->has_layout && !h->has_links, in, object->path,
              "neither a group nor a dataset");
    size_t size = object->type.size;
    bool too_large = false;
    for (size_t i = 0; i < object->rank; i++) {
        too_large |= __builtin_mul_overflow(size, object->extent[i], &size);
    }
    DT_USABLE(!too_large && size == object->size, in, object->path,
              "its shape does not fit its %zu bytes", object->size);
    if (size == 0) return DT_OK; /* has no bytes in the file */
    DT_USABLE(object->offset <= in->size && size <= in->size - object->offset, in, object->path,
              "its %zu bytes at %llu lie beyond the end of the file", size,
              (unsigned long long)object->offset);
    DT_USABLE(size <= in->unread, in, object->path, "it shares its bytes with others");
    in->unread -= size;
    return DT_OK;
}

static dt_status read_object(dt_hdf5_file *in, uint64_t address, const char *path) {
    DT_TRY(dt_memory_grow(&in->object, &in->object_capacity, in->objects + 1, sizeof *in->object,
                          "the list of objects"));
    dt_hdf5_object *object = &in->object[in->objects];
    *object = (dt_hdf5_object){.first_attribute = in->attributes};
    DT_USABLE(strlen(path) < sizeof object->path, in, "a group", "a path longer than %zu bytes",
              sizeof object->path - 1);
    memcpy(object->path, path, strlen(path) + 1);

    unsigned char start[16];
    DT_TRY(dt_hdf5_metadata(start, in, address, sizeof start, path));
    DT_USABLE(start[0] == 1, in, path,
              "its header is damaged, or of a newer HDF5 format than dtrain writes");
    DT_USABLE(load32(start + 4) == 1, in, path, "an object with %u names", load32(start + 4));
    header h = {.in = in, .object = object};
    DT_TRY(read_piece(&h, address + sizeof start, load32(start + 8)));
    for (size_t i = 0; i < h.pieces; i++) {
        DT_TRY(read_piece(&h, h.piece[i].offset, h.piece[i].size));
    }
    DT_OTHERS_NEED(h.messages == load16(start + 2), in, path,
                   "a header of %zu parts that counts %u", h.messages, load16(start + 2));
    object->group = h.has_links && !h.has_space && !h.has_type && !h.has_layout;
    if (!object->group) DT_TRY(check_dataset(&h));
    in->objects++;
    return DT_OK;
}

dt_status dt_hdf5_header(dt_hdf5_file *in, uint64_t address, const char *path) {
    const size_t attributes = in->attributes, blocks = in->blocks;
    const uint64_t unread = in->unread;
    const dt_status status = read_object(in, address, path);
    if (status == DT_OK) return DT_OK;
    while (in->blocks > blocks) dt_memory_free(&in->block[--in->blocks]);
    in->attributes = attributes;
    in->unread = unread;
    return status;
}
