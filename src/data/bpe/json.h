/* JSON from files that may be damaged or hostile. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_JSON_H
#define DTRAIN_BPE_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "dtrain/core/status.h"

/* DT_ERR_DATA: no JSON, no UTF-8, or a string with U+0000. cJSON_Delete it. */
dt_status bpe_json_parse(cJSON **root, const char *text, size_t size, const char *name);

/* The member of an object; NULL: it is not there, or null. DT_ERR_DATA: it stands twice. */
dt_status bpe_json_member(const cJSON **member, const cJSON *object, const char *key,
                          const char *name);

/* Its text, "" where it is no string. */
const char *bpe_json_text(const cJSON *item);

/* Whether it is a whole number from 0 to `most`. */
bool bpe_json_is_count(const cJSON *item, double most);

#endif
