/* What the tokens of a running text are. Private to src/data/text. */
#ifndef DTRAIN_VOCABULARY_H
#define DTRAIN_VOCABULARY_H

#include "documents.h"
#include "dtrain/data/tokenizer.h"

/* Whether the settings name a vocabulary. DT_ERR_ARG. */
dt_status dt_vocabulary_check(const dt_config *config);

/* Whether its tokens are bytes, so that the text may be cut within a character. */
bool dt_vocabulary_is_bytes(const dt_config *config);

/* How many tokens are to be learned from the text; 0: it has another vocabulary. */
size_t dt_vocabulary_learned(const dt_config *config);

/**
 * The vocabulary of a text. Of its characters it has the tab, too; of its characters or bytes
 * DT_END_OF_DOCUMENT, as its last token, if the text has several documents.
 *
 * Reads the text once, so that its digest is known afterwards.
 *
 * @param[out] tokenizer  NULL: dt_vocabulary_find has it
 * @return DT_ERR_DATA naming file, line and byte: not UTF-8
 */
dt_status dt_vocabulary_create(dt_tokenizer **tokenizer, const dt_config *config,
                               dt_documents *documents);

/* One that is in a file, or is learned, which takes long. DT_ERR_NO_INPUT, DT_ERR_DATA: there is no
 * such file, or it is none. */
dt_status dt_vocabulary_find(dt_tokenizer **tokenizer, const dt_config *config,
                             dt_documents *documents);

/* Whether the file that the settings name, if there still is one, holds the run's vocabulary.
 * DT_ERR_DATA. */
dt_status dt_vocabulary_stays(const dt_config *config, const dt_tokenizer *tokenizer);

#endif
