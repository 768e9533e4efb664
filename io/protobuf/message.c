/* Encoding: https://protobuf.dev/programming-guides/encoding */
#include "dtrain/protobuf/message.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 }; /* wire types */

/* ---- writing ---- */

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

dt_status dt_message_fixed(dt_text *message, uint64_t value, size_t size) {
    char bytes[8];
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(value >> 8 * i & 0xff);
    return dt_text_append(message, bytes, size);
}

dt_status dt_message_whole(dt_text *message, unsigned field, int64_t value) {
    DT_TRY(append_tag(message, field, VARINT));
    return append_varint(message, (uint64_t)value);
}

dt_status dt_message_float(dt_text *message, unsigned field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    DT_TRY(append_tag(message, field, FIXED32));
    return dt_message_fixed(message, bits, sizeof bits);
}

dt_status dt_message_double(dt_text *message, unsigned field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    DT_TRY(append_tag(message, field, FIXED64));
    return dt_message_fixed(message, bits, sizeof bits);
}

dt_status dt_message_head(dt_text *message, unsigned field, uint64_t count) {
    DT_TRY(append_tag(message, field, LENGTH));
    return append_varint(message, count);
}

dt_status dt_message_bytes(dt_text *message, unsigned field, const void *bytes, size_t count) {
    DT_TRY(dt_message_head(message, field, count));
    return dt_text_append(message, bytes, count);
}

dt_status dt_message_text(dt_text *message, unsigned field, const char *text) {
    return dt_message_bytes(message, field, text, strlen(text));
}

dt_status dt_message_inner(dt_text *message, unsigned field, const dt_text *inner) {
    return dt_message_bytes(message, field, inner->bytes, inner->length);
}

/* ---- reading ---- */

/* false: the message ends before the number does. */
static bool read_varint(uint64_t *value, const unsigned char *message, size_t count, size_t *at) {
    *value = 0;
    for (unsigned shift = 0; *at < count && shift < 64; shift += 7) {
        const unsigned char byte = message[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

uint64_t dt_message_find(const unsigned char *message, size_t count, unsigned field) {
    uint64_t key, value;
    for (size_t at = 0; at < count && read_varint(&key, message, count, &at);) {
        switch (key & 7) {
        case VARINT:
            if (!read_varint(&value, message, count, &at)) return 0;
            if (key >> 3 == field) return value;
            break;
        case FIXED64: at += 8; break;
        case FIXED32: at += 4; break;
        case LENGTH:
            if (!read_varint(&value, message, count, &at) || value > count - at) return 0;
            at += value;
            break;
        default: return 0;
        }
    }
    return 0;
}
