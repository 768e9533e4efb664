/* A running text as tokens, in a file: computed once, then read by all ranks and all later starts.
 * Private to src/data/text. */
#ifndef DTRAIN_TOKENS_H
#define DTRAIN_TOKENS_H

#include "dtrain/core/config.h"
#include "dtrain/core/digest.h"
#include "dtrain/data/split.h"
#include "dtrain/data/tokenizer.h"

typedef struct {
    char digest[DT_FILE_DIGEST_MAX + 1]; /* of the text: "SIZE-XXH3" */
    dt_digest stamp;                     /* of the text's files: dt_documents_stamp */
    uint64_t bytes;                      /* of the text */
    uint64_t documents;
    uint64_t tokens[DT_SPLITS];
} dt_tokens_facts;

/* ---- reading ---- */

typedef struct dt_tokens dt_tokens;

/* A file of tokens; *tokens: NULL if there is none that is whole. DT_ERR_MEMORY, DT_ERR_IO. */
dt_status dt_tokens_open(dt_tokens **tokens, const char *path);
void dt_tokens_close(dt_tokens **tokens);
const dt_tokens_facts *dt_tokens_about(const dt_tokens *tokens);

/* The vocabulary that it was made with, as a new one. */
dt_status dt_tokens_vocabulary(dt_tokenizer **tokenizer, const dt_tokens *tokens);

/* Whether this is that vocabulary. */
dt_status dt_tokens_have(bool *same, const dt_tokens *tokens, const dt_tokenizer *tokenizer);

/* Let other processes have the lock of a file that this one has written. */
void dt_tokens_unlock(dt_tokens *tokens);

/* Keep that the text is still the same, though its files have another stamp. */
void dt_tokens_keep_stamp(dt_tokens *tokens, const dt_digest *stamp);

/* Tokens first … first + count - 1 of a part. DT_ERR_DATA: the file is damaged. */
dt_status dt_tokens_read(int32_t *id, const dt_tokens *tokens, dt_split split, uint64_t first,
                         size_t count);

/* ---- writing: the parts one after the other ---- */

typedef struct dt_tokens_writer dt_tokens_writer;

/* file: empty, open for reading and writing; the writer closes it if it is destroyed before
 * dt_tokens_writer_finish. */
dt_status dt_tokens_writer_create(dt_tokens_writer **writer, int file, const char *path,
                                  const dt_tokenizer *tokenizer);
void dt_tokens_writer_destroy(dt_tokens_writer **writer);
dt_status dt_tokens_writer_add(dt_tokens_writer *writer, dt_split split, const int32_t *id,
                               size_t count);

/* Make it whole, on the disk, and open for reading. facts: without the tokens. */
dt_status dt_tokens_writer_finish(dt_tokens **tokens, dt_tokens_writer **writer,
                                  const dt_tokens_facts *facts);

#endif
