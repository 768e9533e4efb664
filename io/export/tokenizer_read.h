/* The tokenizer of a model that others have written. Private to io/export. */
#ifndef DTRAIN_EXPORT_TOKENIZER_READ_H
#define DTRAIN_EXPORT_TOKENIZER_READ_H

#include "dtrain/core/config.h"
#include "dtrain/data/tokenizer.h"

/**
 * Read tokenizer.json of a folder.
 *
 * @param[in,out] config  its setting `tokenizer` becomes what was found
 * @return DT_ERR_NO_INPUT, DT_ERR_DATA
 */
dt_status tokenizer_read(dt_tokenizer **tokenizer, dt_config *config, const char *folder);

#endif
