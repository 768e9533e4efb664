/* Which characters a text has, and the vocabulary of them. Private to src/data/text. */
#ifndef DTRAIN_TEXT_CHARACTERS_H
#define DTRAIN_TEXT_CHARACTERS_H

#include "dtrain/core/line.h"
#include "dtrain/data/tokenizer.h"

/* All 0 to begin with. */
typedef struct {
    uint8_t *used; /* (code points) */
} dt_characters;

dt_status dt_characters_create(dt_characters *characters);
void dt_characters_destroy(dt_characters *characters);

/* Of so many bytes, as dt_utf8_length gives them. */
void dt_characters_add(dt_characters *characters, const char *at, size_t length);

/* Every character is a token, by code point; id 0 is "\n", and the last one DT_END_OF_DOCUMENT if
 * wanted. path: of the text. DT_ERR_DATA if they are more than 65535. */
dt_status dt_characters_tokenizer(dt_tokenizer **tokenizer, const dt_characters *characters,
                                  const char *path, bool with_end);

/* Whether the vocabulary has all of what a person typed: DT_ERR_DATA shows what it lacks. */
dt_status dt_characters_check(const dt_tokenizer *tokenizer, const dt_line *typed);

#endif
