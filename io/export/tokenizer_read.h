/* The tokenizer of a model that others have written. Private to io/export. */
#ifndef DTRAIN_EXPORT_TOKENIZER_READ_H
#define DTRAIN_EXPORT_TOKENIZER_READ_H

#include "dtrain/data/tokenizer.h"

/**
 * Read tokenizer.json of a folder, or vocab.json and merges.txt.
 *
 * @param[out] kind  as the setting `tokenizer` has it: "chars", "bytes", or the folder
 * @return DT_ERR_NO_INPUT, DT_ERR_DATA
 */
dt_status tokenizer_read(dt_tokenizer **tokenizer, const char **kind, const char *folder);

#endif
