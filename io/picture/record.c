/* Writes and reads records of TensorFlow. */
#include "record.h"

#include "dtrain/protobuf/message.h"

/* The lowest byte first. */
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

/* ---- records ---- */

enum { LENGTH_BYTES = 8, CRC_BYTES = 4 };

dt_status dt_record_append(dt_text *file, const dt_text *message) {
    DT_TRY(dt_message_fixed(file, message->length, LENGTH_BYTES));
    DT_TRY(dt_message_fixed(
        file, masked_crc(file->bytes + file->length - LENGTH_BYTES, LENGTH_BYTES), CRC_BYTES));
    DT_TRY(dt_text_append(file, message->bytes, message->length));
    return dt_message_fixed(file, masked_crc(message->bytes, message->length), CRC_BYTES);
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
