/* Problems in words: what the format chat adds to the numbers. Private to src/data/arithmetic. */
#ifndef DTRAIN_DATA_CHAT_H
#define DTRAIN_DATA_CHAT_H

#include "decimal.h"
#include "dtrain/arithmetic/format.h"
#include "dtrain/core/utf8.h"

/* The question, as the model sees it: operands least significant digit first, but
 * for dividends. */
void dt_chat_put_question(dt_draft *text, const dt_problem *problem, size_t phrasing);

/* The sentence that says an answer, which is given as in other formats: "46", "29r1". */
void dt_chat_put_answer(dt_draft *text, dt_span answer, dt_operation operation, size_t phrasing);

/* The other way round, in any phrasing of the operation. False: it is no such sentence. */
bool dt_chat_take_answer(dt_draft *answer, dt_span sentence, dt_operation operation);

/* More than the phrasings have. */
enum { DT_CHAT_CHARACTERS_MAX = 256 };

/* The different characters of all phrasings, in the order in which they occur; how many. */
size_t dt_chat_characters(char character[DT_CHAT_CHARACTERS_MAX][DT_UTF8_SIZE]);

#endif
