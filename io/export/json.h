/* JSON that others have written. Private to io/export. */
#ifndef DTRAIN_EXPORT_JSON_H
#define DTRAIN_EXPORT_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "dtrain/core/status.h"

/**
 * An object, with nothing but blanks behind it.
 *
 * @param[out] object  cJSON_Delete it; NULL on error
 * @param name  of the file, for messages
 * @return DT_ERR_DATA with the byte at which it goes wrong
 */
dt_status json_parse(cJSON **object, const char *text, size_t length, const char *name);

/* The same of a whole file. DT_ERR_NO_INPUT; DT_ERR_DATA: it has more bytes than `most`. */
dt_status json_read(cJSON **object, const char *path, size_t most);

/* Whether a value is a whole number from 0 to 2^53, which a double holds exactly. */
bool json_whole(uint64_t *number, const cJSON *value);

#endif
