/* What event files are made of: messages of Protocol Buffers, each in a record with checksums. */
#ifndef DTRAIN_IO_RECORD_H
#define DTRAIN_IO_RECORD_H

#include <stdint.h>
#include <stdio.h>

#include "dtrain/core/status.h"

/* Bytes that grow; all zero at first, to be given back with dt_bytes_free. */
typedef struct {
    unsigned char *byte;
    size_t count, capacity;
} dt_bytes;

dt_status dt_bytes_append(dt_bytes *to, const void *bytes, size_t count); /* DT_ERR_MEMORY */
void dt_bytes_free(dt_bytes *bytes);

/* Castagnoli's CRC of some bytes: polynomial 0x1EDC6F41, reflected. Source: RFC 3720, appendix B.4.
 */
uint32_t dt_crc32c(const void *bytes, size_t count);

/* ---- messages: each function appends a field of that number. DT_ERR_MEMORY. ---- */

dt_status dt_message_whole(dt_bytes *message, unsigned field, uint64_t value);
dt_status dt_message_double(dt_bytes *message, unsigned field, double value);
dt_status dt_message_float(dt_bytes *message, unsigned field, float value);

/* A text, or another message. */
dt_status dt_message_bytes(dt_bytes *message, unsigned field, const void *bytes, size_t count);

/* ---- records ---- */

/* Append a message as one record: its length, the masked CRC of that, the message, its masked CRC.
 * Source: TensorFlow's TFRecord format. */
dt_status dt_record_append(dt_bytes *file, const dt_bytes *message);

/**
 * The next record of a file: at most `size` bytes from its beginning, of which there are *count.
 *
 * @return false at the end, and where a record is damaged or not whole
 */
bool dt_record_next(FILE *file, unsigned char *beginning, size_t size, size_t *count);

/* The value of a field of whole numbers among the first fields of a message; 0: it is not there. */
uint64_t dt_message_find(const unsigned char *message, size_t count, unsigned field);

#endif
