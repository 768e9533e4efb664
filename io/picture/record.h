/* What event files are made of: records with checksums, each of a message. */
#ifndef DTRAIN_IO_RECORD_H
#define DTRAIN_IO_RECORD_H

#include <stdint.h>
#include <stdio.h>

#include "dtrain/data/text.h"

/* Castagnoli's CRC of some bytes: polynomial 0x1EDC6F41, reflected. Source: RFC 3720, appendix B.4.
 */
uint32_t dt_crc32c(const void *bytes, size_t count);

/* Append a message as one record: its length, the masked CRC of that, the message, its masked CRC.
 * Source: TensorFlow's TFRecord format. */
dt_status dt_record_append(dt_text *file, const dt_text *message);

/**
 * The next record of a file: at most `size` bytes from its beginning, of which there are *count.
 *
 * @return false at the end, and where a record is damaged or not whole
 */
bool dt_record_next(FILE *file, unsigned char *beginning, size_t size, size_t *count);

#endif
