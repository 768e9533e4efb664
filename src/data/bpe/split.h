/* Splits text into words as GPT-2 does. Private to src/data/bpe. */
#ifndef DTRAIN_BPE_SPLIT_H
#define DTRAIN_BPE_SPLIT_H

#include <stddef.h>

#include "dtrain/core/status.h"

typedef struct word_splitter word_splitter;

dt_status word_splitter_create(word_splitter **splitter);
void word_splitter_destroy(word_splitter **splitter);

/* Bytes of valid UTF-8 that a text begins with. */
size_t valid_length(const char *text, size_t length);

/* Bytes up to the next character of UTF-8, where a text begins with none. */
size_t invalid_length(const char *text, size_t length);

/* What follows so many bytes later cannot change a word that ends before. */
enum { WORD_AHEAD = 8 };

/**
 * The word that a text in valid UTF-8 begins with.
 *
 * @param[out] word  its bytes, more than 0 and at most `longest`
 * @param      longest  a longer word is cut there, between two characters; 4 at least
 * @return DT_ERR_INTERNAL
 */
dt_status next_word(size_t *word, word_splitter *splitter, const char *text, size_t length,
                    size_t longest);

/* The last place where a space or line end follows something else: every word ends there. 0: there
 * is none. */
size_t last_gap(const char *text, size_t length);

/* Bytes up to the end of the last word that what follows cannot change; 0: more must be looked at.
 */
size_t settled_words(word_splitter *splitter, const char *text, size_t length, size_t longest);

#endif
