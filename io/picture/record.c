/* Writes messages of Protocol Buffers and records of TensorFlow. */
#include "record.h"

#include <string.h>

#include "dtrain/core/memory.h"

void dt_bytes_free(dt_bytes *bytes) {
    dt_memory_free(&bytes->byte);
    *bytes = (dt_bytes){0};
}

dt_status dt_bytes_append(dt_bytes *to, const void *bytes, size_t count) {
    DT_TRY(dt_memory_grow(&to->byte, &to->capacity, to->count + count + 1, 1, "events"));
    if (count) memcpy(to->byte + to->count, bytes, count);
    to->count += count;
    return DT_OK;
}

/* Numbers are stored with the lowest byte first. */
static dt_status append_number(dt_bytes *to, uint64_t value, size_t size) {
    unsigned char byte[8];
    for (size_t i = 0; i < size; i++) byte[i] = (unsigned char)(value >> 8 * i);
    return dt_bytes_append(to, byte, size);
}

static uint64_t number_at(const unsigned char *byte, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)byte[i] << 8 * i;
    return value;
}

/* ---- checksums ---- */

uint32_t dt_crc32c(const void *bytes, size_t count) {
    /* Of the numbers of four bits. */
    static const uint32_t TABLE[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *byte = bytes;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < count; i++) {
        crc ^= byte[i];
        crc = crc >> 4 ^ TABLE[crc & 15];
        crc = crc >> 4 ^ TABLE[crc & 15];
    }
    return ~crc;
}

/* A CRC of bytes that hold a CRC would be weak. */
static uint32_t masked_crc(const void *bytes, size_t count) {
    const uint32_t crc = dt_crc32c(bytes, count);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* ---- messages ---- */

/* How the bytes of a field are to be read. */
enum { WHOLE = 0, EIGHT_BYTES = 1, COUNTED = 2, FOUR_BYTES = 5 };

/* Seven bits a byte, the lowest first; the highest bit says that more follow. */
static dt_status append_whole(dt_bytes *to, uint64_t value) {
    unsigned char byte[10];
    size_t count = 0;
    do {
        byte[count++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    return dt_bytes_append(to, byte, count);
}

static dt_status append_key(dt_bytes *to, unsigned field, unsigned kind) {
    return append_whole(to, (uint64_t)field << 3 | kind);
}

dt_status dt_message_whole(dt_bytes *message, unsigned field, uint64_t value) {
    DT_TRY(append_key(message, field, WHOLE));
    return append_whole(message, value);
}

dt_status dt_message_double(dt_bytes *message, unsigned field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    DT_TRY(append_key(message, field, EIGHT_BYTES));
    return append_number(message, bits, sizeof bits);
}

dt_status dt_message_float(dt_bytes *message, unsigned field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    DT_TRY(append_key(message, field, FOUR_BYTES));
    return append_number(message, bits, sizeof bits);
}

dt_status dt_message_bytes(dt_bytes *message, unsigned field, const void *bytes, size_t count) {
    DT_TRY(append_key(message, field, COUNTED));
    DT_TRY(append_whole(message, count));
    return dt_bytes_append(message, bytes, count);
}

/* false: the message ends before the number does. */
static bool read_whole(uint64_t *value, const unsigned char *message, size_t count, size_t *at) {
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
    for (size_t at = 0; at < count && read_whole(&key, message, count, &at);) {
        switch (key & 7) {
        case WHOLE:
            if (!read_whole(&value, message, count, &at)) return 0;
            if (key >> 3 == field) return value;
            break;
        case EIGHT_BYTES: at += 8; break;
        case FOUR_BYTES: at += 4; break;
        case COUNTED:
            if (!read_whole(&value, message, count, &at) || value > count - at) return 0;
            at += value;
            break;
        default: return 0;
        }
    }
    return 0;
}

/* ---- records ---- */

enum { LENGTH_BYTES = 8, CRC_BYTES = 4 };

dt_status dt_record_append(dt_bytes *file, const dt_bytes *message) {
    DT_TRY(append_number(file, message->count, LENGTH_BYTES));
    DT_TRY(append_number(file, masked_crc(file->byte + file->count - LENGTH_BYTES, LENGTH_BYTES),
                         CRC_BYTES));
    DT_TRY(dt_bytes_append(file, message->byte, message->count));
    return append_number(file, masked_crc(message->byte, message->count), CRC_BYTES);
}

/* Whether so many more bytes can be read. */
static bool skip(FILE *file, uint64_t count) {
    char block[1024];
    while (count > 0) {
        const size_t wanted = count < sizeof block ? (size_t)count : sizeof block;
        if (fread(block, 1, wanted, file) != wanted) return false;
        count -= wanted;
    }
    return true;
}

bool dt_record_next(FILE *file, unsigned char *beginning, size_t size, size_t *count) {
    unsigned char head[LENGTH_BYTES + CRC_BYTES];
    if (fread(head, 1, sizeof head, file) != sizeof head) return false;
    if (number_at(head + LENGTH_BYTES, CRC_BYTES) != masked_crc(head, LENGTH_BYTES)) return false;
    const uint64_t length = number_at(head, LENGTH_BYTES);
    *count = length < size ? (size_t)length : size;
    return fread(beginning, 1, *count, file) == *count && skip(file, length - *count) &&
           skip(file, CRC_BYTES);
}
