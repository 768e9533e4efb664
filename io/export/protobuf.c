/* Encoding: https://protobuf.dev/programming-guides/encoding */
#include "protobuf.h"

#include <string.h>

enum { VARINT = 0, LENGTH = 2, FIXED32 = 5 }; /* wire types */

static dt_status append_varint(dt_text *message, uint64_t value) {
    do {
        const char byte = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        DT_TRY(dt_text_append(message, &byte, 1));
        value >>= 7;
    } while (value);
    return DT_OK;
}

static dt_status append_tag(dt_text *message, unsigned field, unsigned type) {
    return append_varint(message, field << 3 | type);
}

dt_status proto_int(dt_text *message, unsigned field, int64_t value) {
    DT_TRY(append_tag(message, field, VARINT));
    return append_varint(message, (uint64_t)value);
}

dt_status proto_float(dt_text *message, unsigned field, float value) {
    char bytes[sizeof value];
    memcpy(bytes, &value, sizeof value);
    DT_TRY(append_tag(message, field, FIXED32));
    return dt_text_append(message, bytes, sizeof bytes);
}

dt_status proto_head(dt_text *message, unsigned field, uint64_t count) {
    DT_TRY(append_tag(message, field, LENGTH));
    return append_varint(message, count);
}

dt_status proto_bytes(dt_text *message, unsigned field, const void *bytes, size_t count) {
    DT_TRY(proto_head(message, field, count));
    return dt_text_append(message, bytes, count);
}

dt_status proto_text(dt_text *message, unsigned field, const char *text) {
    return proto_bytes(message, field, text, strlen(text));
}

dt_status proto_message(dt_text *message, unsigned field, const dt_text *inner) {
    return proto_bytes(message, field, inner->bytes, inner->length);
}
