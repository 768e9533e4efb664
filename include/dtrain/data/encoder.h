/* Running text to tokens, piece by piece, so that a text may be larger than memory. */
#ifndef DTRAIN_ENCODER_H
#define DTRAIN_ENCODER_H

#include "dtrain/data/tokenizer.h"

/* Tokens that are appended; all 0 to begin with. */
typedef struct {
    int32_t *id;
    size_t count, capacity;
} dt_ids;

dt_status dt_ids_append(dt_ids *ids, int32_t id);
void dt_ids_destroy(dt_ids *ids);

/* Reads one document after the other. */
typedef struct dt_encoder dt_encoder;

/* tokenizer: kept by reference. */
dt_status dt_encoder_create(dt_encoder **encoder, const dt_tokenizer *tokenizer);
void dt_encoder_destroy(dt_encoder **encoder);

/**
 * Append the tokens of a document's next bytes, of any number. The tokens of a document do not
 * depend on where it is cut into pieces: what may go on in the next piece waits for it.
 *
 * DT_END_OF_DOCUMENT is never the token of bytes; the caller appends it where documents end.
 *
 * @param last  the document ends with these bytes; the next ones begin another
 * @return DT_ERR_DATA: bytes that begin no token, at dt_encoder_taken
 */
dt_status dt_encoder_feed(dt_encoder *encoder, const char *bytes, size_t count, bool last,
                          dt_ids *ids);

/* How many bytes of this document have become tokens. */
uint64_t dt_encoder_taken(const dt_encoder *encoder);

#endif
