/* What the tokens of a running text are. Private to src/data/text. */
#ifndef DTRAIN_VOCABULARY_H
#define DTRAIN_VOCABULARY_H

#include "documents.h"
#include "dtrain/data/tokenizer.h"

/* Whether the settings name a vocabulary. DT_ERR_ARG. */
dt_status dt_vocabulary_check(const dt_config *config);

/* Whether its tokens are characters, so that the text must be UTF-8. */
bool dt_vocabulary_is_characters(const dt_config *config);

/**
 * The vocabulary of a text. It has DT_END_OF_DOCUMENT, as its last token, if the text has several
 * documents.
 *
 * Reads the text once, so that its digest is known afterwards.
 *
 * @return DT_ERR_DATA naming file, line and byte: not UTF-8
 */
dt_status dt_vocabulary_create(dt_tokenizer **tokenizer, const dt_config *config,
                               dt_documents *documents);

#endif
