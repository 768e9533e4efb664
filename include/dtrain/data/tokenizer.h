/* Texts to tokens and back, and where each token stands. */
#ifndef DTRAIN_TOKENIZER_H
#define DTRAIN_TOKENIZER_H

#include <stdint.h>

#include "dtrain/data/text.h"

typedef struct dt_tokenizer dt_tokenizer;
typedef struct dt_bpe dt_bpe; /* dtrain/bpe/bpe.h */

/* What ends a document of running text, in vocabularies that have it. */
#define DT_END_OF_DOCUMENT "<|endoftext|>"

/* From the strings of a checkpoint: `count` NUL-terminated ones, copied; an empty one is byte 0,
 * which no string can hold. DT_ERR_DATA for doubles. */
dt_status dt_tokenizer_restore(dt_tokenizer **tokenizer, const char *const *token, size_t count);
/* Byte-level BPE, which is taken over, also after an error. */
dt_status dt_tokenizer_from_bpe(dt_tokenizer **tokenizer, dt_bpe **bpe);
/* The same from Hugging Face's files, as dt_bpe_read. */
dt_status dt_tokenizer_read(dt_tokenizer **tokenizer, const char *path);
void dt_tokenizer_destroy(dt_tokenizer **tokenizer);

/* NULL: its tokens are strings, of which the longest that fits is taken. */
const dt_bpe *dt_tokenizer_bpe(const dt_tokenizer *tokenizer);

size_t dt_tokenizer_size(const dt_tokenizer *tokenizer);
/* NULL if there is none. Of BPE it may hold NUL, too. */
const char *dt_tokenizer_token(const dt_tokenizer *tokenizer, int32_t id);
/* The bytes that a token stands for; none if there is no such token. */
dt_span dt_tokenizer_bytes(const dt_tokenizer *tokenizer, int32_t id);
/* Whether a token is a start mark: in a vocabulary of problems that has them. */
bool dt_tokenizer_is_mark(const dt_tokenizer *tokenizer, int32_t id);
/* The token DT_END_OF_DOCUMENT; -1: the vocabulary has none. */
int32_t dt_tokenizer_end(const dt_tokenizer *tokenizer);
bool dt_tokenizer_equal(const dt_tokenizer *x, const dt_tokenizer *y);

/* Text to ids, also of what is no text but ends a document. DT_ERR_DATA names the first byte that
 * is no token. One thread at a time. */
dt_status dt_tokenizer_encode(int32_t *id, size_t capacity, size_t *count,
                              const dt_tokenizer *tokenizer, const char *text, size_t length);

/* The longest token that `left` bytes begin with, and its bytes; -1: there is none. */
int32_t dt_tokenizer_match(size_t *length, const dt_tokenizer *tokenizer, const char *at,
                           size_t left);

/* All of a vocabulary as bytes, and back: of BPE the text of a tokenizer.json. DT_ERR_DATA: they
 * are none. */
dt_status dt_tokenizer_store(dt_text *bytes, const dt_tokenizer *tokenizer);
dt_status dt_tokenizer_load(dt_tokenizer **tokenizer, const char *bytes, size_t size);

/* How many bytes of a text are tokens, up to the first that begins none. */
size_t dt_tokenizer_reach(const dt_tokenizer *tokenizer, const char *text, size_t length);

/* Append the text of these ids. */
dt_status dt_tokenizer_decode(dt_text *text, const dt_tokenizer *tokenizer, const int32_t *id,
                              size_t count);

/**
 * Where each token stands. Position: how many tokens that are no part of a number stand before it;
 * all digits of a number share one, with the token behind them. In a vocabulary with negative
 * marks, that of calculations, it counts from 0 again behind an end, by twos; a fraction counts as
 * one number, its second one 1 further, and a percent sign as part of its number. So what is copied
 * to the next line has the position there that it had before, or is a constant away.
 * Place: 1 for the first digit of a number as written, 2 for the next … and for the token behind
 * the last one, 0 for all else: so a number's end can be found by its place, as a digit can. In a
 * vocabulary that has the letters of the working those that are digits count as such, and those
 * between two digits are part of the number and have the place of the second.
 * Together with what it is they tell any two tokens of a line apart, and what belongs together has
 * one of them in common. Both depend on what stands before alone, so that generation computes them
 * as it goes.
 *
 * @param[out] position, place  (count)
 * @param[out] spot  (count) for a window of attention, or NULL: the place, in the lowest 16 bits,
 *                   and above them the number's letter, 1 to 9 for a to i directly before its mark
 *                   in a calculation, 0 for none. Of what is part of a number, a digit, a letter
 *                   between digits or a start mark; minus that of what stands behind one; 0 of what
 *                   has no place.
 */
void dt_tokenizer_places(int32_t *position, int32_t *place, int32_t *spot,
                         const dt_tokenizer *tokenizer, const int32_t *id, size_t count);

#endif
