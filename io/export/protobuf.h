/* Messages of protocol buffers, as far as ONNX needs them. A library would want the compiler of
 * onnx.proto and that file, for the dozen fields used here. Private to io/export. */
#ifndef DTRAIN_EXPORT_PROTOBUF_H
#define DTRAIN_EXPORT_PROTOBUF_H

#include <stdint.h>

#include "dtrain/data/text.h"

/* A message is its fields one after the other, each with its number. */
dt_status proto_int(dt_text *message, unsigned field, int64_t value);
dt_status proto_float(dt_text *message, unsigned field, float value);
dt_status proto_bytes(dt_text *message, unsigned field, const void *bytes, size_t count);
dt_status proto_text(dt_text *message, unsigned field, const char *text);
dt_status proto_message(dt_text *message, unsigned field, const dt_text *inner);

/* What stands before so many bytes of a field: they follow. */
dt_status proto_head(dt_text *message, unsigned field, uint64_t count);

#endif
