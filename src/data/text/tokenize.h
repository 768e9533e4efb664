/* Finds the tokens of a running text, or computes them. Private to src/data/text. */
#ifndef DTRAIN_TOKENIZE_H
#define DTRAIN_TOKENIZE_H

#include "tokens.h"

/* The tokens of a text, and what was made for them. */
typedef struct {
    dt_tokens *tokens;
    char path[DT_PATH_MAX]; /* of a file that was made for them; "": none was */
    size_t folders;         /* beginning of the path that had to be made, too; 0: none */
} dt_tokenized;

/**
 * The tokens of the text that the settings name, with a vocabulary; NULL: with its own.
 *
 * They are in a file in the folder "tokens" of --out, or without --out, or where nothing can be
 * written, in one without a name. One process computes them, the others wait for it; it appears
 * whole, so that nothing is left of one that was killed.
 *
 * @param reads  read all of the text to see whether it is what train-digest says; otherwise only if
 *               its files have been written to
 * @return DT_ERR_NO_INPUT; DT_ERR_DATA: not UTF-8, or another text than that of train-digest
 */
dt_status dt_tokenize(dt_tokenized *tokenized, const dt_config *config,
                      const dt_tokenizer *tokenizer, bool reads);
void dt_tokenized_close(dt_tokenized *tokenized);

/* Close, and delete what was made. */
void dt_tokenized_discard(dt_tokenized *tokenized);

#endif
