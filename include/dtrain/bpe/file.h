/* Files of byte-level BPEs as Hugging Face writes them: tokenizer.json, or vocab.json beside
 * merges.txt. */
#ifndef DTRAIN_BPE_FILE_H
#define DTRAIN_BPE_FILE_H

#include <stdio.h>

#include "dtrain/bpe/bpe.h"

/* What ends a document. In a vocab.json, which does not say what is special, it is. */
#define DT_BPE_END "<|endoftext|>"

/**
 * A folder with tokenizer.json or with vocab.json and merges.txt, or one of these files.
 *
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA: it is damaged, or asks for what dtrain does not do: the
 * sentence names it
 */
dt_status dt_bpe_read(dt_bpe **bpe, const char *path);

/* The text of a tokenizer.json. name: for messages. DT_ERR_DATA. */
dt_status dt_bpe_parse(dt_bpe **bpe, const char *json, size_t size, const char *name);

/* The texts of a vocab.json and a merges.txt. */
dt_status dt_bpe_parse_pair(dt_bpe **bpe, const char *vocab, size_t vocab_size, const char *merges,
                            size_t merges_size, const char *name);

/* The files; the same BPE gives the same bytes. Whether they were written, the file knows. */
void dt_bpe_write(FILE *out, const dt_bpe *bpe);
void dt_bpe_write_vocab(FILE *out, const dt_bpe *bpe);
void dt_bpe_write_merges(FILE *out, const dt_bpe *bpe);

#endif
