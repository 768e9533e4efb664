/* Messages of Protocol Buffers, as far as ONNX and TensorBoard need them. A library would want the
 * compiler of their .proto files, and these files, for the dozen fields used here. */
#ifndef DTRAIN_MESSAGE_H
#define DTRAIN_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dtrain/data/text.h"

/* A message is its fields one after the other, each with its number. Each function appends one:
 * DT_ERR_MEMORY. */
dt_status dt_message_whole(dt_text *message, unsigned field, int64_t value);
dt_status dt_message_float(dt_text *message, unsigned field, float value);
dt_status dt_message_double(dt_text *message, unsigned field, double value);
dt_status dt_message_bytes(dt_text *message, unsigned field, const void *bytes, size_t count);
dt_status dt_message_text(dt_text *message, unsigned field, const char *text);
dt_status dt_message_inner(dt_text *message, unsigned field, const dt_text *inner);

/* What stands before so many bytes of a field: they follow. */
dt_status dt_message_head(dt_text *message, unsigned field, uint64_t count);

/* A number of `size` bytes, the lowest first, without a field. */
dt_status dt_message_fixed(dt_text *message, uint64_t value, size_t size);

/* The value of a field of whole numbers among the first fields of a message; 0: it is not there. */
uint64_t dt_message_find(const unsigned char *message, size_t count, unsigned field);

#endif
